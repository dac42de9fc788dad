/* SPDX-License-Identifier: MIT
 * neap.socket: sendmsg and recvmsg. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "lua/lsocket.h"

enum { PARTS_MAX = 1024 }; /* what Linux takes in one call */

/* ---- sendmsg(message, flags) ---- */

static void check_fields(lua_State *L) {
  static const char *const known[] = {"data", "addr", "control", NULL};
  for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
    int i = 0;
    const char *key =
      lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    while (known[i] != NULL && strcmp(known[i], key) != 0)
      i++;
    if (known[i] == NULL)
      luaL_argerror(L, 2,
                    lua_pushfstring(L, "a message has no field '%s'", key));
  }
}

/* One string, or a list of them. Leaves what keeps the array on the stack;
 * the strings stay where they are until the call is made. */
static void gather(lua_State *L, struct sock_msg *m) {
  int type = lua_getfield(L, 2, "data");
  bool list = type == LUA_TTABLE;
  int at = lua_gettop(L);
  size_t i, n = list ? (size_t)lua_rawlen(L, at) : type != LUA_TNIL;
  luaL_argcheck(L, n <= PARTS_MAX, 2, "'data' has too many parts");
  m->iov = lua_newuserdatauv(L, (n + 1) * sizeof *m->iov, 0);
  m->niov = n;
  for (i = 0; i < n; i++) {
    if (list)
      lua_rawgeti(L, at, (lua_Integer)i + 1);
    else
      lua_pushvalue(L, at);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2,
                  "'data' must be a string or a list of strings");
    m->iov[i].iov_base = (void *)lua_tolstring(L, -1, &m->iov[i].iov_len);
    lua_pop(L, 1);
  }
}

/* Builds the message from the table at 2. Control data first, since methods
 * are called for it. Returns 0 or -ENODEV. */
static int build(lua_State *L, struct sock_msg *m) {
  int err = 0;
  struct room *r;
  if (lua_getfield(L, 2, "control") != LUA_TNIL) {
    r = room_take(L, 0, ROOM_CONTROL);
    lua_insert(L, -2);
    m->controllen = control_check(L, 2, r);
    m->control = r->controldata;
    lua_pop(L, 1);
  }
  if (lua_getfield(L, 2, "addr") != LUA_TNIL)
    err = laddr_checkat(L, lua_gettop(L), 2, &m->addr);
  lua_pop(L, 1);
  gather(L, m);
  return err;
}

static int sendmsg_step(lua_State *L, struct core *c, struct wait *w) {
  struct lsocket *s = lua_touserdata(L, 1);
  struct sock_msg m = {.niov = 0};
  char text[ADDR_TEXTLEN];
  ssize_t n = socket_ready(s, w);
  (void)c;
  if (n == 0)
    n = build(L, &m);
  if (n == 0)
    n = sock_send(s->watch.fd, &m, (int)lua_tointeger(L, 3));
  if (m.control != NULL)
    room_give(L, 4);
  lua_settop(L, 3);
  if (n < 0 && n != -EAGAIN && m.addr.len > 0)
    return neap_failf(L, (int)n, "sendmsg %s", addr_text(&m.addr, text));
  if (n < 0)
    return socket_wait(L, w, s, (int)n, POLLER_OUT, "sendmsg");
  lua_pushinteger(L, n);
  return 1;
}

static int l_sendmsg(lua_State *L) {
  static const struct op op = {"sendmsg", sendmsg_step, NULL};
  int flags = socket_optflags(L, 3);
  socket_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  check_fields(L);
  lua_settop(L, 2);
  lua_pushinteger(L, flags);
  return socket_op(L, &op, flags);
}

/* ---- recvmsg(max, controlmax, flags) ---- */

static void set_true(lua_State *L, const char *name) {
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}

/* With the room at 5: data, and what came with it. */
static int received(lua_State *L, const struct lsocket *s, struct sock_msg *m,
                    size_t n, int flags) {
  struct room *r = lua_touserdata(L, 5);
  size_t have = n < m->iov->iov_len ? n : m->iov->iov_len;
  bool cut = (m->flags & MSG_TRUNC) && n > have;
  control_collect(m, r);
  if (n == 0 && m->controllen == 0 && m->iov->iov_len > 0 &&
      !sock_datagrams(s->type)) {
    room_give(L, 5);
    return neap_fail(L, ERR_EOF, "recvmsg");
  }
  lua_pushlstring(L, m->iov->iov_base,
                  s->type == SOCK_STREAM && flags & MSG_TRUNC ? 0 : have);
  lua_createtable(L, 0, 6);
  laddr_pushtable(L, &m->addr);
  lua_setfield(L, -2, "addr");
  control_push(L, m);
  lua_setfield(L, -2, "control");
  lua_pushinteger(L, m->flags);
  lua_setfield(L, -2, "flags");
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, "length");
  if (cut || m->flags & MSG_TRUNC)
    set_true(L, "truncated");
  if (m->flags & MSG_CTRUNC)
    set_true(L, "control_truncated");
  room_give(L, 5);
  return 2;
}

/* Not every family knows the flag. */
static ssize_t recv_safely(const struct lsocket *s, struct sock_msg *m,
                           int flags) {
  ssize_t n = sock_recv(s->watch.fd, m, flags | SOCK_FDSAFE);
  return n == -EINVAL ? sock_recv(s->watch.fd, m, flags) : n;
}

static int recvmsg_step(lua_State *L, struct core *c, struct wait *w) {
  struct lsocket *s = lua_touserdata(L, 1);
  int flags = (int)lua_tointeger(L, 4);
  struct iovec iov = {NULL, (size_t)lua_tointeger(L, 2)};
  struct sock_msg m = {.iov = &iov, .niov = 1};
  ssize_t n = socket_ready(s, w);
  (void)c;
  if (n == 0) {
    struct room *r;
    m.controllen = (size_t)lua_tointeger(L, 3);
    r = room_take(L, iov.iov_len, m.controllen);
    m.control = r->controldata;
    iov.iov_base = r->bytes;
    n = recv_safely(s, &m, sock_recvflags(s->type, flags));
  }
  if (n >= 0)
    return received(L, s, &m, (size_t)n, flags);
  if (iov.iov_base != NULL)
    room_give(L, 5);
  lua_settop(L, 4);
  return socket_wait(L, w, s, (int)n, POLLER_IN, "recvmsg");
}

static int l_recvmsg(lua_State *L) {
  static const struct op op = {"recvmsg", recvmsg_step, NULL};
  lua_Integer max = ROOM_DATA, controlmax = ROOM_CONTROL;
  int flags = socket_optflags(L, 4);
  socket_check(L);
  if (!lua_isnoneornil(L, 2))
    max = neap_checkint(L, 2, 0, ROOM_MAX);
  if (!lua_isnoneornil(L, 3))
    controlmax = neap_checkint(L, 3, 0, ROOM_DATA);
  lua_settop(L, 1);
  lua_pushinteger(L, max);
  lua_pushinteger(L, controlmax);
  lua_pushinteger(L, flags);
  return socket_op(L, &op, flags);
}

void socket_open_msg(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"sendmsg", l_sendmsg},
    {"recvmsg", l_recvmsg},
    {NULL,      NULL     }
  };
  neap_setfuncs(L, methods);
}
