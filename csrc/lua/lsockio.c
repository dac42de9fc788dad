/* SPDX-License-Identifier: MIT
 * neap.socket: send, sendto, recv, recvfrom; and the room in which what comes
 * is received. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "lua/lsocket.h"
#include "sys/fd.h"

#define ROOM_CLASS "neap.socketroom"

static const char room_key = 'r';

/* ---- the room ---- */

static void close_fds(struct room *r) {
  while (r->nfds > 0)
    sys_close(r->fds[--r->nfds]);
}

static int room_gc(lua_State *L) {
  close_fds(neap_checkclass(L, 1, ROOM_CLASS));
  return 0;
}

static size_t aligned(size_t n) {
  return (n + 15) & ~(size_t)15;
}

static struct room *room_new(lua_State *L, size_t data, size_t control) {
  size_t head = aligned(sizeof(struct room));
  size_t middle = aligned(control);
  struct room *r = lua_newuserdatauv(L, head + 2 * middle + data, 0);
  r->data = data;
  r->control = control;
  r->nfds = 0;
  r->controldata = (char *)r + head;
  r->fds = (int *)(void *)(r->controldata + middle);
  r->bytes = r->controldata + 2 * middle;
  luaL_setmetatable(L, ROOM_CLASS);
  return r;
}

/* A place in the registry that is false while the room is taken: so giving it
 * back needs no memory. */
struct room *room_take(lua_State *L, size_t data, size_t control) {
  struct room *r;
  if (data > ROOM_DATA || control > ROOM_CONTROL)
    return room_new(L, data, control);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &room_key) == LUA_TUSERDATA) {
    r = lua_touserdata(L, -1);
  } else {
    lua_pop(L, 1);
    r = room_new(L, ROOM_DATA, ROOM_CONTROL);
  }
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &room_key);
  if (control > 0)
    memset(r->controldata, 0, r->control);
  return r;
}

void room_give(lua_State *L, int at) {
  struct room *r = lua_touserdata(L, at);
  r->nfds = 0;
  if (r->data != ROOM_DATA || r->control != ROOM_CONTROL)
    return;
  lua_pushvalue(L, at);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &room_key);
}

void room_open(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", room_gc},
    {NULL,   NULL   }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, ROOM_CLASS, meta, none);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &room_key);
}

/* ---- send ---- */

int socket_optflags(lua_State *L, int arg) {
  int flags;
  if (lua_isnoneornil(L, arg))
    return 0;
  flags = (int)neap_checkint(L, arg, 0, INT32_MAX);
  luaL_argcheck(L, !(flags & MSG_WAITALL), arg,
                "MSG_WAITALL has no effect on a socket that does not block");
  return flags;
}

/* send(data, flags), sendto(data, addr, flags): at 2, 3, 4. */
static int send_some(lua_State *L, struct wait *w, const char *name) {
  struct lsocket *s = lua_touserdata(L, 1);
  struct iovec iov;
  struct sock_msg m = {.iov = &iov, .niov = 1};
  char text[ADDR_TEXTLEN];
  int err = socket_ready(s, w);
  ssize_t n = err;
  if (err == 0 && !lua_isnil(L, 3))
    n = err = laddr_check(L, 3, &m.addr);
  iov.iov_base = (void *)lua_tolstring(L, 2, &iov.iov_len);
  if (err == 0)
    n = sock_send(s->watch.fd, &m, (int)lua_tointeger(L, 4));
  if (n < 0 && n != -EAGAIN && m.addr.len > 0)
    return neap_failf(L, (int)n, "%s %s", name, addr_text(&m.addr, text));
  if (n < 0)
    return socket_wait(L, w, s, (int)n, POLLER_OUT, name);
  lua_pushinteger(L, n);
  return 1;
}

static int send_step(lua_State *L, struct core *c, struct wait *w) {
  (void)c;
  return send_some(L, w, "send");
}

static int sendto_step(lua_State *L, struct core *c, struct wait *w) {
  (void)c;
  return send_some(L, w, "sendto");
}

static int l_send(lua_State *L) {
  static const struct op op = {"send", send_step, NULL};
  int flags = socket_optflags(L, 3);
  socket_check(L);
  luaL_checktype(L, 2, LUA_TSTRING);
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_pushinteger(L, flags);
  return socket_op(L, &op, flags);
}

static int l_sendto(lua_State *L) {
  static const struct op op = {"sendto", sendto_step, NULL};
  int flags = socket_optflags(L, 4);
  struct addr a;
  socket_check(L);
  luaL_checktype(L, 2, LUA_TSTRING);
  laddr_check(L, 3, &a);
  lua_settop(L, 3);
  lua_pushinteger(L, flags);
  return socket_op(L, &op, flags);
}

/* ---- recv ---- */

/* Too long for the room, and so lost: that is said, with its true length. */
static int too_long(lua_State *L, const char *name, size_t n, size_t room) {
  neap_failf(L, -EMSGSIZE, "%s: a message of %I bytes, room for %I", name,
             (LUAI_UACINT)n, (LUAI_UACINT)room);
  lua_pushinteger(L, (lua_Integer)n);
  return 4;
}

/* What came into the room on top: data, [address,] [its true length]. */
static int received(lua_State *L, const struct lsocket *s,
                    const struct sock_msg *m, size_t n, bool from, int asked) {
  const char *name = from ? "recvfrom" : "recv";
  size_t room = m->iov->iov_len, have = n < room ? n : room;
  if (s->type == SOCK_STREAM && asked & MSG_TRUNC)
    have = 0; /* thrown away, as asked */
  lua_pushlstring(L, m->iov->iov_base, have);
  room_give(L, -2);
  if (n == 0 && room > 0 && !sock_datagrams(s->type))
    return neap_fail(L, ERR_EOF, name);
  if (m->flags & MSG_TRUNC && !(asked & MSG_TRUNC))
    return too_long(L, name, n, room);
  if (from)
    laddr_pushtable(L, &m->addr);
  if (asked & MSG_TRUNC)
    lua_pushinteger(L, (lua_Integer)n);
  return 1 + from + ((asked & MSG_TRUNC) != 0);
}

/* recv(max, flags): at 2 and 3. */
static int receive(lua_State *L, struct wait *w, bool from) {
  struct lsocket *s = lua_touserdata(L, 1);
  int flags = (int)lua_tointeger(L, 3);
  struct iovec iov = {NULL, (size_t)lua_tointeger(L, 2)};
  struct sock_msg m = {.iov = &iov, .niov = 1};
  ssize_t n = socket_ready(s, w);
  if (n == 0) {
    iov.iov_base = room_take(L, iov.iov_len, 0)->bytes;
    n = sock_recv(s->watch.fd, &m, sock_recvflags(s->type, flags));
  }
  if (n >= 0)
    return received(L, s, &m, (size_t)n, from, flags);
  if (iov.iov_base != NULL)
    room_give(L, -1);
  lua_settop(L, 3);
  return socket_wait(L, w, s, (int)n, POLLER_IN, from ? "recvfrom" : "recv");
}

static int recv_step(lua_State *L, struct core *c, struct wait *w) {
  (void)c;
  return receive(L, w, false);
}

static int recvfrom_step(lua_State *L, struct core *c, struct wait *w) {
  (void)c;
  return receive(L, w, true);
}

static int begin_receive(lua_State *L, const struct op *op) {
  lua_Integer max = ROOM_DATA;
  int flags = socket_optflags(L, 3);
  socket_check(L);
  if (!lua_isnoneornil(L, 2))
    max = neap_checkint(L, 2, 0, ROOM_MAX);
  lua_settop(L, 1);
  lua_pushinteger(L, max);
  lua_pushinteger(L, flags);
  return socket_op(L, op, flags);
}

static int l_recv(lua_State *L) {
  static const struct op op = {"recv", recv_step, NULL};
  return begin_receive(L, &op);
}

static int l_recvfrom(lua_State *L) {
  static const struct op op = {"recvfrom", recvfrom_step, NULL};
  return begin_receive(L, &op);
}

void socket_open_io(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"send",     l_send    },
    {"sendto",   l_sendto  },
    {"recv",     l_recv    },
    {"recvfrom", l_recvfrom},
    {NULL,       NULL      }
  };
  neap_setfuncs(L, methods);
}
