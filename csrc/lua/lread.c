/* SPDX-License-Identifier: MIT
 * Reading from a stream. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lua/lread.h"

/* ---- formats ---- */

static void parse_format(lua_State *L, int arg, const struct stream *s,
                         struct want *want) {
  const char *f;
  if (lua_type(L, arg) == LUA_TNUMBER) {
    lua_Integer n = luaL_checkinteger(L, arg);
    luaL_argcheck(L, n >= 0, arg, "negative count");
    want->kind = WANT_COUNT;
    want->count = (size_t)n;
    return;
  }
  f = luaL_checkstring(L, arg);
  if (*f == '*')
    f++; /* as in io */
  switch (*f) {
  case 'l':
  case 'L':
    want->kind = *f == 'l' ? WANT_LINE : WANT_FULLLINE;
    want->count = s->maxline;
    break;
  case 'a':
    want->kind = WANT_ALL;
    want->count = s->maxread;
    break;
  default:
    luaL_argerror(L, arg, "format must be \"l\", \"L\", \"a\" or a count");
  }
}

/* Where the formats lie: arguments from `first` to `last`, or upvalues. */
struct formats {
  int first, last;
};

static struct formats arguments(lua_State *L) {
  struct formats f = {2, lua_gettop(L)};
  return f;
}

/* ---- the one loop that all reads share ---- */

/* Looks for all that is wanted. Returns where it ends, or what lacks: then
 * *lacks says how much. */
static ssize_t find_all(lua_State *L, struct stream *s, struct formats f,
                        size_t *lacks) {
  ssize_t end = 0;
  int i;
  for (i = f.first; i <= f.last && end >= 0; i++) {
    struct want want;
    size_t from = (size_t)end, len;
    parse_format(L, i, s, &want);
    end = stream_find(s, &want, from, &len);
    if (end == -EAGAIN)
      *lacks = stream_lacks(s, &want, from);
  }
  return end;
}

/* Everything is there: pushed first, and taken only when nothing can raise. */
static int push_all(lua_State *L, struct stream *s, struct formats f) {
  ssize_t end = 0;
  int i;
  luaL_checkstack(L, f.last - f.first + 1, "too many formats");
  for (i = f.first; i <= f.last; i++) {
    struct want want;
    size_t from = (size_t)end, len;
    parse_format(L, i, s, &want);
    end = stream_find(s, &want, from, &len);
    lua_pushlstring(L, bytes_len(&s->in) > 0 ? bytes_head(&s->in) + from : "",
                    len);
  }
  bytes_consume(&s->in, (size_t)end);
  s->scanfrom = s->scanned = 0;
  return f.last - f.first + 1;
}

/* The rule: one format, which lies in slot 2. */
static int read_one(lua_State *L, struct core *c, struct wait *w,
                    struct stream *s) {
  struct want want;
  int r = lread_begin(L, w, s, "read");
  parse_format(L, 2, s, &want);
  while (r == 0) {
    size_t len;
    ssize_t end = stream_find(s, &want, 0, &len);
    if (end >= 0) {
      lua_pushlstring(L, bytes_len(&s->in) > 0 ? bytes_head(&s->in) : "", len);
      bytes_consume(&s->in, (size_t)end);
      return 1;
    }
    if (end != -EAGAIN)
      return lstream_fail(L, s, (int)end, "read");
    r = lread_fill(L, c, w, s, stream_lacks(s, &want, 0), "read");
  }
  return r;
}

static int read_formats(lua_State *L, struct core *c, struct wait *w,
                        struct stream *s, struct formats f) {
  int r;
  if (f.last == 2)
    return read_one(L, c, w, s);
  r = lread_begin(L, w, s, "read");
  while (r == 0) {
    size_t lacks = 1;
    ssize_t end = find_all(L, s, f, &lacks);
    if (end >= 0)
      return push_all(L, s, f);
    if (end != -EAGAIN)
      return lstream_fail(L, s, (int)end, "read");
    r = lread_fill(L, c, w, s, lacks, "read");
  }
  return r;
}

static int read_step(lua_State *L, struct core *c, struct wait *w) {
  return read_formats(L, c, w, lstream_of(w), arguments(L));
}

static const struct op read_op = {"read", read_step, NULL};

/* The plain case, which is worth a short cut: one line that is there. Pushes
 * it, or returns false. */
static bool next_line(lua_State *L, struct stream *s, const char *operation) {
  struct core *c = lstream_core(s);
  size_t have = bytes_len(&s->in), len;
  const char *head, *lf;
  if (have == 0 || s->reader.owner != NULL || --c->budget < 0)
    return false;
  task_maywait(L, c, operation);
  head = bytes_head(&s->in);
  lf = memchr(head, '\n', have);
  len = lf != NULL ? (size_t)(lf - head) : have;
  if (lf == NULL || len > s->maxline)
    return false;
  lua_pushlstring(L, head, len > 0 && lf[-1] == '\r' ? len - 1 : len);
  bytes_consume(&s->in, len + 1);
  return true;
}

static bool is_plain(lua_State *L, int top) {
  const char *f;
  if (top == 1)
    return true;
  f = top == 2 && lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  return f[0] == 'l' && f[1] == '\0';
}

static int l_read(lua_State *L) {
  struct stream *s = lstream_open(L);
  int i, top = lua_gettop(L);
  if (s == NULL)
    return 3;
  if (is_plain(L, top) && next_line(L, s, "read"))
    return 1;
  if (top == 1)
    lua_pushliteral(L, "l");
  for (i = 2; i <= top; i++) {
    struct want want;
    parse_format(L, i, s, &want);
  }
  if (s->reader.owner == NULL)
    s->scanfrom = s->scanned = 0;
  return neap_opon(L, lstream_core(s), &read_op, s, s->timeout);
}

/* ---- lines ---- */

/* An iterator raises on a failure, as file:lines does; the end ends it. The
 * values of the read lie on top of the stack. */
static int iterated(lua_State *L, int n) {
  if (n != 3 || !lua_isnil(L, -3))
    return n;
  if (strcmp(lua_tostring(L, -1), "EOF") == 0)
    return 0;
  lua_pop(L, 1);
  return lua_error(L);
}

static int lines_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int n = read_formats(L, c, w, s, arguments(L));
  if (n == OP_WAIT)
    return n;
  if (w->held != NULL)
    loop_release(&c->loop, w);
  return iterated(L, n);
}

static const struct op lines_op = {"lines", lines_step, NULL};

enum { FIRST_FORMAT = 4 }; /* upvalues: core, stream, count, formats */

/* The read that one turn of the loop is; the formats lie from slot 2 on. */
static int iterate(lua_State *L, struct stream *s) {
  if (!stream_isopen(s))
    return luaL_error(L, "closed");
  if (s->reader.owner == NULL)
    s->scanfrom = s->scanned = 0;
  return neap_opon(L, lstream_core(s), &lines_op, s, s->timeout);
}

static int lines_next(lua_State *L) {
  struct stream *s = lua_touserdata(L, lua_upvalueindex(2));
  int i, n = (int)lua_tointeger(L, lua_upvalueindex(3));
  lua_settop(L, 0);
  luaL_checkstack(L, n + 4, "too many formats");
  lua_pushvalue(L, lua_upvalueindex(2));
  for (i = 0; i < n; i++)
    lua_pushvalue(L, lua_upvalueindex(FIRST_FORMAT + i));
  return iterate(L, s);
}

static int lines_plain(lua_State *L) {
  struct stream *s = lua_touserdata(L, lua_upvalueindex(2));
  if (next_line(L, s, "lines"))
    return 1;
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushliteral(L, "l");
  return iterate(L, s);
}

static int l_lines(lua_State *L) {
  struct stream *s = lstream_check(L);
  int i, n = lua_gettop(L) - 1;
  bool plain;
  luaL_argcheck(L, n <= 250, 252, "too many formats");
  for (i = 2; i <= n + 1; i++) {
    struct want want;
    parse_format(L, i, s, &want);
  }
  plain = is_plain(L, n + 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (plain) {
    lua_settop(L, 2);
    lua_pushcclosure(L, lines_plain, 2);
    return 1;
  }
  lua_pushinteger(L, n);
  lua_insert(L, 3);
  lua_pushcclosure(L, lines_next, 3 + n);
  return 1;
}

const luaL_Reg lread_methods[] = {
  {"read",  l_read },
  {"lines", l_lines},
  {NULL,    NULL   }
};
