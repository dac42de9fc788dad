/* SPDX-License-Identifier: MIT
 * WebSocket frames, and what a WebSocket needs besides. */
#include "lua/http/lhttp.h"

#include <string.h>

#include "http/accept.h"
#include "http/frame.h"

/* A side that receives. Its user value is the block of a payload that is not
 * whole. */
struct deframer {
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

/* deframer(masked, most, [rsv]): of a server frames are masked; a message has
 * `most` bytes; rsv: the bits that extensions use (4 is RSV1). */
int lhttp_deframer(lua_State *L) {
  lua_Integer most = luaL_checkinteger(L, 2), rsv = luaL_optinteger(L, 3, 0);
  struct deframer *d;
  luaL_argcheck(L, most > 0, 2, "must be positive");
  luaL_argcheck(L, rsv >= 0 && rsv <= 7, 3, "must be from 0 to 7");
  d = lhttp_new(L, UP_DEFRAMER, sizeof *d, 1);
  d->rules.masked = lua_toboolean(L, 1);
  d->rules.most = (uint64_t)most;
  d->rules.rsv = (uint8_t)rsv;
  return 1;
}

static int fail(lua_State *L, struct deframer *d, int code, const char *why) {
  d->failed = code;
  d->rules.why = why;
  block_free(L, 1, &d->payload);
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
static int give(lua_State *L, struct deframer *d, const char *p, size_t n,
                size_t next) {
  const char *why;
  int code;
  d->within = false;
  if (d->header.opcode == WS_CLOSE && (code = ws_close(p, n, &why)) < 0)
    return fail(L, d, code, why);
  lua_pushinteger(L, d->header.opcode);
  lua_pushlstring(L, p, n);
  lua_pushboolean(L, d->header.fin);
  lua_pushinteger(L, (lua_Integer)next);
  lua_pushinteger(L, d->header.rsv);
  block_free(L, 1, &d->payload);
  return 5;
}

/* The whole payload is in the argument. */
static int at_once(lua_State *L, struct deframer *d, const char *p,
                   size_t next) {
  size_t n = (size_t)d->header.length;
  int code;
  if (d->header.masked && n > 0) {
    struct scratch *s = scratch_begin(L, n);
    ws_mask(s->data, p, n, d->header.key, 0);
    p = s->data;
  }
  code = check(d, p, n, true);
  if (code < 0)
    return fail(L, d, code, "the text is not UTF-8");
  return give(L, d, p, n, next);
}

/* Keeps a part of the payload; true at its end. */
static int keep(lua_State *L, struct deframer *d, const char *p, size_t n) {
  uint64_t at = d->payload.n;
  char *here;
  block_append(L, 1, &d->payload, p, n);
  here = d->payload.data + at;
  if (d->header.masked && n > 0)
    ws_mask(here, here, n, d->header.key, at);
  return check(d, here, n, at + n == d->header.length);
}

/* deframer:feed(bytes, [from]) -> opcode, payload, fin, position after the
 * frame, rsv; false if there must be more (the bytes are kept); or a failure,
 * whose fourth value is the code to close with. */
static int deframer_feed(lua_State *L) {
  struct deframer *d = lhttp_self(L, UP_DEFRAMER, "neap.deframer");
  size_t n, from, used = 0, rest;
  const char *p = lhttp_bytes(L, &n, &from);
  int done = d->failed;
  if (done == 0)
    done = d->within ? HTTP_DONE : header(d, p, n, &used);
  if (done < 0)
    return fail(L, d, done, d->rules.why);
  if (done == HTTP_DONE) {
    if (!d->within)
      begin(d);
    p += used;
    n -= used;
    from += used;
    rest = (size_t)(d->header.length - d->payload.n);
    if (d->payload.n == 0 && n >= rest)
      return at_once(L, d, p, from + rest);
    used = n < rest ? n : rest;
    done = keep(L, d, p, used);
    if (done < 0)
      return fail(L, d, done, "the text is not UTF-8");
    if (used == rest)
      return give(L, d, d->payload.data, d->payload.n, from + used);
  }
  lua_pushboolean(L, 0);
  return 1;
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
