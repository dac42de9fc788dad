/* SPDX-License-Identifier: MIT
 * neap.socket: the options and the timeout of a socket. */
#include "base/error.h"
#include "lua/lsocket.h"
#include "lua/lsockopt.h"
#include "sys/sockopt.h"

enum { RAW_OPTION_MAX = 65536 };

static int set_raw(lua_State *L, int fd) {
  int level = (int)neap_checkint(L, 2, 0, INT32_MAX);
  int number = (int)neap_checkint(L, 3, 0, INT32_MAX);
  size_t len = sizeof(int);
  int value;
  const void *bytes = &value;
  if (lua_type(L, 4) == LUA_TSTRING)
    bytes = lua_tolstring(L, 4, &len);
  else if (lua_isboolean(L, 4))
    value = lua_toboolean(L, 4);
  else
    value = (int)neap_checkint(L, 4, INT32_MIN, INT32_MAX);
  return socket_self(L, sockopt_setraw(fd, level, number, bytes, len),
                     "setsockopt", NULL);
}

static int get_raw(lua_State *L, int fd) {
  int level = (int)neap_checkint(L, 2, 0, INT32_MAX);
  int number = (int)neap_checkint(L, 3, 0, INT32_MAX);
  size_t len = (size_t)neap_checkint(L, 4, 0, RAW_OPTION_MAX);
  char *bytes = lua_newuserdatauv(L, len + 1, 0);
  int err = sockopt_getraw(fd, level, number, bytes, &len);
  if (err < 0)
    return neap_fail(L, err, "getsockopt");
  lua_pushlstring(L, bytes, len);
  return 1;
}

/* setsockopt(name, value), or (level, number, bytes or an integer). */
static int l_setsockopt(lua_State *L) {
  struct lsocket *s = socket_check(L);
  if (s->watch.fd < 0)
    return neap_fail(L, ERR_CLOSED, NULL);
  return lua_type(L, 2) == LUA_TNUMBER ? set_raw(L, s->watch.fd)
                                       : lsockopt_set(L, s->watch.fd, 2);
}

/* getsockopt(name), or (level, number, size) for bytes. */
static int l_getsockopt(lua_State *L) {
  struct lsocket *s = socket_check(L);
  if (s->watch.fd < 0)
    return neap_fail(L, ERR_CLOSED, NULL);
  return lua_type(L, 2) == LUA_TNUMBER ? get_raw(L, s->watch.fd)
                                       : lsockopt_get(L, s->watch.fd, 2);
}

static int l_settimeout(lua_State *L) {
  struct lsocket *s = socket_check(L);
  s->timeout = neap_opttimeout(L, 2);
  lua_settop(L, 1);
  return 1;
}

static int l_gettimeout(lua_State *L) {
  struct lsocket *s = socket_check(L);
  if (s->timeout == SYS_FOREVER)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)s->timeout / 1e9);
  return 1;
}

void socket_open_options(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"setsockopt", l_setsockopt},
    {"getsockopt", l_getsockopt},
    {"settimeout", l_settimeout},
    {"gettimeout", l_gettimeout},
    {NULL,         NULL        }
  };
  neap_setfuncs(L, methods);
}
