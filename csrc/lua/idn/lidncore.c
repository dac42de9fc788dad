/* SPDX-License-Identifier: MIT
 * neap.idncore: names beyond ASCII, in an object of its own that needs nothing
 * of neap.core. */
#include <lua.h>
#include <lauxlib.h>
#include <string.h>

#include "idn/idn.h"

typedef int conversion(const char *name, char out[IDN_MAXNAME]);

/* The name converted, or nil and why not. */
static int convert(lua_State *L, conversion *how) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  char out[IDN_MAXNAME];
  int code;
  luaL_argcheck(L, strlen(name) == len, 1, "name holds a NUL");
  code = how(name, out);
  if (code == 0) {
    lua_pushstring(L, out);
    return 1;
  }
  luaL_pushfail(L);
  lua_pushstring(L, idn_why(code));
  return 2;
}

static int l_toascii(lua_State *L) {
  return convert(L, idn_to_ascii);
}

static int l_tounicode(lua_State *L) {
  return convert(L, idn_to_unicode);
}

__attribute__((visibility("default"))) int luaopen_neap_idncore(lua_State *L);

int luaopen_neap_idncore(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"toascii",   l_toascii  },
    {"tounicode", l_tounicode},
    {NULL,        NULL       }
  };
  luaL_checkversion(L);
  luaL_newlib(L, functions);
  return 1;
}
