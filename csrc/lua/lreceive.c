/* SPDX-License-Identifier: MIT
 * Taking what is there: receive, readuntil, peek, unread; and how every read
 * gets more. */
#include <errno.h>

#include "base/error.h"
#include "lua/lread.h"

enum { FILL_COST = 8 }; /* of the budget, for a system call */

int lread_fill(lua_State *L, struct core *c, struct wait *w, struct stream *s,
               size_t lacks, const char *operation) {
  ssize_t n = stream_fill(s, c->scratch, lacks);
  if (n == -EAGAIN)
    return lstream_await(L, c, w, s, operation);
  if (n == -ENOMEM || n == -ENOBUFS)
    return lstream_fail(L, s, (int)n, operation);
  c->budget -= FILL_COST;
  return c->budget < 0 && n > 0 ? lstream_turn(c, w) : 0;
}

int lread_begin(lua_State *L, struct wait *w, struct stream *s,
                const char *operation) {
  if (!stream_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return lstream_fail(L, s, w->result, operation);
  if (!lock_take(&s->reader, w)) {
    luaL_pushfail(L);
    lua_pushfstring(L, "%s: another task is reading this stream", operation);
    lua_pushliteral(L, "EBUSY");
    return 3;
  }
  return 0;
}

static int receive_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int r = lread_begin(L, w, s, "receive");
  while (r == 0) {
    size_t n = bytes_len(&s->in);
    if (n > 0) {
      size_t max = (size_t)lua_tointeger(L, 2);
      n = n < max ? n : max;
      lua_pushlstring(L, bytes_head(&s->in), n);
      bytes_consume(&s->in, n);
      return 1;
    }
    if (s->ended != 0)
      return lstream_fail(L, s, s->ended, "receive");
    r = lread_fill(L, c, w, s, 1, "receive");
  }
  return r;
}

static int l_receive(lua_State *L) {
  static const struct op op = {"receive", receive_step, NULL};
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_pushinteger(L, LUA_MAXINTEGER);
  } else {
    neap_checkint(L, 2, 1, LUA_MAXINTEGER);
  }
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

static int until_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  struct want want = {.kind = WANT_UNTIL};
  int r = lread_begin(L, w, s, "readuntil");
  want.delimiter = lua_tolstring(L, 2, &want.dlen);
  want.count = (size_t)lua_tointeger(L, 3);
  while (r == 0) {
    size_t len;
    ssize_t end = stream_find(s, &want, 0, &len);
    if (end >= 0) {
      lua_pushlstring(L, bytes_head(&s->in), len);
      bytes_consume(&s->in, (size_t)end);
      return 1;
    }
    if (end != -EAGAIN)
      return lstream_fail(L, s, (int)end, "readuntil");
    r = lread_fill(L, c, w, s, 1, "readuntil");
  }
  return r;
}

/* readuntil(delimiter, max): max counts what comes before it. */
static int l_readuntil(lua_State *L) {
  static const struct op op = {"readuntil", until_step, NULL};
  struct stream *s = lstream_open(L);
  size_t len;
  if (s == NULL)
    return 3;
  luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len > 0, 2, "empty delimiter");
  if (lua_isnoneornil(L, 3)) {
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)s->maxline);
  } else {
    neap_checkint(L, 3, 0, LUA_MAXINTEGER);
  }
  if (s->reader.owner == NULL)
    s->scanfrom = s->scanned = 0;
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

static int peek_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  size_t n = (size_t)lua_tointeger(L, 2);
  int r = lread_begin(L, w, s, "peek");
  while (r == 0) {
    size_t have = bytes_len(&s->in);
    if (have >= n) {
      lua_pushlstring(L, n > 0 ? bytes_head(&s->in) : "", n);
      return 1;
    }
    if (s->ended != 0)
      return lstream_fail(L, s, s->ended, "peek");
    r = lread_fill(L, c, w, s, n - have, "peek");
  }
  return r;
}

static int l_peek(lua_State *L) {
  static const struct op op = {"peek", peek_step, NULL};
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  neap_checkint(L, 2, 0, LUA_MAXINTEGER);
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

static int l_unread(lua_State *L) {
  struct stream *s = lstream_open(L);
  size_t len;
  const char *data;
  if (s == NULL)
    return 3;
  data = luaL_checklstring(L, 2, &len);
  if (bytes_prepend(&s->in, data, len) < 0)
    return neap_fail(L, -ENOMEM, "unread");
  s->scanfrom = s->scanned = 0;
  lua_settop(L, 1);
  return 1;
}

const luaL_Reg lreceive_methods[] = {
  {"receive",   l_receive  },
  {"readuntil", l_readuntil},
  {"peek",      l_peek     },
  {"unread",    l_unread   },
  {NULL,        NULL       }
};
