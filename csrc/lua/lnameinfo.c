/* SPDX-License-Identifier: MIT
 * getaddrinfo and getnameinfo, as neap.socket has them. */
#include <string.h>

#include "lua/laddr.h"
#include "lua/lresolve.h"

/* ---- getaddrinfo(host, service, hints) ---- */

static int push_found(lua_State *L, const struct names_answer *a) {
  size_t i;
  lua_createtable(L, (int)a->count, 0);
  for (i = 0; i < a->count; i++) {
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, a->found[i].family);
    lua_setfield(L, -2, "family");
    lua_pushinteger(L, a->found[i].socktype);
    lua_setfield(L, -2, "socktype");
    lua_pushinteger(L, a->found[i].protocol);
    lua_setfield(L, -2, "protocol");
    laddr_pushtable(L, &a->found[i].addr);
    lua_setfield(L, -2, "addr");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  if (a->host != NULL) {
    lua_pushstring(L, a->host);
    lua_setfield(L, -2, "canonname");
  }
  return 1;
}

static int addrinfo_step(lua_State *L, struct core *c, struct wait *w) {
  struct asked *a = lua_touserdata(L, AT_ASKED);
  int err = lookup_step(c, w, a);
  if (err > 0)
    return OP_WAIT;
  return err < 0 ? lookup_failed(L, err, "getaddrinfo")
                 : push_found(L, &a->lookup->answer);
}

static int family_hint(lua_State *L, int arg) {
  int family = laddr_tofamily(L, -1);
  luaL_argcheck(L, family >= 0, arg, "hint 'family' is not a family");
  return family;
}

/* Integers by name, the family also as text. */
static void check_hints(lua_State *L, int arg, struct names_query *q) {
  if (lua_isnoneornil(L, arg))
    return;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
    const char *name =
      lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    int *to = strcmp(name, "flags") == 0      ? &q->flags
              : strcmp(name, "socktype") == 0 ? &q->socktype
              : strcmp(name, "protocol") == 0 ? &q->protocol
                                              : NULL;
    if (strcmp(name, "family") == 0)
      q->family = family_hint(L, arg);
    else if (to != NULL && lua_isinteger(L, -1))
      *to = (int)lua_tointeger(L, -1);
    else if (to != NULL)
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "hint '%s' must be an integer", name));
    else
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown hint '%s'", name));
  }
}

static int l_getaddrinfo(lua_State *L) {
  static const struct op op = {"getaddrinfo", addrinfo_step, NULL};
  struct asked *a;
  int port;
  lua_settop(L, 3);
  a = lookup_new(L);
  a->query.host = lookup_text(L, 1);
  a->query.service = lookup_service(L, 2, &port);
  check_hints(L, 3, &a->query);
  lookup_settle(L);
  return neap_op(L, &op, SYS_FOREVER);
}

/* ---- getnameinfo(addr, flags) ---- */

static int nameinfo_step(lua_State *L, struct core *c, struct wait *w) {
  struct asked *a = lua_touserdata(L, AT_ASKED);
  char text[ADDR_TEXTLEN];
  int err = lookup_step(c, w, a);
  if (err > 0)
    return OP_WAIT;
  if (err < 0)
    return neap_failf(L, err, "getnameinfo %s",
                      addr_text(&a->query.addr, text));
  lua_pushstring(L, a->lookup->answer.host);
  lua_pushstring(L, a->lookup->answer.service);
  return 2;
}

static int l_getnameinfo(lua_State *L) {
  static const struct op op = {"getnameinfo", nameinfo_step, NULL};
  struct asked *a;
  int err;
  lua_settop(L, 2);
  a = lookup_new(L);
  err = laddr_check(L, 1, &a->query.addr);
  if (!lua_isnil(L, 2))
    a->query.flags = (int)neap_checkint(L, 2, 0, INT32_MAX);
  if (err < 0)
    return neap_fail(L, err, "getnameinfo");
  lookup_settle(L);
  return neap_op(L, &op, SYS_FOREVER);
}

void lookup_open(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"getaddrinfo", l_getaddrinfo},
    {"getnameinfo", l_getnameinfo},
    {NULL,          NULL         }
  };
  neap_setfuncs(L, functions);
}
