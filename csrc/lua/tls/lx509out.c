/* SPDX-License-Identifier: MIT
 * What csrc/tls gives out, as values of Lua. */
#include "lua/tls/lx509.h"

#include <string.h>

#define OUT_CLASS "neap.tlscore.out"

static int out_gc(lua_State *L) {
  cert_out_free(luaL_checkudata(L, 1, OUT_CLASS));
  return 0;
}

struct cert_out *lx509_out(lua_State *L) {
  struct cert_out *o = lua_newuserdatauv(L, sizeof *o, 0);
  memset(o, 0, sizeof *o);
  luaL_setmetatable(L, OUT_CLASS);
  return o;
}

int lx509_fail(lua_State *L, const struct cert_out *o, int err) {
  static const char *const codes[] = {
    [-CERT_EBADMSG] = "EBADMSG", [-CERT_EACCES] = "EACCES",
    [-CERT_ENOMEM] = "ENOMEM",   [-CERT_EINVAL] = "EINVAL",
    [-CERT_ENOTSUP] = "ENOTSUP",
  };
  return ltls_fail(L, codes[-err], "x509: %s", o->why);
}

int lx509_bytes(lua_State *L, struct cert_out *o, int err) {
  if (err < 0)
    return lx509_fail(L, o, err);
  lua_pushlstring(L, o->data != NULL ? o->data : "", o->len);
  cert_out_free(o);
  return 1;
}

static void push_value(lua_State *L, const struct cert_item *item) {
  if (item->kind == CERT_BYTES)
    lua_pushlstring(L, item->bytes, item->len);
  else if (item->kind == CERT_INTEGER)
    lua_pushinteger(L, (lua_Integer)item->value);
  else
    lua_pushboolean(L, item->value != 0);
}

int lx509_rows(lua_State *L, struct cert_out *o, int err) {
  struct cert_item item;
  lua_Integer n = 0;
  size_t at = 0;
  int list;
  if (err < 0)
    return lx509_fail(L, o, err);
  lua_newtable(L);
  list = lua_gettop(L);
  while (cert_next(o, &at, &item)) {
    if (item.kind == CERT_ROW) {
      lua_newtable(L);
      lua_rawseti(L, list, ++n);
      continue;
    }
    if (item.name[0] == '\0') { /* the row itself */
      push_value(L, &item);
      lua_rawseti(L, list, n);
      continue;
    }
    lua_rawgeti(L, list, n);
    push_value(L, &item);
    lua_setfield(L, -2, item.name);
    lua_pop(L, 1);
  }
  cert_out_free(o);
  return 1;
}

int lx509_row(lua_State *L, struct cert_out *o, int err) {
  int n = lx509_rows(L, o, err);
  if (err >= 0)
    lua_rawgeti(L, -1, 1);
  return n;
}

void lx509_openout(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", out_gc},
    {NULL,   NULL  }
  };
  static const luaL_Reg methods[] = {
    {NULL, NULL}
  };
  ltls_class(L, OUT_CLASS, meta, methods);
}
