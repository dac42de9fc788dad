/* SPDX-License-Identifier: MIT
 * neap.zcore: decoders and encoders of compressed text. The Lua around it
 * (neap.http.coding) knows the words of HTTP. */
#include "lua/z/lz.h"

#include <errno.h>

/* In the order of enum zkind. */
static const char *const kinds[] = {"gzip", "deflate", "raw",
                                    "br",   "zstd",    NULL};

int lz_kind(lua_State *L, int arg) {
  return luaL_checkoption(L, arg, NULL, kinds);
}

int lz_option(lua_State *L, int arg, int otherwise, int least, int most) {
  lua_Integer value = luaL_optinteger(L, arg, otherwise);
  luaL_argcheck(L, value >= least && value <= most, arg, "out of range");
  return (int)value;
}

size_t lz_size(lua_State *L, int arg, size_t otherwise) {
  lua_Integer value;
  if (lua_isnoneornil(L, arg))
    return otherwise;
  value = luaL_checkinteger(L, arg);
  luaL_argcheck(L, value >= 0, arg, "a number of bytes expected");
  return (size_t)value;
}

static const struct failure {
  int err;
  const char *code, *why;
} failures[] = {
  {-ENOMEM,   "ENOMEM",   "out of memory"                     },
  {-ENOTSUP,  "ENOTSUP",  "neap was built without it"         },
  {-EBADMSG,  "EBADMSG",  "the coded bytes are damaged"       },
  {-EPIPE,    "EBADMSG",  "the coded bytes end too early"     },
  {-EMSGSIZE, "EMSGSIZE", "it decodes to more than is allowed"},
  {-EINVAL,   "EINVAL",   "it has ended"                      },
  {-EBADF,    "ECLOSED",  "it was closed"                     },
  {0,         "EINVAL",   "it failed"                         },
};

int lz_fail(lua_State *L, enum zkind kind, int err) {
  const struct failure *f = failures;
  while (f->err != err && f->err != 0)
    f++;
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: %s", kinds[kind], f->why);
  lua_pushstring(L, f->code);
  return 3;
}

/* What is decoded: { gzip = true, ... }. */
static void push_decodes(lua_State *L) {
  lua_createtable(L, 0, 5);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "gzip");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "deflate");
#ifdef NEAP_BROTLI
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "br");
#endif
#ifdef NEAP_ZSTD
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "zstd");
#endif
}

__attribute__((visibility("default"))) int luaopen_neap_zcore(lua_State *L);

int luaopen_neap_zcore(lua_State *L) {
  luaL_checkversion(L);
  lua_createtable(L, 0, 3);
  lz_open_decoder(L);
  lz_open_encoder(L);
  push_decodes(L);
  lua_setfield(L, -2, "decodes");
  return 1;
}
