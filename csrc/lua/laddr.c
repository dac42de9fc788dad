/* SPDX-License-Identifier: MIT */
#include "lua/laddr.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "lua/neap.h"

static const struct {
  const char *name;
  int family;
} families[] = {
  {"inet",  AF_INET },
  {"inet6", AF_INET6},
  {"unix",  AF_UNIX },
};

const char *laddr_familyname(int family) {
  size_t i;
  for (i = 0; i < countof(families); i++)
    if (families[i].family == family)
      return families[i].name;
  return NULL;
}

int laddr_tofamily(lua_State *L, int at) {
  lua_Integer n = lua_isinteger(L, at) ? lua_tointeger(L, at) : -1;
  size_t i;
  if (lua_type(L, at) != LUA_TSTRING)
    return n >= 0 && n <= UINT16_MAX ? (int)n : -1;
  for (i = 0; i < countof(families); i++)
    if (strcmp(families[i].name, lua_tostring(L, at)) == 0)
      return families[i].family;
  return -1;
}

int laddr_checkfamily(lua_State *L, int arg) {
  int family = laddr_tofamily(L, arg);
  if (family < 0)
    luaL_typeerror(L, arg, "family (\"inet\", \"inet6\", \"unix\", AF_...)");
  return family;
}

unsigned laddr_checkport(lua_State *L, int arg) {
  return (unsigned)neap_checkint(L, arg, 0, 65535);
}

/* ---- to Lua ---- */

static void push_ip(lua_State *L, const struct addr *a) {
  char ip[ADDR_IPLEN];
  int n = addr_iptext(a, ip);
  lua_pushlstring(L, ip, n > 0 ? (size_t)n : 0);
}

static void push_path(lua_State *L, const struct addr *a) {
  const char *path = "";
  int n = addr_path(a, &path);
  lua_pushlstring(L, path, n > 0 ? (size_t)n : 0);
}

static void push_bytes(lua_State *L, const struct addr *a) {
  if (a->len == 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, (const char *)&a->u, a->len);
}

int laddr_push(lua_State *L, const struct addr *a) {
  switch (addr_family(a)) {
  case AF_INET:
  case AF_INET6:
    push_ip(L, a);
    lua_pushinteger(L, addr_port(a));
    return 2;
  case AF_UNIX:
    push_path(L, a);
    return 1;
  default:
    push_bytes(L, a);
    return 1;
  }
}

void laddr_pushtable(lua_State *L, const struct addr *a) {
  const char *name = laddr_familyname(addr_family(a));
  if (name == NULL) {
    push_bytes(L, a);
    return;
  }
  lua_createtable(L, 0, 4);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "family");
  if (addr_family(a) == AF_UNIX) {
    push_path(L, a);
    lua_setfield(L, -2, "path");
    return;
  }
  push_ip(L, a);
  lua_setfield(L, -2, "ip");
  lua_pushinteger(L, addr_port(a));
  lua_setfield(L, -2, "port");
  if (addr_flow(a) != 0) {
    lua_pushinteger(L, addr_flow(a));
    lua_setfield(L, -2, "flowinfo");
  }
}

/* ---- from Lua ---- */

static int bad(lua_State *L, int arg, const char *why) {
  return luaL_argerror(L, arg, why);
}

static void check_fields(lua_State *L, int at, int arg) {
  static const char *const known[] = {"family", "ip", "port", "path",
                                      "flowinfo"};
  for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
    size_t i = 0;
    const char *key =
      lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    while (i < countof(known) && strcmp(known[i], key) != 0)
      i++;
    if (i == countof(known))
      bad(L, arg, lua_pushfstring(L, "an address has no field '%s'", key));
  }
}

/* The integer field, or 0 if it is absent. */
static uint32_t number_field(lua_State *L, int at, int arg, const char *name,
                             uint32_t max) {
  lua_Integer i = 0;
  int isint = 1;
  if (lua_getfield(L, at, name) != LUA_TNIL)
    i = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &isint) : -1;
  if (!isint || i < 0 || i > max)
    bad(L, arg,
        lua_pushfstring(L, "'%s' must be an integer in [0, %I]", name,
                        (LUAI_UACINT)max));
  lua_pop(L, 1);
  return (uint32_t)i;
}

/* AF_UNSPEC if it is absent. */
static int family_field(lua_State *L, int at, int arg) {
  int family = AF_UNSPEC;
  if (lua_getfield(L, at, "family") != LUA_TNIL)
    family = laddr_tofamily(L, -1);
  if (family < 0)
    bad(L, arg, "'family' is not a family");
  lua_pop(L, 1);
  return family;
}

static void check_path(lua_State *L, int arg, int family, struct addr *a) {
  size_t len;
  const char *path;
  int err;
  if (lua_type(L, -1) != LUA_TSTRING)
    bad(L, arg, "'path' must be a string");
  path = lua_tolstring(L, -1, &len);
  if (family != AF_UNSPEC && family != AF_UNIX)
    bad(L, arg, "only the family \"unix\" has a path");
  err = addr_unix(a, path, len);
  if (err == -ENAMETOOLONG)
    bad(L, arg,
        lua_pushfstring(L, "the path is longer than %d bytes",
                        (int)ADDR_PATHMAX));
  if (err < 0)
    bad(L, arg, "the path contains a zero byte");
}

/* With an ip on top of the stack, or nil for the wildcard. */
static int check_ip(lua_State *L, int at, int arg, int family, struct addr *a) {
  unsigned port = number_field(L, at, arg, "port", 65535);
  size_t len;
  const char *ip;
  int err = 0;
  if (lua_isnil(L, -1) ? addr_any(a, family, port) < 0
                       : lua_type(L, -1) != LUA_TSTRING)
    bad(L, arg, "an address needs 'ip' or 'path'");
  ip = lua_tolstring(L, -1, &len);
  if (ip != NULL)
    err = addr_ip(a, ip, len, port);
  if (err == -EINVAL)
    bad(L, arg, lua_pushfstring(L, "'%s' is not a numeric address", ip));
  if (family != AF_UNSPEC && err == 0 && family != addr_family(a))
    bad(L, arg, lua_pushfstring(L, "'%s' is not of this family", ip));
  addr_setflow(a, number_field(L, at, arg, "flowinfo", UINT32_MAX));
  return err;
}

int laddr_checkat(lua_State *L, int at, int arg, struct addr *a) {
  int family, err = 0;
  size_t len;
  const char *bytes;
  if (lua_type(L, at) == LUA_TSTRING) {
    bytes = lua_tolstring(L, at, &len);
    if (addr_raw(a, bytes, len) < 0)
      bad(L, arg, "these bytes are too few or too many for an address");
    return 0;
  }
  if (lua_type(L, at) != LUA_TTABLE)
    bad(L, arg,
        lua_pushfstring(L, "address expected, got %s", luaL_typename(L, at)));
  check_fields(L, at, arg);
  family = family_field(L, at, arg);
  if (lua_getfield(L, at, "path") != LUA_TNIL) {
    check_path(L, arg, family, a);
  } else {
    lua_getfield(L, at, "ip");
    err = check_ip(L, at, arg, family, a);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return err;
}

int laddr_check(lua_State *L, int arg, struct addr *a) {
  return laddr_checkat(L, arg, arg, a);
}
