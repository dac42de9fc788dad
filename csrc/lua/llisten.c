/* SPDX-License-Identifier: MIT
 * Listeners are made: on an address, on a path, of a descriptor that was
 * inherited. */
#include <errno.h>

#include "lua/lconnect.h"
#include "lua/llistener.h"
#include "sys/sock.h"

static bool flag(lua_State *L, int options, const char *name, bool otherwise) {
  bool value = otherwise;
  if (lua_getfield(L, options, name) != LUA_TNIL)
    value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

static int backlog(lua_State *L, int options) {
  int n = SOMAXCONN;
  if (lua_getfield(L, options, "backlog") != LUA_TNIL)
    n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

/* Accepted connections inherit what is set here: it costs nothing later. */
static int tune_tcp(lua_State *L, int fd, int family) {
  int err = 0;
  if (flag(L, 3, "reuseaddr", true))
    err = sys_setflag(fd, SYS_REUSEADDR, 1);
  if (err == 0 && flag(L, 3, "reuseport", false))
    err = sys_setflag(fd, SYS_REUSEPORT, 1);
  if (err == 0 && family == AF_INET6)
    err = sys_setflag(fd, SYS_V6ONLY, flag(L, 3, "v6only", false));
  if (err == 0 && flag(L, 3, "nodelay", true))
    err = sys_setflag(fd, SYS_NODELAY, 1);
  if (err == 0)
    err = lconnect_keepalive(L, 3, fd);
  if (err == 0 && flag(L, 3, "fastopen", false))
    err = sys_setflag(fd, SYS_FASTOPEN, 64);
  return err;
}

static int failed(lua_State *L, struct core *c, struct listener *l, int err,
                  const struct addr *a) {
  char text[ADDR_TEXTLEN];
  int fd = listener_leave(c, l, false);
  if (fd >= 0)
    sys_close(fd);
  return neap_failf(L, err, "listen %s", addr_text(a, text));
}

/* listen_tcp(ip, port, options) */
static int l_listen_tcp(lua_State *L) {
  struct core *c = neap_core(L);
  struct listener *l;
  struct addr a;
  size_t len;
  bool mptcp;
  const char *ip = luaL_checklstring(L, 1, &len);
  int err = addr_ip(&a, ip, len, (unsigned)neap_checkint(L, 2, 0, 65535));
  luaL_checktype(L, 3, LUA_TTABLE);
  if (err < 0)
    return neap_failf(L, err, "listen %s", ip);
  l = listener_new(L, 3);
  mptcp = flag(L, 3, "mptcp", false);
  err = mptcp ? sys_mptcp() : 0;
  if (err >= 0)
    err = sock_open(addr_family(&a), SOCK_STREAM, err);
  if (err < 0)
    return failed(L, c, l, err, &a);
  listener_opened(l, err, FD_SOCKET);
  l->shortdrains = !mptcp;
  err = tune_tcp(L, l->watch.fd, addr_family(&a));
  if (err == 0)
    err = sock_bind(l->watch.fd, &a);
  if (err == 0)
    err = sock_listen(l->watch.fd, backlog(L, 3));
  return err < 0 ? failed(L, c, l, err, &a) : 1;
}

/* The option, or -1. */
static int mode(lua_State *L, int options) {
  int n = -1;
  if (lua_getfield(L, options, "mode") != LUA_TNIL)
    n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

/* What it accepts are message sockets. */
static void for_messages(lua_State *L, struct listener *l, int options) {
  core_openmessages(L);
  l->messages = true;
  if (lua_getfield(L, options, "maxmessage") != LUA_TNIL)
    l->maxmessage = (uint32_t)neap_checkint(L, lua_gettop(L), 1, 1 << 30);
  lua_pop(L, 1);
}

/* listen_unix(path, "stream" or "seqpacket", options) */
static int l_listen_unix(lua_State *L) {
  static const char *const names[] = {"stream", "seqpacket", NULL};
  bool messages = luaL_checkoption(L, 2, "stream", names) == 1;
  struct core *c = neap_core(L);
  struct listener *l;
  struct addr a;
  int err;
  lconnect_path(L, 1, &a);
  luaL_checktype(L, 3, LUA_TTABLE);
  l = listener_new(L, 3);
  err = sock_open(AF_UNIX, messages ? SOCK_SEQPACKET : SOCK_STREAM, 0);
  if (err < 0)
    return failed(L, c, l, err, &a);
  listener_opened(l, err, FD_UNIX);
  if (messages)
    for_messages(L, l, 3);
  err = ownpath_bind(&l->own, l->watch.fd, &a, mode(L, 3));
  if (err == 0)
    err = sock_listen(l->watch.fd, backlog(L, 3));
  if (err < 0)
    ownpath_unlink(&l->own);
  return err < 0 ? failed(L, c, l, err, &a) : 1;
}

/* listen_fd(fd, options): one that was inherited. */
static int l_listen_fd(lua_State *L) {
  int fd = neap_checkfd(L, 1);
  struct listener *l = listener_new(L, 2);
  int err = sys_kind(fd);
  enum fd_kind kind = (enum fd_kind)err;
  if (err == FD_SOCKET || err == FD_UNIX)
    err = sys_getflag(fd, SYS_LISTENS) == 1 ? sys_nonblock(fd) : -EINVAL;
  else if (err >= 0)
    err = -ENOTSOCK;
  if (err < 0)
    return neap_failf(L, err, "listen on descriptor %d", fd);
  listener_opened(l, fd, kind);
  l->watch.shared = true;
  if (sock_type(fd) == SOCK_SEQPACKET)
    for_messages(L, l, 2);
  return 1;
}

void listener_open_making(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"listen_tcp",  l_listen_tcp },
    {"listen_unix", l_listen_unix},
    {"listen_fd",   l_listen_fd  },
    {NULL,          NULL         }
  };
  neap_setfuncs(L, functions);
}
