/* SPDX-License-Identifier: MIT
 * Streams and codecs: what parses messages reads the bytes in the stream's own
 * queue, and what writes them sends its own memory. */
#include <errno.h>

#include "base/error.h"
#include "lua/codec.h"
#include "lua/lread.h"

enum { SEND_COST = 8 }; /* of the budget, for a system call */

static struct codec *check_codec(lua_State *L) {
  struct codec *codec = lua_touserdata(L, CODEC_AT);
  if (codec == NULL || lua_rawlen(L, CODEC_AT) < sizeof *codec ||
      codec->magic != CODEC_MAGIC)
    luaL_typeerror(L, CODEC_AT, "codec");
  if (codec->version != CODEC_VERSION || codec->size != sizeof *codec)
    luaL_error(L, "neap's parts are of different versions: %d and %d",
               (int)codec->version, CODEC_VERSION);
  return codec;
}

/* ---- receiving ---- */

static int decode_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int r = lread_begin(L, w, s, "receive");
  while (r == 0) {
    size_t n = bytes_len(&s->in), used = n;
    if (n > 0) {
      const struct codec *codec = lua_touserdata(L, CODEC_AT);
      r = codec->decode(L, bytes_head(&s->in), n, &used);
      if (bytes_len(&s->in) >= used) /* a finalizer may have closed it */
        bytes_consume(&s->in, used);
      return r;
    }
    if (s->ended != 0)
      return lstream_fail(L, s, s->ended, "receive");
    r = lread_fill(L, c, w, s, 1, "receive");
  }
  return r;
}

/* decode(stream, codec, ...): as the stream's receive, but the results are
 * what the codec makes of the bytes; what it does not take stays. */
static int l_decode(lua_State *L) {
  static const struct op op = {"receive", decode_step, NULL};
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  luaL_argcheck(L, check_codec(L)->decode != NULL, CODEC_AT,
                "this codec only encodes");
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

/* ---- sending ---- */

/* Can something be sent here and now, before others and without a wait? */
static bool may_send(lua_State *L, struct core *c, const struct stream *s) {
  return stream_isopen(s) && s->writer.owner == NULL && stream_unsent(s) == 0 &&
         task_quick(L, c);
}

/* Pushes false and what is left of the blocks, as strings. */
static int push_rest(lua_State *L, const struct iovec *blocks, int n,
                     size_t sent) {
  int i, results = 1;
  lua_pushboolean(L, 0);
  for (i = 0; i < n; i++) {
    size_t skip = sent < blocks[i].iov_len ? sent : blocks[i].iov_len;
    sent -= skip;
    if (skip == blocks[i].iov_len && i + 1 < n)
      continue;
    lua_pushlstring(L, (const char *)blocks[i].iov_base + skip,
                    blocks[i].iov_len - skip);
    results++;
  }
  return results;
}

/* encode(stream, codec, ...): sends what the codec makes of the arguments.
 * True; false and what is left of it, as strings to be written, because the
 * stream takes no more now, fails, or is another's; or nil if the codec does
 * not take the arguments. It never waits. */
static int l_encode(lua_State *L) {
  struct core *c = neap_core(L);
  struct stream *s = lstream_check(L);
  const struct codec *codec = check_codec(L);
  struct iovec blocks[CODEC_BLOCKS];
  size_t size = 0;
  ssize_t sent = 0;
  int i, n;
  luaL_argcheck(L, codec->encode != NULL, CODEC_AT, "this codec only decodes");
  n = codec->encode(L, blocks);
  if (n == 0) {
    lua_pushnil(L);
    return 1;
  }
  for (i = 0; i < n; i++)
    size += blocks[i].iov_len;
  if (may_send(L, c, s)) {
    sent = stream_send(s, blocks, n);
    c->budget -= SEND_COST;
  }
  if (sent < 0)
    sent = 0; /* writing the rest tells why */
  if ((size_t)sent < size || stream_unsent(s) > 0)
    return push_rest(L, blocks, n, (size_t)sent);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- idle streams ---- */

/* is_quiet(stream): true if it is open and nothing has come, neither bytes nor
 * an end; nil if that cannot be told without a wait. */
static int l_is_quiet(lua_State *L) {
  struct core *c = neap_core(L);
  struct stream *s = lstream_check(L);
  ssize_t n = ERR_EOF;
  if (stream_isopen(s) && bytes_len(&s->in) == 0 && s->reader.owner == NULL) {
    s->watch.ready |= POLLER_IN; /* the poller may not have told yet */
    n = stream_fill(s, c->scratch, 1);
  }
  if (n == -EAGAIN && s->session != NULL && s->session->more)
    lua_pushnil(L);
  else
    lua_pushboolean(L, n == -EAGAIN);
  return 1;
}

/* is_reading(stream): does a task wait for what comes? */
static int l_is_reading(lua_State *L) {
  lua_pushboolean(L, lstream_check(L)->reader.owner != NULL);
  return 1;
}

void neap_open_codec(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"decode",     l_decode    },
    {"encode",     l_encode    },
    {"is_quiet",   l_is_quiet  },
    {"is_reading", l_is_reading},
    {NULL,         NULL        }
  };
  neap_setfuncs(L, functions);
}
