/* SPDX-License-Identifier: MIT
 * A session is put over a stream: what it reads and writes from then on goes
 * through it. */
#include <errno.h>

#include "base/error.h"
#include "io/fdchannel.h"
#include "lua/lstream.h"

/* stream -> its session, or a list of several; weak keys */
static const char sessions_key = 'k';

/* Pushes the session of the stream at slot 1, or the list, or nil. */
static int push_sessions(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sessions_key);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_type(L, -1);
}

/* The stream keeps the session at slot 2, and the sessions under it. */
static void anchor(lua_State *L) {
  int type = push_sessions(L);
  if (type == LUA_TUSERDATA) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
  }
  lua_pushvalue(L, 2);
  if (type != LUA_TNIL)
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sessions_key);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_settop(L, 2);
}

struct channel *lsession_channel(lua_State *L, int arg) {
  struct channel *c = lua_touserdata(L, arg);
  if (lua_type(L, arg) != LUA_TUSERDATA || lua_rawlen(L, arg) < sizeof *c ||
      c->magic != CHANNEL_MAGIC)
    luaL_typeerror(L, arg, "channel");
  if (c->version != CHANNEL_VERSION || c->size != sizeof *c)
    luaL_error(L, "neap's parts are of different versions: %d and %d",
               (int)c->version, (int)CHANNEL_VERSION);
  luaL_argcheck(L, c->under == NULL && c->owner == NULL, arg,
                "this channel is in use");
  return c;
}

static int handshake_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int err;
  if (!stream_isopen(s) || s->session == NULL)
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return lstream_fail(L, s, w->result, "handshake");
  if (!lock_take(&s->reader, w))
    return lstream_fail(L, s, -EBUSY, "handshake");
  err = s->session->ops->handshake(s->session);
  if (err == -EAGAIN) {
    s->want = s->session->want;
    return lstream_await(L, c, w, s, "handshake");
  }
  if (err == CHANNEL_PAUSED) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (err < 0) {
    s->ended = err;
    return lstream_fail(L, s, err, "handshake");
  }
  s->shortdrains = false;
  s->watch.ready |= POLLER_IN | POLLER_OUT; /* OpenSSL may have read ahead */
  lua_settop(L, 1);
  return 1;
}

static const struct op handshake_op = {"handshake", handshake_step, NULL};

/* handshake(stream): goes on after a pause. */
static int l_handshake(lua_State *L) {
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  lua_settop(L, 1);
  return neap_opon(L, lstream_core(s), &handshake_op, s, s->timeout);
}

/* session(stream, session): does the handshake, and returns the stream, or
 * false if the session pauses: then something is to be decided. What was read
 * or written before is not lost: it is refused. */
static int l_session(lua_State *L) {
  struct stream *s = lstream_open(L);
  struct channel *c;
  if (s == NULL)
    return 3;
  c = lsession_channel(L, 2);
  lua_settop(L, 2);
  neap_maywait(L, lstream_core(s), handshake_op.name);
  if (bytes_len(&s->in) > 0)
    return neap_fail(L, -EBUSY, "starttls: plaintext was received before");
  if (stream_unsent(s) > 0)
    return neap_fail(L, -EBUSY, "starttls: flush first");
  if (s->ended != 0)
    return lstream_fail(L, s, s->ended, "starttls");
  if (s->reader.owner != NULL || s->writer.owner != NULL)
    return neap_fail(L, -EBUSY, "starttls: a task reads or writes");
  anchor(L);
  c->under =
    s->session != NULL
      ? s->session
      : fdchannel_new(s->watch.fd, (enum fd_kind)s->kind, s->shortdrains);
  if (c->under == NULL)
    return neap_fail(L, -ENOMEM, "starttls");
  s->session = c;
  return neap_opon(L, lstream_core(s), &handshake_op, s, s->timeout);
}

/* ---- what a writer has left ---- */

static int linger_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  ssize_t n = 0;
  if (!lock_take(&s->writer, w) && stream_isopen(s) && w->result == 0) {
    await_wake(c, w, &s->writer.queue, true);
    return OP_WAIT;
  }
  while (n >= 0 && w->result == 0 && stream_isopen(s) && s->session != NULL &&
         s->session->held > 0)
    n = stream_send(s, NULL, 0);
  if (n == -EAGAIN) {
    int r = lstream_await(L, c, w, s, "flush");
    if (r == OP_WAIT)
      return r;
  }
  s->lingers = false;
  return 0; /* a failure is for who writes next */
}

static void linger_interrupted(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lua_touserdata(L, 1);
  (void)c;
  s->lingers = false;
  w->result = -ECANCELED;
}

/* Not by the stream's own timeout, which has passed already, nor for ever: a
 * peer that takes nothing gets the rest with what is written next. */
static int l_linger(lua_State *L) {
  static const struct op op = {"flush", linger_step, linger_interrupted};
  struct stream *s = lstream_check(L);
  return neap_opon(L, lstream_core(s), &op, s, INT64_C(30000000000));
}

void lsession_linger(lua_State *L, struct core *c, struct stream *s) {
  if (!stream_isopen(s) || s->session == NULL || s->session->held == 0 ||
      s->lingers)
    return;
  luaL_checkstack(L, 8, NULL);
  core_push(L); /* as every function of the core has it */
  lua_pushcclosure(L, l_linger, 1);
  lua_pushvalue(L, 1);
  task_spawn(L, c, NULL, task_main, 1);
  s->lingers = true;
  lua_pop(L, 1);
}

/* session_of(stream): the outermost, or nil. */
static int l_session_of(lua_State *L) {
  lua_settop(L, 1);
  if (push_sessions(L) == LUA_TTABLE)
    lua_rawgeti(L, -1, (lua_Integer)lua_rawlen(L, -1));
  return 1;
}

void neap_open_session(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"session",    l_session   },
    {"handshake",  l_handshake },
    {"session_of", l_session_of},
    {NULL,         NULL        }
  };
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sessions_key);
  neap_setfuncs(L, functions);
}
