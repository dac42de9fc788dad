/* SPDX-License-Identifier: MIT
 * Streams as userdata: what the files of their methods share. */
#ifndef NEAP_LUA_LSTREAM_H
#define NEAP_LUA_LSTREAM_H

#include "base/util.h"
#include "io/stream.h"
#include "lua/ltask.h"
#include "lua/lsockopt.h"

#define STREAM_CLASS "neap.stream"

/* A closed stream, pushed; stream_open makes it one that is open. */
struct stream *lstream_new(lua_State *L, struct core *c);

/* The stream at slot 1; raises if that is none. */
struct stream *lstream_check(lua_State *L);

/* The same if it is open; else NULL, and nil, "closed", "ECLOSED" pushed. */
struct stream *lstream_open(lua_State *L);

/* What the operation works on. */
static inline struct stream *lstream_of(const struct wait *w) {
  return (struct stream *)w->object;
}

static inline struct core *lstream_core(const struct stream *s) {
  return container_of(s->loop, struct core, loop);
}

/* Pushes nil, "operation address: text", code; returns 3. */
int lstream_fail(lua_State *L, const struct stream *s, int err,
                 const char *operation);

/* timeout, maxline, maxread of the options table at `arg` (nil: none). */
void lstream_options(lua_State *L, int arg, struct stream *s);

/* Waits for what the channel lacks. Returns OP_WAIT, or a failure's results. */
int lstream_await(lua_State *L, struct core *c, struct wait *w,
                  struct stream *s, const char *operation);

/* Gives way, then goes on: for a step that was long. */
int lstream_turn(struct core *c, struct wait *w);

/* Pushes ip, port or a path. Returns the number of values, or a failure's. */
int lstream_name(lua_State *L, int fd, bool peer);

/* Calls what the maker of a stream without a descriptor has for this method
 * (lover.c) with all that is on the stack; fails with EOPNOTSUPP if it has
 * nothing. Returns the number of results. */
int lover_instead(lua_State *L, const char *method);

/* Pushes what the maker of the stream in slot 1 makes of a notification. */
int lover_event(lua_State *L, const char *bytes, size_t len);

/* The channel at `arg`, made by another object and used by no stream yet;
 * raises if it is none, or of another version. */
struct channel *lsession_channel(lua_State *L, int arg);

/* A session may hold what is already counted as sent, and the writer is gone
 * (the stream is at slot 1): a task of its own sees to it. */
void lsession_linger(lua_State *L, struct core *c, struct stream *s);

/* close(), also for __close and __gc (lend.c). */
int lend_close(lua_State *L);
int lend_gc(lua_State *L);

/* The methods, by file. */
extern const luaL_Reg lread_methods[], lreceive_methods[], lwrite_methods[],
  lpass_methods[], lend_methods[], lrecord_methods[];
void lwrite_open(lua_State *L);

#endif
