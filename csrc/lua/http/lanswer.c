/* SPDX-License-Identifier: MIT
 * The answer that most requests get: fields that were written before, the
 * length, the date, and the body. */
#include "lua/http/lhttp.h"

#include <string.h>
#include <time.h>

#include "lua/codec.h"

enum {
  LINES_MAX = 96, /* the end of a head: the length, the date */
  ROOM = 4096,    /* an answer up to here is put together */
  BODY_MOST = 16384
};

static char *put(char *to, const char *p, size_t n) {
  memcpy(to, p, n);
  return to + n;
}

#define put_text(to, text) put(to, text, sizeof(text) - 1)

static char *put_number(char *to, uint64_t n) {
  char digits[20], *p = digits + sizeof digits;
  do {
    *--p = (char)('0' + n % 10);
    n /= 10;
  } while (n > 0);
  return put(to, p, (size_t)(digits + sizeof digits - p));
}

/* The last lines of a head, and the empty one. Returns their end. */
static char *put_lines(char *to, struct http_clock *clock, uint64_t length) {
  to = put_text(to, "Content-Length: ");
  to = put_number(to, length);
  to = put_text(to, "\r\nDate: ");
  to = put(to, http_clock_text(clock, (int64_t)time(NULL)), HTTP_DATE_LEN);
  return put_text(to, "\r\n\r\n");
}

/* answer(begin, body): `begin` are the status line and fields; all but the end
 * of a head. A length in place of the body: only the head for it. */
int lhttp_answer(lua_State *L) {
  size_t nbegin, nbody = 0;
  const char *begin = luaL_checklstring(L, 1, &nbegin), *body = NULL;
  struct scratch *s;
  uint64_t length;
  if (lua_isinteger(L, 2)) {
    lua_Integer n = lua_tointeger(L, 2);
    luaL_argcheck(L, n >= 0, 2, "a negative length");
    length = (uint64_t)n;
  } else {
    body = luaL_checklstring(L, 2, &nbody);
    length = nbody;
  }
  s = scratch_begin(L, nbegin + nbody + LINES_MAX);
  scratch_put(L, s, begin, nbegin);
  s->n = (size_t)(put_lines(s->data + s->n, &s->clock, length) - s->data);
  if (body != NULL)
    scratch_put(L, s, body, nbody);
  scratch_push(L, s);
  return 1;
}

/* ---- as a codec ---- */

struct answers {
  struct codec codec;
  struct http_clock clock;
  char room[ROOM];
};

/* encode(stream, answers, begin, body): of a body that is a string, and not
 * so long that a part of it might be left. */
static int encode(lua_State *L, struct iovec blocks[CODEC_BLOCKS]) {
  struct answers *a = lua_touserdata(L, CODEC_AT);
  size_t nbegin, nbody;
  const char *begin = luaL_checklstring(L, CODEC_AT + 1, &nbegin), *body;
  char *to = a->room;
  if (lua_type(L, CODEC_AT + 2) != LUA_TSTRING)
    return 0;
  body = lua_tolstring(L, CODEC_AT + 2, &nbody);
  if (nbody > BODY_MOST)
    return 0;
  if (nbegin <= ROOM - LINES_MAX && nbody <= ROOM - LINES_MAX - nbegin) {
    to = put(to, begin, nbegin);
    to = put_lines(to, &a->clock, nbody);
    to = put(to, body, nbody);
    blocks[0] = (struct iovec){a->room, (size_t)(to - a->room)};
    return 1;
  }
  to = put_lines(to, &a->clock, nbody);
  blocks[0] = (struct iovec){(char *)begin, nbegin};
  blocks[1] = (struct iovec){a->room, (size_t)(to - a->room)};
  blocks[2] = (struct iovec){(char *)body, nbody};
  return 3;
}

/* answers(): the codec of what answer makes. */
int lhttp_answers(lua_State *L) {
  struct answers *a = lua_newuserdatauv(L, sizeof *a, 0);
  memset(a, 0, sizeof *a);
  a->codec = (struct codec){.magic = CODEC_MAGIC,
                            .version = CODEC_VERSION,
                            .size = sizeof a->codec,
                            .encode = encode};
  return 1;
}
