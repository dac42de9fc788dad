/* SPDX-License-Identifier: MIT
 * Listeners: made, accepting, closed. serve() and stop() are Lua. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "lua/laddr.h"
#include "lua/lconnect.h"
#include "lua/lstream.h"
#include "sys/addr.h"
#include "sys/setup.h"
#include "sys/sock.h"

#define LISTENER_CLASS "neap.listener"

struct listener {
  struct watch watch;
  struct lock acceptor;
  struct stream like;   /* what accepted streams begin with */
  struct sys_file file; /* the Unix path that it made */
  struct addr path;     /* len 0: none to unlink */
  int64_t timeout;      /* of accept */
  uint32_t turn;        /* of the loop, at the last accept */
  uint32_t run;         /* accepted since it was last found empty */
  enum fd_kind kind;
  bool shortdrains;
  bool bursts;          /* more than one comes at a time */
};

static struct listener *check(lua_State *L) {
  return neap_checkclass(L, 1, LISTENER_CLASS);
}

static struct listener *check_open(lua_State *L) {
  struct listener *l = check(L);
  if (l->watch.fd >= 0)
    return l;
  neap_fail(L, ERR_CLOSED, NULL);
  return NULL;
}

static struct listener *new_listener(lua_State *L, int options) {
  struct listener *l = lua_newuserdatauv(L, sizeof *l, 0);
  memset(l, 0, sizeof *l);
  watch_init(&l->watch, -1);
  lock_init(&l->acceptor);
  stream_init(&l->like);
  l->timeout = SYS_FOREVER;
  luaL_setmetatable(L, LISTENER_CLASS);
  lstream_options(L, options, &l->like);
  return l;
}

static void opened(struct listener *l, int fd, enum fd_kind kind) {
  l->watch.fd = fd;
  l->watch.ready = POLLER_IN;
  l->watch.level = true;
  l->kind = kind;
}

/* Unlinks only what is still its own. */
static void unlink_path(struct listener *l) {
  const char *path;
  struct sys_file now;
  if (l->path.len == 0 || addr_path(&l->path, &path) <= 0)
    return;
  if (sys_file(path, &now) == 0 && now.device == l->file.device &&
      now.inode == l->file.inode)
    sys_unlink(path);
  l->path.len = 0;
}

static int leave(struct core *c, struct listener *l, bool closing) {
  int fd = l->watch.fd;
  if (fd < 0)
    return fd;
  loop_drop(&c->loop, &l->watch, closing, ERR_CLOSED);
  while (!list_empty(&l->acceptor.queue))
    loop_wake(&c->loop,
              container_of(l->acceptor.queue.next, struct wait, node),
              ERR_CLOSED);
  l->watch.fd = -1;
  if (closing && !loop_forked(&c->loop))
    unlink_path(l);
  return fd;
}

static int l_close(lua_State *L) {
  int fd = leave(neap_core(L), check(L), true);
  return neap_result(L, fd < 0 ? 0 : sys_close(fd), "close");
}

/* ---- accept ---- */

/* What accept(2) reports of a connection that is gone already (see its
 * NOTES): not the listener's failure. */
static bool of_connection(int err) {
  switch (-err) {
  case ECONNABORTED:
  case EPROTO:
  case ENETDOWN:
  case EHOSTDOWN:
  case ENETUNREACH:
  case EHOSTUNREACH:
#ifdef ENONET
  case ENONET:
#endif
    return true;
  default:
    return false;
  }
}

static int accepted(lua_State *L, struct core *c, struct listener *l) {
  struct stream *s = lstream_new(L, c);
  int fd;
  do
    fd = sock_accept(l->watch.fd, NULL);
  while (of_connection(fd));
  if (fd < 0) {
    lua_pop(L, 1);
    return fd;
  }
  s->timeout = l->like.timeout;
  s->maxline = l->like.maxline;
  s->maxread = l->like.maxread;
  stream_open(s, fd, l->kind, l->shortdrains);
  return 1;
}

static int accept_failed(lua_State *L, struct listener *l, int err) {
  char text[ADDR_TEXTLEN] = "";
  struct addr a;
  if (err == ERR_CLOSED)
    return neap_fail(L, err, NULL);
  if (sock_name(l->watch.fd, &a) == 0)
    addr_text(&a, text);
  return neap_failf(L, err, "accept %s", text);
}

/* To find a listener empty costs a call. While connections come one by one it
 * is not asked; when they come in bursts it is cheaper than to poll again for
 * each. */
static void after_accept(struct core *c, struct listener *l) {
  l->run++;
  if (!l->bursts)
    l->bursts = c->loop.turns - l->turn <= 1;
  if (!l->bursts)
    l->watch.ready = 0;
  l->turn = c->loop.turns;
}

static int await_connection(struct core *c, struct wait *w,
                            struct listener *l) {
  l->bursts = l->bursts && l->run > 1;
  l->run = 0;
  l->watch.ready = 0;
  return await_watch(c, w, &l->watch, POLLER_IN);
}

static int accept_step(lua_State *L, struct core *c, struct wait *w) {
  struct listener *l = lua_touserdata(L, 1);
  int n;
  if (l->watch.fd < 0)
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return accept_failed(L, l, w->result);
  if (!lock_take(&l->acceptor, w)) {
    await_wake(c, w, &l->acceptor.queue, true);
    return OP_WAIT;
  }
  n = l->watch.ready != 0 ? accepted(L, c, l) : -EAGAIN;
  if (n > 0)
    after_accept(c, l);
  if (n == -EAGAIN) {
    n = await_connection(c, w, l);
    if (n == 0)
      return OP_WAIT;
  }
  return n < 0 ? accept_failed(L, l, n) : n;
}

static int l_accept(lua_State *L) {
  static const struct op op = {"accept", accept_step, NULL};
  struct listener *l = check_open(L);
  int64_t timeout;
  if (l == NULL)
    return 3;
  timeout = lua_isnoneornil(L, 2) ? l->timeout : neap_opttimeout(L, 2);
  lua_settop(L, 1);
  return neap_op(L, &op, timeout);
}

/* ---- listening ---- */

static bool flag(lua_State *L, int options, const char *name,
                 bool otherwise) {
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
  int fd = leave(c, l, false);
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
  l = new_listener(L, 3);
  mptcp = flag(L, 3, "mptcp", false);
  err = mptcp ? sys_mptcp() : 0;
  if (err >= 0)
    err = sock_open(addr_family(&a), SOCK_STREAM, err);
  if (err < 0)
    return failed(L, c, l, err, &a);
  opened(l, err, FD_SOCKET);
  l->shortdrains = !mptcp;
  err = tune_tcp(L, l->watch.fd, addr_family(&a));
  if (err == 0)
    err = sock_bind(l->watch.fd, &a);
  if (err == 0)
    err = sock_listen(l->watch.fd, backlog(L, 3));
  return err < 0 ? failed(L, c, l, err, &a) : 1;
}

/* A socket file that nobody listens on any more is replaced. */
static int bind_unix(int fd, const struct addr *a) {
  const char *path;
  int err = sock_bind(fd, a);
  if (err != -EADDRINUSE || !sys_stale(a) || addr_path(a, &path) <= 0)
    return err;
  err = sys_unlink(path);
  return err < 0 ? err : sock_bind(fd, a);
}

/* listen_unix(path, nil, options) */
static int l_listen_unix(lua_State *L) {
  struct core *c = neap_core(L);
  struct listener *l;
  struct addr a;
  const char *path;
  int err;
  lconnect_path(L, 1, &a);
  luaL_checktype(L, 3, LUA_TTABLE);
  l = new_listener(L, 3);
  err = sock_open(AF_UNIX, SOCK_STREAM, 0);
  if (err < 0)
    return failed(L, c, l, err, &a);
  opened(l, err, FD_UNIX);
  err = bind_unix(l->watch.fd, &a);
  if (err == 0 && addr_path(&a, &path) > 0 && path[0] != '\0' &&
      sys_file(path, &l->file) == 0) {
    l->path = a;
    if (lua_getfield(L, 3, "mode") != LUA_TNIL)
      err = sys_chmod(path, (unsigned)lua_tointeger(L, -1));
    lua_pop(L, 1);
  }
  if (err == 0)
    err = sock_listen(l->watch.fd, backlog(L, 3));
  if (err < 0)
    unlink_path(l);
  return err < 0 ? failed(L, c, l, err, &a) : 1;
}

/* listen_fd(fd, options): one that was inherited. */
static int l_listen_fd(lua_State *L) {
  int fd = neap_checkfd(L, 1);
  struct listener *l = new_listener(L, 2);
  int err = sys_kind(fd);
  enum fd_kind kind = (enum fd_kind)err;
  if (err == FD_SOCKET || err == FD_UNIX)
    err = sys_getflag(fd, SYS_LISTENS) == 1 ? sys_nonblock(fd) : -EINVAL;
  else if (err >= 0)
    err = -ENOTSOCK;
  if (err < 0)
    return neap_failf(L, err, "listen on descriptor %d", fd);
  opened(l, fd, kind);
  l->watch.shared = true;
  return 1;
}

/* ---- the rest ---- */

static int l_getsockname(lua_State *L) {
  struct listener *l = check_open(L);
  return l == NULL ? 3 : lstream_name(L, l->watch.fd, false);
}

static int l_setsockopt(lua_State *L) {
  struct listener *l = check_open(L);
  int n;
  if (l == NULL)
    return 3;
  n = lsockopt_set(L, l->watch.fd, 2);
  if (n == 3)
    return n;
  lua_settop(L, 1);
  return 1;
}

static int l_getsockopt(lua_State *L) {
  struct listener *l = check_open(L);
  return l == NULL ? 3 : lsockopt_get(L, l->watch.fd, 2);
}

static int l_settimeout(lua_State *L) {
  struct listener *l = check_open(L);
  if (l == NULL)
    return 3;
  l->timeout = neap_opttimeout(L, 2);
  lua_settop(L, 1);
  return 1;
}

static int l_fileno(lua_State *L) {
  struct listener *l = check_open(L);
  if (l == NULL)
    return 3;
  l->watch.shared = true;
  lua_pushinteger(L, l->watch.fd);
  return 1;
}

static int l_detach(lua_State *L) {
  struct listener *l = check_open(L);
  if (l == NULL)
    return 3;
  lua_pushinteger(L, leave(neap_core(L), l, false));
  return 1;
}

static int l_isopen(lua_State *L) {
  lua_pushboolean(L, check(L)->watch.fd >= 0);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct listener *l = check(L);
  if (l->watch.fd < 0)
    lua_pushliteral(L, LISTENER_CLASS " (closed)");
  else
    lua_pushfstring(L, LISTENER_CLASS " (%d)", l->watch.fd);
  return 1;
}

/* ---- a connection's task ---- */

static bool is_error(int status) {
  return status != LUA_OK && status != LUA_YIELD;
}

/* Slot 3 holds the error, if there was one: the first counts. */
static int conn_closed(lua_State *L, int status, lua_KContext task) {
  struct stream *s = lua_touserdata(L, 1);
  (void)status;
  stream_close(s, s->loop);
  lua_settop(L, lua_gettop(L) < 3 ? 2 : 3);
  return task_end(L, lua_gettop(L) == 3 ? LUA_ERRRUN : LUA_OK, task);
}

/* What it wrote and setvbuf kept back is still to be sent. */
static int conn_end(lua_State *L, int status, lua_KContext task) {
  struct stream *s = lua_touserdata(L, 1);
  if (!is_error(status))
    lua_settop(L, 2);
  if (stream_unsent(s) == 0)
    return conn_closed(L, status, task);
  luaL_getmetafield(L, 1, "__close");
  lua_pushvalue(L, 1);
  return conn_closed(L, lua_pcallk(L, 1, 0, 0, task, conn_closed), task);
}

/* Like task_main, for handler(conn): closes it however the handler ends. It
 * is to be closed, so that a coroutine that is closed from outside closes it,
 * too, which wakes and so ends the task. */
static int conn_main(lua_State *L) {
  struct task *t = lua_touserdata(L, 1);
  t->status = TASK_LIVE;
  lua_pushvalue(L, 4);
  lua_replace(L, 1);
  lua_toclose(L, 1);
  return conn_end(L, lua_pcallk(L, 1, 0, 2, (lua_KContext)t, conn_end),
                  (lua_KContext)t);
}

/* serve(group, handler, conn): a task for the connection. */
static int l_serve(lua_State *L) {
  struct group *g = neap_checkclass(L, 1, GROUP_CLASS);
  lua_settop(L, 3);
  task_spawn(L, neap_core(L), g, conn_main, 1);
  return 0;
}

void neap_open_listener(lua_State *L) {
  static const luaL_Reg functions[] = {{"listen_tcp", l_listen_tcp},
                                       {"listen_unix", l_listen_unix},
                                       {"listen_fd", l_listen_fd},
                                       {"serve", l_serve},
                                       {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", l_close},
                                  {"__close", l_close},
                                  {"__tostring", l_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg methods[] = {
    {"accept", l_accept},         {"getsockname", l_getsockname},
    {"setsockopt", l_setsockopt}, {"getsockopt", l_getsockopt},
    {"settimeout", l_settimeout}, {"fileno", l_fileno},
    {"detach", l_detach},         {"isopen", l_isopen},
    {"close", l_close},           {NULL, NULL}};
  neap_class(L, LISTENER_CLASS, meta, methods);
  neap_setfuncs(L, functions);
  luaL_getmetatable(L, LISTENER_CLASS);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "listener"); /* for the methods that are Lua */
  lua_pop(L, 1);
}
