/* SPDX-License-Identifier: MIT
 * Bytes that nobody can guess, for neap.random. */
#include "lua/ltask.h"

#include "sys/entropy.h"

enum { MOST = 1 << 20 };

/* random(n): n bytes. Raises where the system gives none: what is made of
 * them must not be made of anything else. */
static int l_random(lua_State *L) {
  size_t n = (size_t)neap_checkint(L, 1, 0, MOST);
  luaL_Buffer b;
  char *bytes = luaL_buffinitsize(L, &b, n);
  int err = sys_entropy(bytes, n);
  if (err < 0) {
    neap_fail(L, err, "random");
    lua_pop(L, 1);
    return lua_error(L);
  }
  luaL_pushresultsize(&b, n);
  return 1;
}

void neap_open_random(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"random", l_random},
    {NULL,     NULL    }
  };
  neap_setfuncs(L, functions);
}
