/* SPDX-License-Identifier: MIT
 * neap.tlscore: an object of its own, which needs no symbol of neap's core.
 * What its files share. */
#ifndef NEAP_LUA_TLS_LTLS_H
#define NEAP_LUA_TLS_LTLS_H

#include <lua.h>
#include <lauxlib.h>
#include <stdarg.h>

/* Pushes nil, the message (lua_pushfstring's formats), the code. Returns 3. */
static inline int ltls_fail(lua_State *L, const char *code, const char *format,
                            ...) {
  va_list args;
  luaL_pushfail(L);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_pushstring(L, code);
  return 3;
}

/* Makes the class `name`: its metatable, with __name, a closed __metatable and
 * `methods`, if there are any, as its __index. Leaves the stack as it was. */
static inline void ltls_class(lua_State *L, const char *name,
                              const luaL_Reg *meta, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, meta, 0);
  if (methods != NULL) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

/* ---- between the files ---- */

#define DTLS_CLASS "neap.dtls.end"

struct tls_context;
struct tls_context *ltls_context(lua_State *L, int arg);

/* True, or nil, what OpenSSL says, "ETLS". */
int ltls_done(lua_State *L, int err, const char *what);

/* Each adds functions to the table on top, and makes its classes. */
void ltls_open_context(lua_State *L);
void ltls_open_files(lua_State *L);
void ltls_open_functions(lua_State *L);
void ltls_open_session(lua_State *L);
void ltls_open_dtls(lua_State *L);
void ltls_open_digest(lua_State *L);

#endif
