/* SPDX-License-Identifier: MIT
 * What only Unix sockets carry: descriptors, and who the peer is. */
#include <errno.h>

#include "base/error.h"
#include "lua/lstream.h"

static struct stream *open_unix(lua_State *L, const char *operation) {
  struct stream *s = lstream_open(L);
  if (s != NULL && (s->kind != FD_UNIX || s->session != NULL)) {
    neap_fail(L, -EOPNOTSUPP, operation);
    return NULL;
  }
  return s;
}

/* ---- sendfd(fd, ...) ---- */

static int sendfd_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int fds[FD_MAXPASS], i, n = lua_gettop(L) - 1;
  if (!stream_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return lstream_fail(L, s, w->result, "sendfd");
  if (!lock_take(&s->writer, w)) {
    await_wake(c, w, &s->writer.queue, true);
    return OP_WAIT;
  }
  for (i = 0; i < n; i++)
    fds[i] = (int)lua_tointeger(L, i + 2);
  for (;;) {
    ssize_t sent = stream_unsent(s) > 0 ? stream_send(s, NULL, 0)
                                        : sys_sendfds(s->watch.fd, fds, n);
    if (sent == -EAGAIN) {
      s->watch.ready &= (uint8_t)~POLLER_OUT;
      s->want = POLLER_OUT;
      return lstream_await(L, c, w, s, "sendfd");
    }
    if (sent < 0)
      return lstream_fail(L, s, (int)sent, "sendfd");
    if (stream_unsent(s) == 0 && sent == 1)
      break;
  }
  s->sent++;
  lua_settop(L, 1);
  return 1;
}

/* What is passed has a duplicate from now on: a stream's descriptor must be
 * taken out of the poller before it is closed. */
static void mark_shared(lua_State *L, int arg) {
  struct stream *s = luaL_testudata(L, arg, STREAM_CLASS);
  if (s != NULL)
    s->watch.shared = true;
}

static int l_sendfd(lua_State *L) {
  static const struct op op = {"sendfd", sendfd_step, NULL};
  struct stream *s = open_unix(L, "sendfd");
  int i, top = lua_gettop(L);
  if (s == NULL)
    return 3;
  luaL_checkany(L, 2);
  luaL_argcheck(L, top - 1 <= FD_MAXPASS, FD_MAXPASS + 2,
                "too many descriptors for one message");
  for (i = 2; i <= top; i++) {
    int fd = neap_checkfd(L, i);
    mark_shared(L, i);
    lua_pushinteger(L, fd);
    lua_replace(L, i);
  }
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

/* ---- receivefd() ---- */

/* Takes them only when they can be pushed without raising. */
static int take(lua_State *L, struct stream *s) {
  int fds[FD_MAXPASS], i, n;
  luaL_checkstack(L, FD_MAXPASS, "descriptors");
  n = stream_takefds(s, fds);
  for (i = 0; i < n; i++)
    lua_pushinteger(L, fds[i]);
  return n;
}

static int receivefd_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  if (!stream_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return lstream_fail(L, s, w->result, "receivefd");
  if (!lock_take(&s->reader, w))
    return lstream_fail(L, s, -EBUSY, "receivefd");
  for (;;) {
    ssize_t n = take(L, s);
    if (n > 0)
      return (int)n;
    if (n == 0 && bytes_len(&s->in) > 0)
      n = -EBUSY;
    if (n < 0)
      return neap_fail(L, (int)n,
                       n == -EBUSY ? "receivefd: unread bytes come first"
                                   : "receivefd: descriptors over the limit");
    n = stream_fill(s, c->scratch, 1);
    if (n == -EAGAIN)
      return lstream_await(L, c, w, s, "receivefd");
    if (n < 0)
      return lstream_fail(L, s, (int)n, "receivefd");
  }
}

static int l_receivefd(lua_State *L) {
  static const struct op op = {"receivefd", receivefd_step, NULL};
  struct stream *s = open_unix(L, "receivefd");
  if (s == NULL)
    return 3;
  lua_settop(L, 1);
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

static int l_getpeercred(lua_State *L) {
  struct stream *s = open_unix(L, "getpeercred");
  struct sys_cred cred;
  int err;
  if (s == NULL)
    return 3;
  err = sys_peercred(s->watch.fd, &cred);
  if (err < 0)
    return lstream_fail(L, s, err, "getpeercred");
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, cred.pid);
  lua_setfield(L, -2, "pid");
  lua_pushinteger(L, cred.uid);
  lua_setfield(L, -2, "uid");
  lua_pushinteger(L, cred.gid);
  lua_setfield(L, -2, "gid");
  return 1;
}

const luaL_Reg lpass_methods[] = {
  {"sendfd",      l_sendfd     },
  {"receivefd",   l_receivefd  },
  {"getpeercred", l_getpeercred},
  {NULL,          NULL         }
};
