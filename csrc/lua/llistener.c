/* SPDX-License-Identifier: MIT
 * The class of listeners: accepting, closing. How they are made is in
 * llisten.c; serve() and stop() are Lua. */
#include "lua/llistener.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "lua/lmsg.h"
#include "sys/sock.h"

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

struct listener *listener_new(lua_State *L, int options) {
  struct listener *l;
  core_checkopen(L, neap_core(L));
  l = lua_newuserdatauv(L, sizeof *l, 0);
  memset(l, 0, sizeof *l);
  watch_init(&l->watch, -1);
  lock_init(&l->acceptor);
  stream_init(&l->like);
  l->timeout = SYS_FOREVER;
  luaL_setmetatable(L, LISTENER_CLASS);
  lstream_options(L, options, &l->like);
  return l;
}

void listener_opened(struct listener *l, int fd, enum fd_kind kind) {
  l->watch.fd = fd;
  l->watch.ready = POLLER_IN;
  l->watch.level = true;
  l->kind = kind;
}

int listener_leave(struct core *c, struct listener *l, bool closing) {
  int fd = l->watch.fd;
  if (fd < 0)
    return fd;
  loop_drop(&c->loop, &l->watch, closing, ERR_CLOSED);
  loop_unlock(&c->loop, &l->acceptor, ERR_CLOSED);
  l->watch.fd = -1;
  if (closing && !loop_forked(&c->loop))
    ownpath_unlink(&l->own);
  return fd;
}

static int l_close(lua_State *L) {
  int fd = listener_leave(neap_core(L), check(L), true);
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

static int next_connection(struct listener *l) {
  int fd;
  do
    fd = sock_accept(l->watch.fd, NULL);
  while (of_connection(fd));
  return fd;
}

static int accepted_messages(lua_State *L, struct core *c, struct listener *l) {
  struct msgsock *s = lmsg_new(L, c, MSGSOCK_SEQPACKET, 0);
  int fd = next_connection(l);
  if (fd < 0) {
    lua_pop(L, 1);
    return fd;
  }
  s->timeout = l->like.timeout;
  if (l->maxmessage > 0)
    s->maxmessage = l->maxmessage;
  msgsock_open(s, fd, AF_UNIX);
  return 1;
}

static int accepted(lua_State *L, struct core *c, struct listener *l) {
  struct stream *s;
  int fd;
  if (l->messages)
    return accepted_messages(L, c, l);
  s = lstream_new(L, c);
  fd = next_connection(l);
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

int listener_accept(lua_State *L, struct core *c, struct wait *w,
                    struct listener *l) {
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
    pace_took(&l->pace, &l->watch, &c->loop);
  if (n == -EAGAIN) {
    pace_empty(&l->pace, &l->watch);
    n = await_watch(c, w, &l->watch, POLLER_IN);
    if (n == 0)
      return OP_WAIT;
  }
  return n < 0 ? accept_failed(L, l, n) : n;
}

static int accept_step(lua_State *L, struct core *c, struct wait *w) {
  return listener_accept(L, c, w, (struct listener *)w->object);
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
  lua_pushinteger(L, listener_leave(neap_core(L), l, false));
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

void neap_open_listener(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",       l_close   },
    {"__close",    l_close   },
    {"__tostring", l_tostring},
    {NULL,         NULL      }
  };
  static const luaL_Reg methods[] = {
    {"accept",      l_accept     },
    {"getsockname", l_getsockname},
    {"setsockopt",  l_setsockopt },
    {"getsockopt",  l_getsockopt },
    {"settimeout",  l_settimeout },
    {"fileno",      l_fileno     },
    {"detach",      l_detach     },
    {"isopen",      l_isopen     },
    {"close",       l_close      },
    {NULL,          NULL         }
  };
  neap_class(L, LISTENER_CLASS, meta, methods);
  listener_open_making(L);
  listener_open_serve(L);
  luaL_getmetatable(L, LISTENER_CLASS);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "listener"); /* for the methods that are Lua */
  lua_pop(L, 1);
}
