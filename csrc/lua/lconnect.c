/* SPDX-License-Identifier: MIT
 * Streams that begin here: connections to one address, and pairs. Which
 * addresses are tried, and when, is Lua's affair (neap.tcp). */
#include <errno.h>

#include "base/error.h"
#include "lua/lconnect.h"
#include "lua/lstream.h"
#include "sys/addr.h"
#include "sys/setup.h"
#include "sys/sock.h"

/* On the stack of every connect: the address in slots 1 and 2, the options,
 * the stream, and once there is one the error that interrupted. */
enum { SLOT_OPTIONS = 3, SLOT_STREAM = 4, SLOT_ERROR = 5 };

static int failed(lua_State *L, int err, const struct addr *a) {
  char text[ADDR_TEXTLEN];
  return neap_failf(L, err, "connect %s", addr_text(a, text));
}

static bool flag(lua_State *L, const char *name, bool otherwise) {
  bool value = otherwise;
  if (lua_getfield(L, SLOT_OPTIONS, name) != LUA_TNIL)
    value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

int lconnect_keepalive(lua_State *L, int options, int fd) {
  int err = 0;
  int type = lua_getfield(L, options, "keepalive");
  if (lua_toboolean(L, -1))
    err = sys_setflag(fd, SYS_KEEPALIVE, 1);
  if (err == 0 && type == LUA_TNUMBER)
    err = sys_setflag(fd, SYS_KEEPIDLE, (int)lua_tointeger(L, -1));
  lua_pop(L, 1);
  return err;
}

/* Where the connection is to come from: options.bindip, bindport. */
static int bind_source(lua_State *L, int fd) {
  struct addr from;
  size_t len;
  int err = 0;
  if (lua_getfield(L, SLOT_OPTIONS, "bindip") == LUA_TSTRING) {
    const char *ip = lua_tolstring(L, -1, &len);
    lua_getfield(L, SLOT_OPTIONS, "bindport");
    err = addr_ip(&from, ip, len, (unsigned)lua_tointeger(L, -1));
    lua_pop(L, 1);
    if (err == 0)
      sys_setflag(fd, SYS_REUSEADDR, 1);
    if (err == 0)
      err = sock_bind(fd, &from);
  }
  lua_pop(L, 1);
  return err;
}

/* The socket, tuned and bound; its stream owns it. */
static int open_tcp(lua_State *L, struct stream *s, const struct addr *to) {
  bool mptcp = flag(L, "mptcp", false);
  int fd, err, protocol = mptcp ? sys_mptcp() : 0;
  if (protocol < 0)
    return protocol;
  fd = sock_open(addr_family(to), SOCK_STREAM, protocol);
  if (fd < 0)
    return fd;
  stream_open(s, fd, FD_SOCKET, !mptcp);
  err = bind_source(L, fd);
  if (err == 0 && flag(L, "nodelay", true))
    err = sys_setflag(fd, SYS_NODELAY, 1);
  if (err == 0)
    err = lconnect_keepalive(L, SLOT_OPTIONS, fd);
  if (err == 0 && flag(L, "fastopen", false))
    err = sys_setflag(fd, SYS_FASTOPEN_CONNECT, 1);
  return err;
}

static void address(lua_State *L, struct addr *to) {
  size_t len;
  const char *text = lua_tolstring(L, 1, &len);
  if (lua_isnil(L, 2))
    addr_unix(to, text, len);
  else
    addr_ip(to, text, len, (unsigned)lua_tointeger(L, 2));
}

static int connect_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lua_touserdata(L, SLOT_STREAM);
  struct addr to;
  int err = w->result;
  if (lua_gettop(L) >= SLOT_ERROR)
    return lua_error(L);
  address(L, &to);
  if (err == 0)
    err = w->progress == 0 ? sock_connect(s->watch.fd, &to)
                           : sys_error(s->watch.fd);
  /* A Unix listener whose queue is full reports EAGAIN, and no event. */
  if (err == -EINPROGRESS && w->progress == 0) {
    w->progress = 1;
    s->watch.ready = 0;
    err = await_watch(c, w, &s->watch, POLLER_OUT);
    if (err == 0)
      return OP_WAIT;
  }
  if (err < 0) {
    stream_close(s, &c->loop);
    return failed(L, err, &to);
  }
  s->watch.ready |= POLLER_IN | POLLER_OUT;
  lua_settop(L, SLOT_STREAM);
  return 1;
}

static void connect_interrupted(lua_State *L, struct core *c, struct wait *w) {
  (void)w;
  stream_close(lua_touserdata(L, SLOT_STREAM), &c->loop);
  lua_settop(L, SLOT_ERROR); /* the first counts */
}

static const struct op connect_op = {"connect", connect_step,
                                     connect_interrupted};

/* The time for this attempt; the stream's own timeout is an option, too. */
static int64_t limit(lua_State *L) {
  int64_t ns;
  lua_getfield(L, SLOT_OPTIONS, "timeout");
  ns = neap_opttimeout(L, lua_gettop(L));
  lua_pop(L, 1);
  return ns;
}

static int begin(lua_State *L, const struct addr *to, bool tcp) {
  struct core *c = neap_core(L);
  struct stream *s;
  int err, fd;
  neap_maywait(L, c, "connect");
  luaL_checktype(L, SLOT_OPTIONS, LUA_TTABLE);
  lua_settop(L, SLOT_OPTIONS);
  s = lstream_new(L, c);
  lstream_options(L, SLOT_OPTIONS, s);
  if (tcp) {
    err = open_tcp(L, s, to);
  } else {
    fd = err = sock_open(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0)
      stream_open(s, fd, FD_UNIX, false);
  }
  if (err < 0) {
    stream_close(s, &c->loop);
    return failed(L, err, to);
  }
  return neap_op(L, &connect_op, limit(L));
}

/* connect_tcp(ip, port, options) */
static int l_connect_tcp(lua_State *L) {
  struct addr to;
  size_t len;
  const char *ip = luaL_checklstring(L, 1, &len);
  int err = addr_ip(&to, ip, len, (unsigned)neap_checkint(L, 2, 0, 65535));
  return err < 0 ? neap_failf(L, err, "connect %s", ip) : begin(L, &to, true);
}

void lconnect_path(lua_State *L, int arg, struct addr *a) {
  size_t len;
  const char *path = luaL_checklstring(L, arg, &len);
  int err = addr_unix(a, path, len);
  luaL_argcheck(L, len > 0, arg, "empty path");
  luaL_argcheck(L, err != -ENAMETOOLONG, arg,
                "path too long for a Unix socket");
  luaL_argcheck(L, err == 0, arg, "the path holds a NUL");
}

/* connect_unix(path, nil, options) */
static int l_connect_unix(lua_State *L) {
  struct addr to;
  lconnect_path(L, 1, &to);
  return begin(L, &to, false);
}

/* pair_unix(options) */
static int l_pair_unix(lua_State *L) {
  struct core *c = neap_core(L);
  struct stream *a = lstream_new(L, c);
  struct stream *b = lstream_new(L, c);
  int fds[2], err;
  lstream_options(L, 1, a);
  lstream_options(L, 1, b);
  err = sock_pair(AF_UNIX, SOCK_STREAM, 0, fds);
  if (err < 0)
    return neap_fail(L, err, "socketpair");
  stream_open(a, fds[0], FD_UNIX, false);
  stream_open(b, fds[1], FD_UNIX, false);
  return 2;
}

/* isip(text): is it a numeric address? */
static int l_isip(lua_State *L) {
  struct addr a;
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  lua_pushboolean(L, addr_ip(&a, text, len, 0) == 0);
  return 1;
}

void neap_open_connect(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"connect_tcp",  l_connect_tcp },
    {"connect_unix", l_connect_unix},
    {"pair_unix",    l_pair_unix   },
    {"isip",         l_isip        },
    {NULL,           NULL          }
  };
  neap_setfuncs(L, functions);
}
