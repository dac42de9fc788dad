/* SPDX-License-Identifier: MIT
 * The decoder of chunked bodies and their trailers, and the encoder. */
#include "lua/http/lhttp.h"

#include <string.h>

#include "http/chunk.h"
#include "http/names.h"
#include "http/text.h"

/* User values: the block of trailers that are not whole, the trailers. */
struct decoder {
  struct lhead trailers; /* block_append needs its block */
  struct http_chunk chunk;
  bool in_trailers, ended;
};

/* decoder([options]): the limits of trailers. */
int lhttp_decoder(lua_State *L) {
  struct decoder *d;
  lua_settop(L, 1);
  lua_pushvalue(L, 1); /* where lhttp_limit looks */
  d = lhttp_new(L, UP_DECODER, sizeof *d, 2);
  d->trailers.head.kind = HTTP_TRAILERS;
  d->trailers.head.limits = (struct http_limits){
    .head = lhttp_limit(L, "head", 1 << 13),
    .fields = lhttp_limit(L, "fields", 100),
  };
  lua_settop(L, 3);
  return 1;
}

static int decoder_fail(lua_State *L, struct decoder *d, const char *why,
                        int done) {
  d->trailers.failed = done;
  d->trailers.head.why = why;
  return lhttp_fail(L, "bad chunked body", why, -done);
}

/* Trailers that say how the message is framed are an attack. */
static int check_trailers(struct http_head *h) {
  uint32_t i;
  for (i = 0; i < h->nfields; i++)
    if (http_names[h->fields[i].id].flags & HTTP_FRAMING)
      return http_fail(h, 400, "a trailer that belongs into the head");
  return HTTP_DONE;
}

static int feed_trailers(lua_State *L, struct decoder *d, const char *p,
                         size_t n, size_t *used) {
  struct lhead *t = &d->trailers;
  struct http_field rows[LHEAD_ROWS];
  const char *base;
  int done = lhead_feed(L, 1, t, rows, p, n, &base, used);
  if (done > 0)
    done = check_trailers(&t->head);
  if (done <= 0)
    return done;
  d->ended = true;
  if (t->head.nfields > 0) {
    struct http_fields *f = headers_new(L, t->head.nfields, t->head.size);
    http_fields_take(f, &t->head, base);
    lua_setiuservalue(L, 1, 2);
  }
  block_free(L, 1, &t->pending);
  return done;
}

/* What one call decodes: a piece of the argument, or several put together. */
struct pieces {
  struct http_text first;
  struct scratch *all;
};

static void add_piece(lua_State *L, struct pieces *pieces, const char *p,
                      size_t n, size_t most) {
  if (pieces->first.n == 0) {
    pieces->first = (struct http_text){p, n};
    return;
  }
  if (pieces->all == NULL) {
    pieces->all = scratch_begin(L, most);
    scratch_put(L, pieces->all, pieces->first.p, pieces->first.n);
  }
  scratch_put(L, pieces->all, p, n);
}

static int feed_chunks(lua_State *L, struct decoder *d, const char **p,
                       const char *end, struct pieces *pieces) {
  size_t most = (size_t)(end - *p), used;
  int done = HTTP_MORE;
  while (*p < end && done != HTTP_DONE) {
    done = http_chunk_next(&d->chunk, *p, (size_t)(end - *p), &used);
    if (done < 0)
      return done;
    if (done == HTTP_CHUNK_DATA)
      add_piece(L, pieces, *p, used, most);
    *p += used;
  }
  return done;
}

/* decoder:feed(bytes, [from]) -> data (perhaps ""), and at the end of the body
 * the position after it; or a failure. */
static int decoder_feed(lua_State *L) {
  struct decoder *d = lhttp_self(L, UP_DECODER, "neap.decoder");
  struct pieces pieces = {
    {NULL, 0},
    NULL
  };
  size_t n, from, used;
  const char *bytes = lhttp_bytes(L, &n, &from), *p = bytes, *end = p + n;
  int done = d->trailers.failed;
  if (done < 0)
    return decoder_fail(L, d, d->trailers.head.why, done);
  luaL_argcheck(L, !d->ended, 1, "the body has ended");
  done = d->in_trailers ? HTTP_DONE : feed_chunks(L, d, &p, end, &pieces);
  if (done < 0)
    return decoder_fail(L, d, d->chunk.why, done);
  if (done == HTTP_DONE) {
    d->in_trailers = true;
    done = feed_trailers(L, d, p, (size_t)(end - p), &used);
    if (done < 0)
      return decoder_fail(L, d, d->trailers.head.why, done);
  }
  if (pieces.all != NULL)
    scratch_push(L, pieces.all);
  else
    lua_pushlstring(L, pieces.first.p, pieces.first.n);
  if (!d->ended)
    return 1;
  lua_pushinteger(L, (lua_Integer)(from + (size_t)(p - bytes) + used));
  return 2;
}

/* The headers that came after the body, or nil. */
static int decoder_trailers(lua_State *L) {
  lhttp_self(L, UP_DECODER, "neap.decoder");
  lua_getiuservalue(L, 1, 2);
  return 1;
}

/* chunk(data) -> a chunk of it; chunk(n) -> what stands before n bytes. */
int lhttp_chunk(lua_State *L) {
  char head[HTTP_CHUNK_HEAD];
  struct scratch *s;
  const char *data;
  size_t n;
  if (lua_isinteger(L, 1)) {
    lua_Integer size = lua_tointeger(L, 1);
    luaL_argcheck(L, size > 0, 1, "a chunk has at least one byte");
    n = http_chunk_head(head, (uint64_t)size);
    lua_pushlstring(L, head, n);
    return 1;
  }
  data = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n > 0, 1, "a chunk has at least one byte");
  s = scratch_begin(L, n + HTTP_CHUNK_HEAD + 2);
  scratch_put(L, s, head, http_chunk_head(head, n));
  scratch_put(L, s, data, n);
  scratch_text(L, s, "\r\n");
  scratch_push(L, s);
  return 1;
}

const luaL_Reg decoder_methods[] = {
  {"feed",     decoder_feed    },
  {"trailers", decoder_trailers},
  {NULL,       NULL            },
};
