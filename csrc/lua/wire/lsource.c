/* SPDX-License-Identifier: MIT */
#include "lua/wire/lsource.h"

#include <limits.h>
#include <string.h>

#include "wire/layers.h"

static struct frame *top(struct lsource *s) {
  return &s->frames[s->n - 1];
}

/* ---- errors ---- */

/* The way to a field within its layer: "options[1].mss". */
static void push_path(struct lsource *s, const struct wire_table *t,
                      unsigned i) {
  lua_State *L = s->L;
  luaL_Buffer b;
  unsigned k;
  const char *dot = "";
  luaL_buffinit(L, &b);
  for (k = 0; k < s->n; k++) {
    const struct frame *f = &s->frames[k];
    if (f->index >= 0) {
      lua_pushfstring(L, "[%I]", (LUAI_UACINT)f->index + 1);
      luaL_addvalue(&b);
    } else if (f->table != NULL) {
      luaL_addstring(&b, dot);
      luaL_addstring(&b, f->table->fields[f->field].name);
      dot = ".";
    }
  }
  if (t != NULL && t->fields[i].name != NULL) {
    luaL_addstring(&b, dot);
    luaL_addstring(&b, t->fields[i].name);
  }
  luaL_pushresult(&b);
}

int source_bad(struct lsource *s, const struct wire_table *t, unsigned i,
               const char *why) {
  lua_State *L = s->L;
  const char *path;
  push_path(s, t, i);
  path = lua_tostring(L, -1);
  return luaL_argerror(L, 1,
                       lua_pushfstring(L, "layer %I (%s)%s%s %s",
                                       (LUAI_UACINT)s->number, s->layer->name,
                                       *path != '\0' ? ": " : "", path, why));
}

static void on_fail(struct wire_source *source, const struct wire_table *t,
                    unsigned i, const char *why) {
  source_bad(to_lsource(source), t, i, why);
}

/* What is found when all layers are read is the fault of one of them. */
static void on_revisit(struct wire_source *source, struct wire_encoder *e,
                       unsigned mark) {
  struct lsource *s = to_lsource(source);
  if (e->depth > 0) {
    top(s)->index = s->places[mark] - 1;
    return;
  }
  s->layer = e->marks[mark].layer;
  s->number = s->places[mark];
}

/* ---- frames ---- */

struct frame *source_push(struct lsource *s, bool is_list) {
  struct frame *f = &s->frames[s->n];
  if (s->n == FRAMES)
    luaL_argerror(s->L, 1, "tables nest too deep");
  s->n++;
  f->at = lua_gettop(s->L);
  f->is_list = is_list;
  f->n = 0;
  f->table = NULL;
  f->index = -1;
  return f;
}

static void note(struct lsource *s, const struct wire_table *t, unsigned i) {
  struct frame *f = top(s);
  unsigned k;
  for (k = 0; k < f->n; k++)
    if (f->asked[k].table == t) {
      f->asked[k].fields |= UINT32_C(1) << i;
      return;
    }
  if (f->n == ASKED)
    luaL_error(s->L, "too many tables of fields");
  f->asked[f->n].table = t;
  f->asked[f->n++].fields = UINT32_C(1) << i;
}

static bool was_asked(const struct frame *f, const char *name) {
  unsigned k, i;
  for (k = 0; k < f->n; k++)
    for (i = 0; i < f->asked[k].table->n; i++)
      if ((f->asked[k].fields >> i & 1) != 0 &&
          strcmp(f->asked[k].table->fields[i].name, name) == 0)
        return true;
  return false;
}

static unsigned number_asked(const struct frame *f) {
  unsigned k, n = 0;
  uint32_t bits;
  for (k = 0; k < f->n; k++)
    for (bits = f->asked[k].fields; bits != 0; bits &= bits - 1)
      n++;
  return n;
}

/* Everything that the table has must have been asked for. */
static void check_keys(struct lsource *s) {
  const struct frame *f = top(s);
  lua_State *L = s->L;
  unsigned n = 0;
  for (lua_pushnil(L); lua_next(L, f->at) != 0; lua_pop(L, 1))
    n++;
  if (n == number_asked(f))
    return;
  for (lua_pushnil(L); lua_next(L, f->at) != 0; lua_pop(L, 1))
    if (lua_type(L, -2) != LUA_TSTRING || !was_asked(f, lua_tostring(L, -2))) {
      lua_pushfstring(L, "has no field '%s'", luaL_tolstring(L, -2, NULL));
      source_bad(s, NULL, 0, lua_tostring(L, -1));
    }
}

void source_pop(struct lsource *s) {
  if (!top(s)->is_list)
    check_keys(s);
  lua_settop(s->L, top(s)->at - 1);
  s->n--;
}

/* Pushes the field's value; nothing if it is nil. The item of a list of plain
 * values is its own field. */
bool source_get(struct lsource *s, const struct wire_table *t, unsigned i) {
  lua_State *L = s->L;
  if (t->fields[i].name == NULL) {
    lua_pushvalue(L, top(s)->at);
    return true;
  }
  lua_getiuservalue(L, s->held, names_find(s->names, t)->slot + (int)i);
  if (lua_rawget(L, top(s)->at) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  note(s, t, i);
  return true;
}

/* ---- values: each is popped from the stack ---- */

static uint32_t take_integer(struct lsource *s, const struct wire_table *t,
                             unsigned i, unsigned bits) {
  lua_State *L = s->L;
  lua_Integer v = lua_tointeger(L, -1), max = ((lua_Integer)1 << bits) - 1;
  if (!lua_isinteger(L, -1)) {
    lua_pushfstring(L, "must be an integer, not a %s", luaL_typename(L, -1));
    source_bad(s, t, i, lua_tostring(L, -1));
  }
  if (v < 0 || v > max) {
    lua_pushfstring(L, "must be in [0, %I]", (LUAI_UACINT)max);
    source_bad(s, t, i, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  return (uint32_t)v;
}

static uint32_t take_flags(struct lsource *s, const struct wire_table *t,
                           unsigned i) {
  size_t len;
  const char *text = lua_tolstring(s->L, -1, &len);
  int64_t v = wire_flags(&t->fields[i], text, len);
  if (v < 0) {
    lua_pushfstring(s->L, "has a flag that is not of \"%s\"",
                    (const char *)t->fields[i].more);
    source_bad(s, t, i, lua_tostring(s->L, -1));
  }
  lua_pop(s->L, 1);
  return (uint32_t)v;
}

static bool on_number(struct wire_source *source, const struct wire_table *t,
                      unsigned i, uint32_t *value) {
  struct lsource *s = to_lsource(source);
  const struct wire_field *f = &t->fields[i];
  if (!source_get(s, t, i))
    return false;
  if (f->kind == WIRE_BOOL) {
    if (!lua_isboolean(s->L, -1))
      source_bad(s, t, i, "must be a boolean");
    *value = (uint32_t)lua_toboolean(s->L, -1);
    lua_pop(s->L, 1);
  } else if ((f->kind == WIRE_FLAGS || f->kind == WIRE_MARKS) &&
             lua_type(s->L, -1) == LUA_TSTRING) {
    *value = take_flags(s, t, i);
  } else {
    *value = take_integer(s, t, i, f->kind == WIRE_CONTROL ? 16u : f->bits);
  }
  return true;
}

/* What a field of this kind has, from its text. Returns NULL, or why not. */
static const char *read_text(struct lsource *s, int kind, const char *text,
                             size_t len, int *n) {
  switch (kind) {
  case WIRE_IP4:
    *n = wire_ip4(text, len, s->bytes);
    return *n < 0 ? "is no IPv4 address" : NULL;
  case WIRE_IP6:
    *n = wire_ip6(text, len, s->bytes);
    return *n < 0 ? "is no IPv6 address" : NULL;
  case WIRE_ADDR:
    *n = wire_ip4(text, len, s->bytes);
    if (*n < 0)
      *n = wire_hex(text, len, s->bytes);
    return *n < 0 ? "is neither an IPv4 address nor aa:bb:..." : NULL;
  case WIRE_MAC:
    *n = wire_hex(text, len, s->bytes);
    return *n != 6 ? "is no address like aa:bb:cc:dd:ee:ff" : NULL;
  default:
    *n = wire_hex(text, len, s->bytes);
    return *n < 0 ? "is no address like aa:bb:..." : NULL;
  }
}

/* The string is held, since a finalizer may take it out of its table while the
 * buffer grows. */
static bool on_bytes(struct wire_source *source, const struct wire_table *t,
                     unsigned i, const uint8_t **bytes, size_t *n) {
  struct lsource *s = to_lsource(source);
  const char *text, *why;
  int got;
  if (!source_get(s, t, i))
    return false;
  if (lua_type(s->L, -1) != LUA_TSTRING) {
    lua_pushfstring(s->L, "must be a string, not a %s",
                    luaL_typename(s->L, -1));
    source_bad(s, t, i, lua_tostring(s->L, -1));
  }
  text = lua_tolstring(s->L, -1, n);
  lua_replace(s->L, s->string);
  *bytes = (const uint8_t *)text;
  if (t->fields[i].kind == WIRE_BYTES || t->fields[i].kind == WIRE_TEXT)
    return true;
  why = read_text(s, t->fields[i].kind, text, *n, &got);
  if (why != NULL)
    source_bad(s, t, i, why);
  *bytes = s->bytes;
  *n = (size_t)got;
  return true;
}

static bool on_word(struct wire_source *source, const struct wire_table *t,
                    unsigned i, const char **word, uint32_t *number) {
  struct lsource *s = to_lsource(source);
  *word = NULL;
  if (!source_get(s, t, i))
    return false;
  if (lua_type(s->L, -1) == LUA_TSTRING) {
    *word = lua_tostring(s->L, -1);
    lua_pop(s->L, 1);
  } else {
    *number = take_integer(s, t, i, t->fields[i].bits);
  }
  return true;
}

static bool on_has(struct wire_source *source, const struct wire_table *t,
                   unsigned i) {
  struct lsource *s = to_lsource(source);
  if (!source_get(s, t, i))
    return false;
  lua_pop(s->L, 1);
  return true;
}

/* ---- tables in tables ---- */

void source_check(struct lsource *s, const struct wire_table *t, unsigned i) {
  if (lua_type(s->L, -1) == LUA_TTABLE)
    return;
  lua_pushfstring(s->L, "must be a table, not a %s", luaL_typename(s->L, -1));
  source_bad(s, t, i, lua_tostring(s->L, -1));
}

static long on_list(struct wire_source *source, const struct wire_table *t,
                    unsigned i) {
  struct lsource *s = to_lsource(source);
  struct frame *f;
  size_t n;
  if (!source_get(s, t, i))
    return -1;
  source_check(s, t, i);
  n = (size_t)lua_rawlen(s->L, -1);
  lua_pushnil(s->L);
  if (n > INT_MAX || (n == 0 && lua_next(s->L, -2) != 0))
    source_bad(s, t, i, "must be a list");
  lua_settop(s->L, lua_gettop(s->L) - (n > 0));
  f = source_push(s, true);
  f->table = t;
  f->field = i;
  return (long)n;
}

static void on_item(struct wire_source *source, const struct wire_table *t,
                    long k) {
  struct lsource *s = to_lsource(source);
  int at = top(s)->at;
  bool plain = t->n > 0 && t->fields[0].name == NULL;
  lua_rawgeti(s->L, at, (lua_Integer)k + 1);
  source_push(s, plain)->index = k;
  if (!plain)
    source_check(s, NULL, 0);
}

static void on_pop(struct wire_source *source) {
  source_pop(to_lsource(source));
}

static bool on_group(struct wire_source *source, const struct wire_table *t,
                     unsigned i) {
  struct lsource *s = to_lsource(source);
  struct frame *f;
  if (!source_get(s, t, i))
    return false;
  source_check(s, t, i);
  f = source_push(s, false);
  f->table = t;
  f->field = i;
  on_has(source, &wire_common, WIRE_COMMON_CHECKSUM_OK);
  return true;
}

static void on_grow(struct wire_source *source, struct wire_encoder *e,
                    size_t n) {
  struct lsource *s = to_lsource(source);
  size_t room = n < SIZE_MAX / 2 ? n * 2 : n;
  uint8_t *bytes = lua_newuserdatauv(s->L, room, 0);
  memcpy(bytes, e->bytes, e->n);
  lua_replace(s->L, s->buffer);
  e->bytes = bytes;
  e->room = room;
}

static const struct wire_source callbacks = {
  .number = on_number,
  .bytes = on_bytes,
  .word = on_word,
  .has = on_has,
  .list = on_list,
  .item = on_item,
  .end_item = on_pop,
  .group = on_group,
  .close = on_pop,
  .packet = source_packet,
  .grow = on_grow,
  .revisit = on_revisit,
  .fail = on_fail,
};

void source_init(struct lsource *s, lua_State *L, int held) {
  s->source = callbacks;
  s->L = L;
  s->names = lua_touserdata(L, held);
  s->held = held;
  s->buffer = held + 1;
  s->string = held + 2;
  s->trailers = held + 3;
  s->layer = NULL;
  s->number = 0;
  s->n = 0;
}
