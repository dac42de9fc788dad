/* SPDX-License-Identifier: MIT
 * wire.encode: tables are read as the encoder asks for their fields, and
 * raise where they have something that cannot be sent, or that nobody asked
 * for. */
#include <limits.h>
#include <string.h>

#include "lua/wire/lwire.h"
#include "wire/encode.h"
#include "wire/layers.h"
#include "wire/text.h"

enum {
  FRAMES = 24, /* tables within each other */
  ASKED = 6,   /* tables of fields that are asked of one of them */
  SMALL = 2048,
};

/* A table or a list that is being read. */
struct frame {
  int at; /* on the stack */
  bool is_list;
  unsigned n;
  struct {
    const struct wire_table *table;
    uint32_t fields; /* that were there */
  } asked[ASKED];
  const struct wire_table *table; /* of a list or a group: which field it is */
  unsigned field;
  long index; /* of an item: in its list */
};

struct lsource {
  struct wire_source source; /* first, so that the one is the other */
  lua_State *L;
  const struct names *names;
  int held;   /* where on the stack the names are */
  int buffer; /* and the buffer, when it is no longer the small one */
  const struct wire_layer *layer; /* of the outer packet that is being read */
  long number;                    /* its place in the list */
  long places[2 * WIRE_LAYERS];   /* that of each of the encoder's marks */
  unsigned n;
  struct frame frames[FRAMES];
  uint8_t bytes[WIRE_HEXMAX];
};

#define to_lsource(s) ((struct lsource *)(void *)(s))

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

static int bad(struct lsource *s, const struct wire_table *t, unsigned i,
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
  bad(to_lsource(source), t, i, why);
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

static struct frame *push_frame(struct lsource *s, bool is_list) {
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
      bad(s, NULL, 0, lua_tostring(L, -1));
    }
}

static void pop_frame(struct lsource *s) {
  if (!top(s)->is_list)
    check_keys(s);
  lua_settop(s->L, top(s)->at - 1);
  s->n--;
}

/* Pushes the field's value; nothing if it is nil. The item of a list of plain
 * values is its own field. */
static bool get(struct lsource *s, const struct wire_table *t, unsigned i) {
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
  lua_Integer v = lua_tointeger(L, -1), max = (INT64_C(1) << bits) - 1;
  if (!lua_isinteger(L, -1)) {
    lua_pushfstring(L, "must be an integer, not a %s", luaL_typename(L, -1));
    bad(s, t, i, lua_tostring(L, -1));
  }
  if (v < 0 || v > max) {
    lua_pushfstring(L, "must be in [0, %I]", (LUAI_UACINT)max);
    bad(s, t, i, lua_tostring(L, -1));
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
    bad(s, t, i, lua_tostring(s->L, -1));
  }
  lua_pop(s->L, 1);
  return (uint32_t)v;
}

static bool on_number(struct wire_source *source, const struct wire_table *t,
                      unsigned i, uint32_t *value) {
  struct lsource *s = to_lsource(source);
  const struct wire_field *f = &t->fields[i];
  if (!get(s, t, i))
    return false;
  if (f->kind == WIRE_BOOL) {
    if (!lua_isboolean(s->L, -1))
      bad(s, t, i, "must be a boolean");
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

/* A string stays where it is as long as its table holds it. */
static bool on_bytes(struct wire_source *source, const struct wire_table *t,
                     unsigned i, const uint8_t **bytes, size_t *n) {
  struct lsource *s = to_lsource(source);
  const char *text, *why;
  int got;
  if (!get(s, t, i))
    return false;
  if (lua_type(s->L, -1) != LUA_TSTRING) {
    lua_pushfstring(s->L, "must be a string, not a %s",
                    luaL_typename(s->L, -1));
    bad(s, t, i, lua_tostring(s->L, -1));
  }
  text = lua_tolstring(s->L, -1, n);
  lua_pop(s->L, 1);
  *bytes = (const uint8_t *)text;
  if (t->fields[i].kind == WIRE_BYTES)
    return true;
  why = read_text(s, t->fields[i].kind, text, *n, &got);
  if (why != NULL)
    bad(s, t, i, why);
  *bytes = s->bytes;
  *n = (size_t)got;
  return true;
}

static bool on_word(struct wire_source *source, const struct wire_table *t,
                    unsigned i, const char **word, uint32_t *number) {
  struct lsource *s = to_lsource(source);
  *word = NULL;
  if (!get(s, t, i))
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
  if (!get(s, t, i))
    return false;
  lua_pop(s->L, 1);
  return true;
}

/* ---- tables in tables ---- */

static void check_table(struct lsource *s, const struct wire_table *t,
                        unsigned i) {
  if (lua_type(s->L, -1) == LUA_TTABLE)
    return;
  lua_pushfstring(s->L, "must be a table, not a %s", luaL_typename(s->L, -1));
  bad(s, t, i, lua_tostring(s->L, -1));
}

static long on_list(struct wire_source *source, const struct wire_table *t,
                    unsigned i) {
  struct lsource *s = to_lsource(source);
  struct frame *f;
  size_t n;
  if (!get(s, t, i))
    return -1;
  check_table(s, t, i);
  n = (size_t)lua_rawlen(s->L, -1);
  lua_pushnil(s->L);
  if (n > INT_MAX || (n == 0 && lua_next(s->L, -2) != 0))
    bad(s, t, i, "must be a list");
  lua_settop(s->L, lua_gettop(s->L) - (n > 0));
  f = push_frame(s, true);
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
  push_frame(s, plain)->index = k;
  if (!plain)
    check_table(s, NULL, 0);
}

static void on_pop(struct wire_source *source) {
  pop_frame(to_lsource(source));
}

static bool on_group(struct wire_source *source, const struct wire_table *t,
                     unsigned i) {
  struct lsource *s = to_lsource(source);
  struct frame *f;
  if (!get(s, t, i))
    return false;
  check_table(s, t, i);
  f = push_frame(s, false);
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

/* ---- packets ---- */

/* The layer that the k-th thing of the list is; NULL if it is bytes, or not
 * there. Leaves the thing on the stack. */
static const struct wire_layer *push_thing(struct lsource *s, int list,
                                           lua_Integer k) {
  lua_State *L = s->L;
  const struct wire_layer *l = NULL;
  int type = lua_rawgeti(L, list, k);
  if (type == LUA_TNIL || type == LUA_TSTRING)
    return NULL;
  if (type != LUA_TTABLE)
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "layer %I must be a table or a string",
                                  (LUAI_UACINT)k));
  lua_pushliteral(L, "layer");
  if (lua_rawget(L, -2) == LUA_TSTRING)
    l = wire_named(lua_tostring(L, -1));
  if (l == NULL)
    luaL_argerror(L, 1,
                  lua_pushfstring(L, "layer %I has the unknown name '%s'",
                                  (LUAI_UACINT)k, luaL_tolstring(L, -1, NULL)));
  lua_pop(L, 1);
  return l;
}

static void put_layer(struct lsource *s, struct wire_encoder *e,
                      const struct wire_layer *l, const struct wire_layer *next,
                      long place) {
  const uint8_t *trailer = NULL;
  size_t n = 0;
  unsigned i;
  struct frame *f = push_frame(s, false);
  if (e->depth > 0) {
    f->index = place - 1;
  } else {
    s->layer = l;
    s->number = place;
  }
  s->places[e->nmarks % countof(s->places)] = place;
  for (i = WIRE_COMMON_LAYER; i < WIRE_COMMON_TRAILER; i++)
    on_has(&s->source, &wire_common, i);
  on_bytes(&s->source, &wire_common, WIRE_COMMON_TRAILER, &trailer, &n);
  if (!wire_layer(e, l, next, trailer, n))
    luaL_argerror(s->L, 1, "more than 32 layers");
  pop_frame(s);
}

/* A packet has its layers under their names as well. */
static void check_packet(struct lsource *s, int list) {
  lua_State *L = s->L;
  const char *name;
  unsigned i;
  for (lua_pushnil(L); lua_next(L, list) != 0; lua_pop(L, 1)) {
    if (lua_isinteger(L, -2))
      continue;
    name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    for (i = 0; i < packet_table.n; i++)
      if (strcmp(name, packet_table.fields[i].name) == 0)
        break;
    if (i == packet_table.n && wire_named(name) == NULL)
      luaL_argerror(L, 1,
                    lua_pushfstring(L, "a packet has no field '%s'",
                                    luaL_tolstring(L, -2, NULL)));
  }
}

static void put_bytes(struct lsource *s, struct wire_encoder *e, int list,
                      unsigned i) {
  lua_State *L = s->L;
  const char *bytes;
  size_t n;
  int type;
  lua_pushstring(L, packet_table.fields[i].name);
  type = lua_rawget(L, list);
  if (type == LUA_TSTRING) {
    bytes = lua_tolstring(L, -1, &n);
    wire_append(e, bytes, n);
  } else if (type != LUA_TNIL) {
    luaL_argerror(
      L, 1,
      lua_pushfstring(L, "'%s' must be a string", packet_table.fields[i].name));
  }
  lua_pop(L, 1);
}

/* The packet at this index of the stack. What is on top of the stack is the
 * next thing, or the one that is being put and the next. */
static void put_packet(struct lsource *s, struct wire_encoder *e, int list) {
  lua_State *L = s->L;
  const struct wire_layer *l, *next;
  lua_Integer k, n = (lua_Integer)lua_rawlen(L, list);
  check_packet(s, list);
  next = push_thing(s, list, 1);
  for (k = 1; k <= n; k++) {
    size_t len;
    l = next;
    next = push_thing(s, list, k + 1);
    lua_insert(L, -2);
    if (l == NULL) {
      const char *bytes = lua_tolstring(L, -1, &len);
      wire_append(e, bytes, len);
      lua_pop(L, 1);
    } else {
      put_layer(s, e, l, next, (long)k);
    }
  }
  lua_pop(L, 1);
  put_bytes(s, e, list, PACKET_PAYLOAD);
  push_frame(s, true);
  wire_finish(e);
  s->n--;
  put_bytes(s, e, list, PACKET_PADDING);
}

/* The packet that an ICMP error is about: a packet, or its bytes. */
static bool on_packet(struct wire_source *source, const struct wire_table *t,
                      unsigned i, struct wire_encoder *e) {
  struct lsource *s = to_lsource(source);
  lua_State *L = s->L;
  struct frame *f;
  unsigned base;
  const char *bytes;
  size_t n;
  if (!get(s, t, i))
    return false;
  if (lua_type(L, -1) == LUA_TSTRING) {
    bytes = lua_tolstring(L, -1, &n);
    wire_append(e, bytes, n);
    lua_pop(L, 1);
    return true;
  }
  check_table(s, t, i);
  if (e->depth > 0)
    bad(s, t, i, "must be a string, within a packet that is within another");
  f = push_frame(s, true);
  f->table = t;
  f->field = i;
  base = wire_begin(e);
  put_packet(s, e, f->at);
  wire_end(e, base);
  pop_frame(s);
  return true;
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
  .packet = on_packet,
  .grow = on_grow,
  .revisit = on_revisit,
  .fail = on_fail,
};

int wire_lencode(lua_State *L) {
  struct wire_encoder e;
  struct lsource s;
  uint8_t small[SMALL];
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_checkstack(L, 3 * FRAMES, NULL);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushnil(L);
  s.source = callbacks;
  s.L = L;
  s.names = lua_touserdata(L, 2);
  s.held = 2;
  s.buffer = 3;
  s.layer = NULL;
  s.n = 0;
  e.bytes = small;
  e.n = 0;
  e.room = sizeof small;
  e.source = &s.source;
  e.nmarks = e.base = e.depth = 0;
  put_packet(&s, &e, 1);
  lua_pushlstring(L, (const char *)e.bytes, e.n);
  return 1;
}
