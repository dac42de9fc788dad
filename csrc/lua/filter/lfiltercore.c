/* SPDX-License-Identifier: MIT
 * neap.filtercore: libpcap's compiler of filters, in an object of its own that
 * needs nothing of neap.core. */
#include <lua.h>
#include <lauxlib.h>

#include "filter/compile.h"

#define FILTER_CLASS "neap.filtercore"

static int filter_gc(lua_State *L) {
  filter_free(luaL_checkudata(L, 1, FILTER_CLASS));
  return 0;
}

/* Frees the program also when Lua raises half-way. */
static struct filter *new_filter(lua_State *L) {
  struct filter *f = lua_newuserdatauv(L, sizeof *f, 0);
  f->program = NULL;
  luaL_setmetatable(L, FILTER_CLASS);
  return f;
}

/* compile(text, linktype, snaplen): a list of { code, jt, jf, k }, or nil and
 * why not. Lua has checked the arguments. */
static int l_compile(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  int linktype = (int)luaL_checkinteger(L, 2);
  int snaplen = (int)luaL_checkinteger(L, 3);
  char why[FILTER_WHYLEN];
  struct filter *f;
  size_t i, n;
  lua_settop(L, 3);
  f = new_filter(L);
  lua_toclose(L, 4);
  if (filter_compile(f, text, linktype, snaplen, why) < 0) {
    luaL_pushfail(L);
    lua_pushstring(L, why);
    return 2;
  }
  n = filter_count(f);
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    uint32_t parts[4];
    int j;
    filter_instruction(f, i, parts);
    lua_createtable(L, 4, 0);
    for (j = 0; j < 4; j++) {
      lua_pushinteger(L, parts[j]);
      lua_rawseti(L, -2, j + 1);
    }
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

__attribute__((visibility("default"))) int
luaopen_neap_filtercore(lua_State *L);

int luaopen_neap_filtercore(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",    filter_gc},
    {"__close", filter_gc},
    {NULL,      NULL     }
  };
  luaL_checkversion(L);
  luaL_newmetatable(L, FILTER_CLASS);
  luaL_setfuncs(L, meta, 0);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_compile);
  lua_setfield(L, -2, "compile");
  return 1;
}
