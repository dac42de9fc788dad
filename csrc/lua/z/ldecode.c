/* SPDX-License-Identifier: MIT */
#include "lua/z/lz.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define DECODER_CLASS "neap.z.decoder"

enum { PIECE = 16384, REST = 1, WINDOW = 15 };

struct decoder {
  struct zdecoder z;
  size_t limit, made; /* bytes of all the text */
  size_t at;          /* so much of the rest (user value REST) is used */
  int err;            /* it has failed for good */
};

static struct decoder *check(lua_State *L) {
  return luaL_checkudata(L, 1, DECODER_CLASS);
}

/* Why it cannot go on, or 0. */
static int state_of(const struct decoder *d) {
  return d->err != 0 ? d->err : d->z.coder == NULL ? -EBADF : 0;
}

/* decoder(kind[, limit[, window_bits]]) */
static int l_decoder(lua_State *L) {
  enum zkind kind = (enum zkind)lz_kind(L, 1);
  size_t limit = lz_size(L, 2, SIZE_MAX);
  int bits = lz_option(L, 3, WINDOW, 8, WINDOW), err;
  struct decoder *d = lua_newuserdatauv(L, sizeof *d, 1);
  memset(d, 0, sizeof *d);
  d->limit = limit;
  luaL_setmetatable(L, DECODER_CLASS);
  err = zdecoder_open(&d->z, kind, bits);
  return err < 0 ? lz_fail(L, kind, err) : 1;
}

typedef int decoding(struct zdecoder *z, struct zspan *s);

/* Decodes to the buffer until `most` bytes were added in this call, so that
 * there may be more, or all was taken. One byte above the limit is tried for,
 * since only that tells. Adds to *made. */
static int decode(struct decoder *d, decoding *run, struct zspan *s,
                  luaL_Buffer *b, size_t most, size_t *made) {
  size_t piece = LUAL_BUFFERSIZE; /* the first is on the C stack */
  for (;; piece = PIECE) {
    size_t left = d->limit - d->made, room = piece;
    int err;
    if (most - *made < room)
      room = most - *made;
    if (left < room)
      room = left + 1;
    s->out = (uint8_t *)luaL_prepbuffsize(b, room);
    s->nout = room;
    err = run(&d->z, s);
    luaL_addsize(b, room - s->nout);
    d->made += room - s->nout;
    *made += room - s->nout;
    if (err < 0)
      return err;
    if (d->made > d->limit)
      return -EMSGSIZE;
    if (s->nout > 0)
      return 0;
    if (*made == most)
      return 1;
  }
}

/* What is left to be decoded with the new bytes behind it, at index 2. */
static struct zspan take(lua_State *L, struct decoder *d) {
  struct zspan s = {NULL, 0, NULL, 0};
  size_t n, rest;
  const char *bytes = luaL_checklstring(L, 2, &n);
  if (lua_getiuservalue(L, 1, REST) == LUA_TSTRING) {
    const char *old = lua_tolstring(L, -1, &rest);
    if (n == 0) {
      lua_replace(L, 2);
      bytes = old + d->at;
      n = rest - d->at;
    } else {
      luaL_Buffer b;
      luaL_buffinit(L, &b);
      luaL_addlstring(&b, old + d->at, rest - d->at);
      luaL_addlstring(&b, bytes, n);
      luaL_pushresult(&b);
      lua_replace(L, 2);
      d->at = 0;
      lua_settop(L, 3);
      bytes = lua_tolstring(L, 2, &n);
    }
  } else {
    d->at = 0;
  }
  lua_settop(L, 3);
  s.in = (const uint8_t *)bytes;
  s.nin = n;
  return s;
}

/* Keeps what was not used of the text at 2, or nothing. */
static void keep(lua_State *L, struct decoder *d, const struct zspan *s) {
  size_t whole;
  (void)lua_tolstring(L, 2, &whole);
  d->at = whole - s->nin;
  if (s->nin > 0)
    lua_pushvalue(L, 2);
  else
    lua_pushnil(L);
  lua_setiuservalue(L, 1, REST);
}

/* feed(bytes[, most]): text, and whether there may be more of it, which
 * feed("") gives. Without `most`, all that there is. */
static int l_feed(lua_State *L) {
  struct decoder *d = check(L);
  size_t most = lz_size(L, 3, SIZE_MAX), made = 0;
  luaL_Buffer b;
  struct zspan s;
  int more;
  luaL_argcheck(L, most > 0, 3, "room for a byte expected");
  if (state_of(d) != 0)
    return lz_fail(L, d->z.kind, state_of(d));
  s = take(L, d);
  luaL_buffinit(L, &b);
  more = decode(d, zdecoder_run, &s, &b, most, &made);
  luaL_pushresult(&b);
  if (more < 0) {
    d->err = more;
    return lz_fail(L, d->z.kind, more);
  }
  keep(L, d, &s);
  lua_pushboolean(L, more);
  return 2;
}

/* message(bytes, last, limit): a piece of a message of permessage-deflate. */
static int l_message(lua_State *L) {
  static const uint8_t tail[] = {0, 0, 0xff, 0xff};
  struct decoder *d = check(L);
  size_t n, made = 0;
  const char *bytes = luaL_checklstring(L, 2, &n);
  bool last = lua_toboolean(L, 3);
  luaL_Buffer b;
  struct zspan s = {(const uint8_t *)bytes, n, NULL, 0};
  int err;
  d->limit = lz_size(L, 4, SIZE_MAX);
  d->made = 0;
  d->z.ends = 0;
  luaL_argcheck(L, d->z.kind == ZRAW, 1, "a raw decoder expected");
  if (state_of(d) != 0)
    return lz_fail(L, d->z.kind, state_of(d));
  luaL_buffinit(L, &b);
  err = decode(d, zdecoder_message, &s, &b, SIZE_MAX, &made);
  if (err == 0 && last && d->z.state == ZRUNNING) {
    s.in = tail;
    s.nin = sizeof tail;
    err = decode(d, zdecoder_message, &s, &b, SIZE_MAX, &made);
    if (err == 0 && !zcoder_raw_between(d->z.coder))
      err = -EPIPE;
    d->z.state = ZSTART;
  }
  luaL_pushresult(&b);
  if (err == 0)
    return 1;
  d->err = err;
  return lz_fail(L, d->z.kind, err);
}

/* finish(): true and how many bytes behind the text were left out. */
static int l_finish(lua_State *L) {
  struct decoder *d = check(L);
  int err = state_of(d);
  if (err == 0 &&
      (lua_getiuservalue(L, 1, REST) != LUA_TNIL || zdecoder_finish(&d->z) < 0))
    err = -EPIPE;
  if (err != 0)
    return lz_fail(L, d->z.kind, err);
  lua_pushboolean(L, 1);
  lua_pushinteger(L, (lua_Integer)zdecoder_trail(&d->z));
  return 2;
}

/* reset(): the next text knows nothing of the last. */
static int l_reset(lua_State *L) {
  struct decoder *d = check(L);
  int err = state_of(d);
  luaL_argcheck(L, d->z.kind == ZRAW, 1, "a raw decoder expected");
  if (err == 0)
    err = d->err = zdecoder_forget(&d->z);
  if (err != 0)
    return lz_fail(L, d->z.kind, err);
  lua_settop(L, 1);
  return 1;
}

static int l_close(lua_State *L) {
  zdecoder_close(&check(L)->z);
  return 0;
}

void lz_open_decoder(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",    l_close},
    {"__close", l_close},
    {NULL,      NULL   }
  };
  static const luaL_Reg methods[] = {
    {"feed",    l_feed   },
    {"message", l_message},
    {"finish",  l_finish },
    {"reset",   l_reset  },
    {"close",   l_close  },
    {NULL,      NULL     }
  };
  luaL_newmetatable(L, DECODER_CLASS);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_decoder);
  lua_setfield(L, -2, "decoder");
}
