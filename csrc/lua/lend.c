/* SPDX-License-Identifier: MIT
 * The end of a stream: half-closed, closed. */
#include <errno.h>

#include "base/error.h"
#include "lua/lstream.h"

/* ---- shutdown ---- */

enum { SHUTDOWN_READ, SHUTDOWN_WRITE, SHUTDOWN_BOTH };

static int shutdown_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lua_touserdata(L, 1);
  int err, how = (int)lua_tointeger(L, 2);
  if (!stream_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return lstream_fail(L, s, w->result, "shutdown");
  if (how != SHUTDOWN_READ && !lock_take(&s->writer, w)) {
    await_wake(c, w, &s->writer.queue, true);
    return OP_WAIT;
  }
  while (how != SHUTDOWN_READ && stream_unsent(s) > 0) {
    ssize_t n = stream_send(s, NULL, 0);
    if (n == -EAGAIN)
      return lstream_await(L, c, w, s, "shutdown");
    if (n < 0)
      return lstream_fail(L, s, (int)n, "shutdown");
  }
  err = stream_shutdown(s, how);
  if (err == -EAGAIN && s->session != NULL) {
    s->want = s->session->want;
    return lstream_await(L, c, w, s, "shutdown");
  }
  if (err < 0)
    return lstream_fail(L, s, err, "shutdown");
  if (how != SHUTDOWN_WRITE)
    s->watch.ready |= POLLER_IN; /* the end is there to be read */
  if (how != SHUTDOWN_WRITE && s->session != NULL && s->watch.rd != NULL)
    loop_wake(&c->loop, s->watch.rd, 0);
  lua_settop(L, 1);
  return 1;
}

static int l_shutdown(lua_State *L) {
  static const struct op op = {"shutdown", shutdown_step, NULL};
  static const char *const hows[] = {"r", "w", "rw", NULL};
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  lua_pushinteger(L, luaL_checkoption(L, 2, NULL, hows));
  lua_replace(L, 2);
  lua_settop(L, 2);
  return neap_op(L, &op, s->timeout);
}

/* ---- close ---- */

enum { DRAIN_MOST = 256 }; /* blocks */

/* close(2) makes a reset of what lies here unread, or comes later: tickets of
 * TLS 1.3, the peer's own end. It would cost the peer what is still under way.
 * Returns 0, or -EAGAIN for more to come. */
static int drain(struct stream *s, bool first) {
  char block[4096];
  struct channel *c = first ? s->session->under : NULL;
  ssize_t n;
  int i = 0;
  for (; c != NULL; c = c->under) /* sessions under it have ends, too */
    c->ops->shutdown(c, SHUTDOWN_WRITE);
  do
    n = sys_recv(s->watch.fd, block, sizeof block);
  while (n > 0 && ++i < DRAIN_MOST);
  if (n != -EAGAIN || s->watch.rd != NULL || sys_unsent(s->watch.fd) <= 0)
    return 0;
  s->watch.ready &= (uint8_t)~POLLER_IN;
  s->want = POLLER_IN;
  return -EAGAIN;
}

/* Many of a server's connections at once: not each by an event of its own. */
static void wait_together(struct core *c, struct wait *w, struct stream *s,
                          int64_t pause) {
  loop_drop(&c->loop, &s->watch, false, 0);
  w->until = (sys_now() / pause + 2) * pause;
  await_wake(c, w, NULL, false);
}

/* The end was said. The peer's own end wakes us, mostly; but nothing tells when
 * all is acknowledged, so that is asked again and again, after 4, 8, 16... ms:
 * a second in all, within the timeout. */
static void wait_drained(lua_State *L, struct core *c, struct wait *w,
                         struct stream *s, int *r) {
  int64_t pause = INT64_C(4000000) << w->progress;
  if (s->kind != FD_SOCKET || drain(s, w->progress == 0) == 0 ||
      w->progress == 8 || 2 * pause > s->timeout)
    return;
  if (w->progress == 0 || w->result == -ETIMEDOUT) {
    w->until = -1 - pause;
    w->progress++;
  }
  w->result = 0;
  *r = OP_WAIT;
  if (s->unhurried)
    wait_together(c, w, s, pause);
  else
    *r = lstream_await(L, c, w, s, "close");
}

/* Where no descriptor carries it, the other direction ends, too. */
static int end_session(struct stream *s) {
  int how = s->watch.hollow ? SHUTDOWN_BOTH : SHUTDOWN_WRITE;
  return s->session->ops->shutdown(s->session, how);
}

/* A session's end is said to the peer, or it would take what it got for cut
 * short. */
static int say_end(lua_State *L, struct core *c, struct wait *w,
                   struct stream *s, int *r) {
  int err;
  if (!stream_isopen(s) || s->session == NULL)
    return 0;
  if (!lock_take(&s->writer, w)) {
    await_wake(c, w, &s->writer.queue, true);
    *r = OP_WAIT;
    return 0;
  }
  err = end_session(s);
  if (err == 0)
    wait_drained(L, c, w, s, r);
  if (err != -EAGAIN)
    return 0; /* the peer may be gone, that is an end, too */
  s->want = s->session->want;
  *r = lstream_await(L, c, w, s, "close");
  return 0;
}

/* Sends what is buffered, after whoever writes now. Returns 0, a failure, or
 * OP_WAIT in *r. */
static int flush_all(lua_State *L, struct core *c, struct wait *w,
                     struct stream *s, int *r) {
  while (stream_isopen(s) && stream_unsent(s) > 0) {
    ssize_t n;
    if (!lock_take(&s->writer, w)) {
      await_wake(c, w, &s->writer.queue, true);
      *r = OP_WAIT;
      return 0;
    }
    n = stream_send(s, NULL, 0);
    if (n == -EAGAIN) {
      *r = lstream_await(L, c, w, s, "close");
      return 0;
    }
    if (n < 0)
      return (int)n;
  }
  return say_end(L, c, w, s, r);
}

/* Slot 2, once it is there: the error that interrupted the flush. */
static int close_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lua_touserdata(L, 1);
  int r = 0, err = w->result;
  if (lua_gettop(L) >= 2)
    return lua_error(L);
  if (err == -ETIMEDOUT && w->progress > 0) /* all was sent, the end was said */
    err = 0;
  if (err == 0)
    err = flush_all(L, c, w, s, &r);
  if (r > 0) /* it cannot even be waited for */
    stream_close(s, &c->loop);
  if (r != 0)
    return r;
  if (!stream_isopen(s))
    err = 0; /* another closed it, and had the failure if there was one */
  else if (err < 0)
    lstream_fail(L, s, err, "close");
  stream_close(s, &c->loop);
  if (err < 0)
    return 3;
  lua_pushboolean(L, 1);
  return 1;
}

static void close_interrupted(lua_State *L, struct core *c, struct wait *w) {
  (void)w;
  stream_close(lua_touserdata(L, 1), &c->loop);
  lua_settop(L, 2); /* the first counts */
}

static bool has_to_say(const struct stream *s) {
  return stream_queued(s) > 0 ||
         (s->session != NULL && s->writer.owner == NULL);
}

/* Nobody said for how long a peer that does not read may hold up the end of
 * its session. */
static int64_t patience(const struct stream *s) {
  const int64_t most = INT64_C(5000000000);
  return stream_queued(s) == 0 && s->timeout > most ? most : s->timeout;
}

int lend_close(lua_State *L) {
  static const struct op op = {"close", close_step, close_interrupted};
  struct core *c = neap_core(L);
  struct stream *s = lstream_check(L);
  int err;
  if (stream_isopen(s) && has_to_say(s) && !loop_forked(&c->loop) &&
      task_canwait(L, c)) {
    lua_settop(L, 1);
    return neap_op(L, &op, patience(s));
  }
  err = stream_close(s, &c->loop);
  return neap_result(L, err, "close");
}

int lend_gc(lua_State *L) {
  struct stream *s = lstream_check(L);
  stream_close(s, s->loop);
  s->magic = NULL;
  return 0;
}

const luaL_Reg lend_methods[] = {
  {"shutdown", l_shutdown},
  {"close",    lend_close},
  {NULL,       NULL      }
};
