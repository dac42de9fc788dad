/* SPDX-License-Identifier: MIT
 * neap.socket: what makes sockets, names, connects and closes them. */
#include "lua/lsocket.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "lua/lresolve.h"
#include "lua/lsockopt.h"
#include "sys/consts.h"
#include "sys/fd.h"
#include "sys/sockopt.h"

struct lsocket *socket_new(lua_State *L) {
  struct lsocket *s;
  core_checkopen(L, neap_core(L));
  s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  watch_init(&s->watch, -1);
  s->core = neap_core(L);
  s->timeout = SYS_FOREVER;
  luaL_setmetatable(L, SOCKET_CLASS);
  return s;
}

void socket_set(struct lsocket *s, int fd, int type) {
  watch_init(&s->watch, fd);
  s->type = type;
}

struct lsocket *socket_check(lua_State *L) {
  return neap_checkclass(L, 1, SOCKET_CLASS);
}

/* ---- waiting ---- */

int socket_op(lua_State *L, const struct op *op, int flags) {
  struct lsocket *s = lua_touserdata(L, 1);
  if (flags & MSG_DONTWAIT)
    return op->step(L, s->core, NULL);
  return neap_op(L, op, s->timeout);
}

int socket_ready(const struct lsocket *s, const struct wait *w) {
  if (w != NULL && w->result < 0)
    return w->result;
  return s->watch.fd < 0 ? ERR_CLOSED : 0;
}

int socket_wait(lua_State *L, struct wait *w, struct lsocket *s, int err,
                unsigned want, const char *name) {
  if (err == ERR_CLOSED)
    return neap_fail(L, err, NULL);
  if (err == -EAGAIN && w != NULL) {
    err = await_watch(s->core, w, &s->watch, want);
    if (err == 0)
      return OP_WAIT;
    if (err == -EBUSY)
      return neap_failf(L, err, "%s: another task waits on this socket", name);
  }
  return neap_fail(L, err, name);
}

/* ---- making and closing ---- */

static int l_socket(lua_State *L) {
  int family = laddr_checkfamily(L, 1);
  int type = (int)neap_checkint(L, 2, 0, INT32_MAX);
  int fd, protocol = 0;
  struct lsocket *s;
  if (!lua_isnoneornil(L, 3))
    protocol = (int)neap_checkint(L, 3, 0, INT32_MAX);
  s = socket_new(L);
  fd = sock_open(family, type, protocol);
  if (fd < 0)
    return neap_fail(L, fd, "socket");
  socket_set(s, fd, sock_type(fd));
  return 1;
}

static int l_socketpair(lua_State *L) {
  int family = laddr_checkfamily(L, 1);
  int type = (int)neap_checkint(L, 2, 0, INT32_MAX);
  int err, protocol = 0, fds[2];
  struct lsocket *a, *b;
  if (!lua_isnoneornil(L, 3))
    protocol = (int)neap_checkint(L, 3, 0, INT32_MAX);
  a = socket_new(L);
  b = socket_new(L);
  err = sock_pair(family, type, protocol, fds);
  if (err < 0)
    return neap_fail(L, err, "socketpair");
  socket_set(a, fds[0], sock_type(fds[0]));
  socket_set(b, fds[1], sock_type(fds[1]));
  return 2;
}

/* fromfd(fd): the socket owns it from now on. */
static int l_fromfd(lua_State *L) {
  int fd = (int)neap_checkint(L, 1, 0, INT32_MAX);
  struct lsocket *s = socket_new(L);
  int type = sock_type(fd);
  int err = type < 0 ? type : sys_nonblock(fd);
  if (err < 0)
    return neap_fail(L, err, "fromfd");
  socket_set(s, fd, type);
  s->watch.shared = true;
  return 1;
}

static int take_fd(struct lsocket *s, bool closing) {
  int fd = s->watch.fd;
  if (fd >= 0)
    loop_drop(&s->core->loop, &s->watch, closing, ERR_CLOSED);
  s->watch.fd = -1;
  return fd;
}

/* Of a socket, or of a descriptor that came with a message. */
static int l_close(lua_State *L) {
  int fd;
  if (lua_type(L, 1) == LUA_TNUMBER)
    return neap_result(L, sys_close((int)neap_checkint(L, 1, 0, INT32_MAX)),
                       "close");
  fd = take_fd(socket_check(L), true);
  if (fd >= 0)
    sys_close(fd);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_detach(lua_State *L) {
  int fd = take_fd(socket_check(L), false);
  if (fd < 0)
    return neap_fail(L, ERR_CLOSED, NULL);
  lua_pushinteger(L, fd);
  return 1;
}

/* Whoever has the number may duplicate the descriptor. */
static int l_fileno(lua_State *L) {
  struct lsocket *s = socket_check(L);
  if (s->watch.fd < 0)
    return neap_fail(L, ERR_CLOSED, NULL);
  s->watch.shared = true;
  lua_pushinteger(L, s->watch.fd);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct lsocket *s = socket_check(L);
  if (s->watch.fd < 0)
    lua_pushliteral(L, SOCKET_CLASS " (closed)");
  else
    lua_pushfstring(L, SOCKET_CLASS " (fd %d)", s->watch.fd);
  return 1;
}

/* ---- names and connections ---- */

int socket_self(lua_State *L, int err, const char *name, const struct addr *a) {
  char text[ADDR_TEXTLEN];
  if (err == ERR_CLOSED)
    return neap_fail(L, err, NULL);
  if (err < 0 && a != NULL)
    return neap_failf(L, err, "%s %s", name, addr_text(a, text));
  if (err < 0)
    return neap_fail(L, err, name);
  lua_pushvalue(L, 1);
  return 1;
}

static int l_bind(lua_State *L) {
  struct lsocket *s = socket_check(L);
  struct addr a;
  int err = laddr_check(L, 2, &a);
  if (err == 0)
    err = s->watch.fd < 0 ? ERR_CLOSED : sock_bind(s->watch.fd, &a);
  return socket_self(L, err, "bind", &a);
}

static int l_listen(lua_State *L) {
  struct lsocket *s = socket_check(L);
  int backlog = SOMAXCONN;
  if (!lua_isnoneornil(L, 2))
    backlog = (int)neap_checkint(L, 2, 0, INT32_MAX);
  return socket_self(
    L, s->watch.fd < 0 ? ERR_CLOSED : sock_listen(s->watch.fd, backlog),
    "listen", NULL);
}

/* How far a connection that was begun has come: 0, a failure, or
 * -EAGAIN. */
static int connected(int fd) {
  struct addr peer;
  int err = sys_error(fd);
  if (err == 0)
    err = sock_peername(fd, &peer);
  return err == -ENOTCONN ? -EAGAIN : err;
}

static int connect_step(lua_State *L, struct core *c, struct wait *w) {
  struct lsocket *s = lua_touserdata(L, 1);
  struct addr a;
  int err = laddr_check(L, 2, &a);
  (void)c;
  if (err == 0)
    err = socket_ready(s, w);
  if (err == 0)
    err = w->progress++ == 0 ? sock_connect(s->watch.fd, &a)
                             : connected(s->watch.fd);
  if (err == -EINPROGRESS || (err == -EAGAIN && w->progress > 1))
    return socket_wait(L, w, s, -EAGAIN, POLLER_OUT, "connect");
  return socket_self(L, err, "connect", &a);
}

static int l_connect(lua_State *L) {
  static const struct op op = {"connect", connect_step, NULL};
  struct addr a;
  socket_check(L);
  laddr_check(L, 2, &a);
  lua_settop(L, 2);
  return socket_op(L, &op, 0);
}

/* The socket for what is accepted is at 2. */
static int accept_step(lua_State *L, struct core *c, struct wait *w) {
  struct lsocket *s = lua_touserdata(L, 1);
  struct lsocket *new = lua_touserdata(L, 2);
  struct addr a;
  int err = socket_ready(s, w);
  (void)c;
  if (err == 0)
    err = sock_accept(s->watch.fd, &a);
  if (err < 0)
    return socket_wait(L, w, s, err, POLLER_IN, "accept");
  socket_set(new, err, s->type);
  lua_pushvalue(L, 2);
  laddr_pushtable(L, &a);
  return 2;
}

static int l_accept(lua_State *L) {
  static const struct op op = {"accept", accept_step, NULL};
  int flags = socket_optflags(L, 2);
  socket_check(L);
  lua_settop(L, 1);
  socket_new(L);
  return socket_op(L, &op, flags);
}

static int push_name(lua_State *L, int (*ask)(int, struct addr *),
                     const char *name) {
  struct lsocket *s = socket_check(L);
  struct addr a;
  int err = s->watch.fd < 0 ? ERR_CLOSED : ask(s->watch.fd, &a);
  if (err < 0)
    return socket_self(L, err, name, NULL);
  laddr_pushtable(L, &a);
  return 1;
}

static int l_getsockname(lua_State *L) {
  return push_name(L, sock_name, "getsockname");
}

static int l_getpeername(lua_State *L) {
  return push_name(L, sock_peername, "getpeername");
}

/* How: "r", "w", "rw", or SHUT_RD, SHUT_WR, SHUT_RDWR. */
static int l_shutdown(lua_State *L) {
  static const char *const names[] = {"r", "w", "rw", NULL};
  struct lsocket *s = socket_check(L);
  int how = lua_type(L, 2) == LUA_TNUMBER ? (int)neap_checkint(L, 2, 0, 2)
                                          : luaL_checkoption(L, 2, NULL, names);
  int err = s->watch.fd < 0 ? ERR_CLOSED : sys_shutdown(s->watch.fd, how);
  return socket_self(L, err, "shutdown", NULL);
}

/* ---- the module ---- */

static void set_constants(lua_State *L) {
  const struct sockopt *o;
  const char *name;
  int64_t number;
  size_t i;
  for (i = 0; (name = consts_row(i, &number)) != NULL; i++) {
    lua_pushinteger(L, number);
    lua_setfield(L, -2, name);
  }
  for (i = 0; (o = sockopt_row(i)) != NULL; i++)
    if (o->number != OPT_ABSENT) {
      lua_pushinteger(L, o->number);
      lua_setfield(L, -2, o->name);
    }
}

static void set_methods(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"bind",        l_bind       },
    {"listen",      l_listen     },
    {"connect",     l_connect    },
    {"accept",      l_accept     },
    {"shutdown",    l_shutdown   },
    {"getsockname", l_getsockname},
    {"getpeername", l_getpeername},
    {"fileno",      l_fileno     },
    {"detach",      l_detach     },
    {"close",       l_close      },
    {NULL,          NULL         }
  };
  neap_setfuncs(L, methods);
  socket_open_options(L);
  socket_open_io(L);
  socket_open_msg(L);
}

/* core.socket: its functions and constants, and as `methods` what its class
 * looks methods up in. */
void neap_open_socket(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"socket",     l_socket     },
    {"socketpair", l_socketpair },
    {"fromfd",     l_fromfd     },
    {"options",    lsockopt_list},
    {NULL,         NULL         }
  };
  static const luaL_Reg meta[] = {
    {"__gc",       l_close   },
    {"__close",    l_close   },
    {"__tostring", l_tostring},
    {NULL,         NULL      }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  room_open(L);
  neap_class(L, SOCKET_CLASS, meta, none);
  lua_newtable(L);
  neap_setfuncs(L, functions);
  lookup_open(L);
  socket_open_poll(L);
  set_constants(L);
  luaL_getmetatable(L, SOCKET_CLASS);
  lua_getfield(L, -1, "__index");
  set_methods(L);
  lua_setfield(L, -3, "methods");
  lua_pop(L, 1);
  lua_setfield(L, -2, "socket");
}
