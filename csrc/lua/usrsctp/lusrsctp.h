/* SPDX-License-Identifier: MIT
 * What the files of neap.usrsctpcore share. */
#ifndef NEAP_LUA_USRSCTP_LUSRSCTP_H
#define NEAP_LUA_USRSCTP_LUSRSCTP_H

#include <lauxlib.h>
#include <lua.h>

#include "base/error.h"
#include "usrsctp/channel.h"

/* Makes the class `name`: its metatable, with __name, a closed __metatable and
 * `methods`, if there are any, as its __index. Leaves the stack as it was. */
static inline void lus_class(lua_State *L, const char *name,
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

/* Pushes nil, "what: text", code. Returns 3. */
int lus_fail(lua_State *L, int err, const char *what);

/* The module's, within one of its functions. */
struct us_home *lus_home(lua_State *L);

/* Adds them to the table on top; under it is the home, which they hold. */
void lus_functions(lua_State *L, const luaL_Reg *functions);

/* Pushes whether somebody is to be accepted, and whether a carrier is empty:
 * once each. Returns 2. */
int lus_news(lua_State *L, struct us_home *h);

/* The carrier at `arg`. Whether it is open is for its functions to ask. */
struct us_carrier *lus_carrier(lua_State *L, int arg);

/* Each adds functions as lus_functions does, and makes its class. */
void lus_open_carrier(lua_State *L);
void lus_open_end(lua_State *L);

#endif
