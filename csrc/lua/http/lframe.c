/* SPDX-License-Identifier: MIT
 * WebSocket frames, and what a WebSocket needs besides. */
#include "lua/http/lhttp.h"

#include <string.h>

#include "http/accept.h"
#include "http/frame.h"
#include "lua/codec.h"

enum { ROOM = 4096 }; /* a payload up to here is copied, not kept */

/* A side that receives, also as a codec. Its user value is the block of a
 * payload that is not whole. */
struct deframer {
  struct codec codec;
  struct ws_rules rules;
  struct ws_header header;
  struct utf8 text;
  struct block payload;
  char head[WS_HEADER_MAX]; /* a header that is not whole */
  uint8_t nhead;
  bool within; /* the header is whole, and its payload is being received */
  bool plain;  /* the message is text that no extension has changed */
  int failed;
};

static int deframer_decode(lua_State *L, const char *bytes, size_t n,
                           size_t *used);

/* deframer(masked, most, [rsv]): of a server frames are masked; a message has
 * `most` bytes; rsv: the bits that extensions use (4 is RSV1). */
int lhttp_deframer(lua_State *L) {
  lua_Integer most = luaL_checkinteger(L, 2), rsv = luaL_optinteger(L, 3, 0);
  struct deframer *d;
  luaL_argcheck(L, most > 0, 2, "must be positive");
  luaL_argcheck(L, rsv >= 0 && rsv <= 7, 3, "must be from 0 to 7");
  d = lhttp_new(L, UP_DEFRAMER, sizeof *d, 1);
  d->codec = (struct codec){.magic = CODEC_MAGIC,
                            .version = CODEC_VERSION,
                            .size = sizeof d->codec,
                            .decode = deframer_decode};
  d->rules.masked = lua_toboolean(L, 1);
  d->rules.most = (uint64_t)most;
  d->rules.rsv = (uint8_t)rsv;
  return 1;
}

static int fail(lua_State *L, int at, struct deframer *d, int code,
                const char *why) {
  d->failed = code;
  d->rules.why = why;
  block_free(L, at, &d->payload);
  return lhttp_fail(L, "bad WebSocket frame", why, -code);
}

/* Takes the header from what is pending and new bytes; *used of these. */
static int header(struct deframer *d, const char *p, size_t n, size_t *used) {
  size_t before = d->nhead, more = WS_HEADER_MAX - before;
  int done;
  if (before == 0) {
    done = ws_header(&d->rules, p, n, &d->header);
  } else {
    more = n < more ? n : more;
    memcpy(d->head + before, p, more);
    done = ws_header(&d->rules, d->head, before + more, &d->header);
  }
  if (done == HTTP_DONE) {
    *used = d->header.size - before;
    d->nhead = 0;
  } else if (done == HTTP_MORE) {
    if (before == 0)
      memcpy(d->head, p, n);
    d->nhead = (uint8_t)(before + n);
    *used = n;
  }
  return done;
}

/* The header is whole: what is the message? */
static void begin(struct deframer *d) {
  if (d->header.opcode == WS_TEXT || d->header.opcode == WS_BINARY) {
    d->plain = d->header.opcode == WS_TEXT && d->header.rsv == 0;
    d->text = (struct utf8){0};
  }
  d->within = true;
}

/* Checks a part of a payload; `last` ends the frame. 0 or a code. */
static int check(struct deframer *d, const char *p, size_t n, bool last) {
  if (d->header.opcode >= WS_CLOSE || !d->plain)
    return 0;
  if (!utf8_feed(&d->text, p, n))
    return -WS_BAD_TEXT;
  if (last && d->header.fin && !utf8_whole(&d->text))
    return -WS_BAD_TEXT;
  return 0;
}

/* The frame is whole, and its payload is here. */
static int give(lua_State *L, int at, struct deframer *d, const char *p,
                size_t n, size_t next) {
  const char *why;
  int code;
  d->within = false;
  if (d->header.opcode == WS_CLOSE && (code = ws_close(p, n, &why)) < 0)
    return fail(L, at, d, code, why);
  lua_pushinteger(L, d->header.opcode);
  lua_pushlstring(L, p, n);
  lua_pushboolean(L, d->header.fin);
  lua_pushinteger(L, (lua_Integer)next);
  lua_pushinteger(L, d->header.rsv);
  block_free(L, at, &d->payload);
  return 5;
}

/* All of the payload, which is no longer than the room, is in the bytes. */
static int at_once(lua_State *L, int at, struct deframer *d, const char *p,
                   size_t next) {
  size_t n = (size_t)d->header.length;
  char room[ROOM];
  int code;
  if (d->header.masked)
    ws_mask(room, p, n, d->header.key, 0);
  else
    memcpy(room, p, n);
  code = check(d, room, n, true);
  if (code < 0)
    return fail(L, at, d, code, "the text is not UTF-8");
  return give(L, at, d, room, n, next);
}

/* Keeps a part of the payload; true at its end. */
static int keep(lua_State *L, int at, struct deframer *d, const char *p,
                size_t n) {
  uint64_t before = d->payload.n;
  char *here = block_extend(L, at, &d->payload, n);
  if (d->header.masked && n > 0)
    ws_mask(here, p, n, d->header.key, before);
  else if (n > 0)
    memcpy(here, p, n);
  return check(d, here, n, before + n == d->header.length);
}

/* Takes a frame from a string that is on the stack, whose byte `from` is the
 * first of n: pushes what deframer:feed returns. */
static int feed(lua_State *L, int at, const char *p, size_t n, size_t from) {
  struct deframer *d = lua_touserdata(L, at);
  size_t used = 0, rest;
  int done = d->failed;
  if (done == 0)
    done = d->within ? HTTP_DONE : header(d, p, n, &used);
  if (done < 0)
    return fail(L, at, d, done, d->rules.why);
  if (done == HTTP_DONE) {
    if (!d->within)
      begin(d);
    p += used;
    n -= used;
    from += used;
    rest = (size_t)(d->header.length - d->payload.n);
    if (d->payload.n == 0 && n >= rest && rest <= ROOM)
      return at_once(L, at, d, p, from + rest);
    used = n < rest ? n : rest;
    done = keep(L, at, d, p, used);
    if (done < 0)
      return fail(L, at, d, done, "the text is not UTF-8");
    if (used == rest)
      return give(L, at, d, d->payload.data, d->payload.n, from + used);
  }
  lua_pushboolean(L, 0);
  return 1;
}

/* deframer:feed(bytes, [from]) -> opcode, payload, fin, position after the
 * frame, rsv; false if there must be more (the bytes are kept); or a failure,
 * whose fourth value is the code to close with. */
static int deframer_feed(lua_State *L) {
  size_t n, from;
  const char *p;
  lhttp_self(L, UP_DEFRAMER, "neap.deframer");
  p = lhttp_bytes(L, &n, &from);
  return feed(L, 1, p, n, from);
}

/* Is a short frame all there? Nothing of Lua's is made of it before all of it
 * was copied, so that it can be taken where it lies. */
static bool is_short(const struct deframer *d, const char *bytes, size_t n) {
  struct ws_rules rules = d->rules;
  struct ws_header h;
  return !d->within && d->nhead == 0 && d->failed == 0 &&
         ws_header(&rules, bytes, n, &h) == HTTP_DONE && h.length <= ROOM &&
         h.length <= n - h.size;
}

/* decode(stream, deframer) -> as feed, but the number of bytes that are left
 * instead of the position. */
static int deframer_decode(lua_State *L, const char *bytes, size_t n,
                           size_t *used) {
  int results;
  if (!is_short(lua_touserdata(L, CODEC_AT), bytes, n))
    bytes = lua_pushlstring(L, bytes, n);
  results = feed(L, CODEC_AT, bytes, n, 0);
  if (results == 5) {
    *used = (size_t)lua_tointeger(L, -2);
    lua_pushinteger(L, (lua_Integer)(n - *used));
    lua_replace(L, -3);
  }
  return results;
}

const luaL_Reg deframer_methods[] = {
  {"feed", deframer_feed},
  {NULL,   NULL         },
};

/* frame(opcode, payload, [fin, [key, [rsv]]]): key: 4 bytes, which mask it. */
int lhttp_frame(lua_State *L) {
  char head[WS_HEADER_MAX];
  size_t n, nkey = 4, size;
  lua_Integer opcode = luaL_checkinteger(L, 1), rsv = luaL_optinteger(L, 5, 0);
  const char *payload = luaL_checklstring(L, 2, &n);
  const char *key = luaL_optlstring(L, 4, NULL, &nkey);
  bool fin = lua_isnoneornil(L, 3) || lua_toboolean(L, 3);
  struct ws_header h = {.length = n, .fin = fin, .masked = key != NULL};
  struct scratch *s;
  luaL_argcheck(L,
                (opcode >= 0 && opcode <= 2) || (opcode >= 8 && opcode <= 10),
                1, "unknown opcode");
  luaL_argcheck(L, opcode < WS_CLOSE || (fin && n <= WS_CONTROL_MAX), 2,
                "a control frame is whole and has at most 125 bytes");
  luaL_argcheck(L, key == NULL || nkey == 4, 4, "a key has 4 bytes");
  luaL_argcheck(L, rsv >= 0 && rsv <= 7, 5, "must be from 0 to 7");
  h.opcode = (uint8_t)opcode;
  h.rsv = (uint8_t)rsv;
  if (key != NULL)
    memcpy(h.key, key, 4);
  size = ws_header_put(head, &h);
  s = scratch_begin(L, size + n);
  scratch_put(L, s, head, size);
  if (key != NULL)
    ws_mask(s->data + size, payload, n, h.key, 0);
  else
    memcpy(s->data + size, payload, n);
  s->n += n;
  scratch_push(L, s);
  return 1;
}

/* ---- frames as a codec ---- */

struct frames {
  struct codec codec;
  char room[WS_HEADER_MAX + ROOM];
};

/* A payload that is not text is none that a text frame takes. */
static bool is_sendable(lua_Integer opcode, const char *payload, size_t n) {
  struct utf8 u = {0};
  return opcode == WS_BINARY ||
         (opcode == WS_TEXT && utf8_feed(&u, payload, n) && utf8_whole(&u));
}

/* encode(stream, frames, opcode, payload, [key]): of a whole message that is
 * not long, or needs no mask. */
static int frames_encode(lua_State *L, struct iovec blocks[CODEC_BLOCKS]) {
  struct frames *f = lua_touserdata(L, CODEC_AT);
  lua_Integer opcode = lua_tointeger(L, CODEC_AT + 1);
  size_t n, nkey = 0, size;
  const char *payload = luaL_checklstring(L, CODEC_AT + 2, &n);
  const char *key = luaL_optlstring(L, CODEC_AT + 3, NULL, &nkey);
  struct ws_header h = {.length = n, .fin = true, .masked = key != NULL};
  if ((key != NULL && (nkey != 4 || n > ROOM)) ||
      !is_sendable(opcode, payload, n))
    return 0;
  h.opcode = (uint8_t)opcode;
  if (key != NULL)
    memcpy(h.key, key, 4);
  size = ws_header_put(f->room, &h);
  if (key != NULL)
    ws_mask(f->room + size, payload, n, h.key, 0);
  else if (n <= ROOM)
    memcpy(f->room + size, payload, n);
  blocks[0] = (struct iovec){f->room, n <= ROOM ? size + n : size};
  blocks[1] = (struct iovec){(char *)payload, n};
  return n <= ROOM ? 1 : 2;
}

/* frames(): the codec of what frame makes of messages. */
int lhttp_frames(lua_State *L) {
  struct frames *f = lua_newuserdatauv(L, sizeof *f, 0);
  memset(f, 0, sizeof *f);
  f->codec = (struct codec){.magic = CODEC_MAGIC,
                            .version = CODEC_VERSION,
                            .size = sizeof f->codec,
                            .encode = frames_encode};
  return 1;
}

/* utf8(bytes, [state]) -> the state after them, 0 where a character ends; nil
 * if they are no UTF-8. */
int lhttp_utf8(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_Integer state = luaL_optinteger(L, 2, 0);
  struct utf8 u = {
    .need = (uint8_t)(state & 3),
    .low = (uint8_t)(state >> 8),
    .high = (uint8_t)(state >> 16),
  };
  if (!utf8_feed(&u, bytes, n)) {
    luaL_pushfail(L);
    return 1;
  }
  lua_pushinteger(L, u.need == 0 ? 0 : u.need | u.low << 8 | u.high << 16);
  return 1;
}

/* accept_key(key) -> Sec-WebSocket-Accept */
int lhttp_accept(lua_State *L) {
  char text[WS_ACCEPT_LEN];
  size_t n;
  const char *key = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n == 24, 1, "a key has 24 bytes");
  ws_accept(text, key, n);
  lua_pushlstring(L, text, sizeof text);
  return 1;
}
