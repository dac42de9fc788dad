/* SPDX-License-Identifier: MIT
 * wire.decode: what the decoder tells becomes tables. */
#include <string.h>

#include "lua/wire/lwire.h"
#include "wire/layers.h"
#include "wire/text.h"

enum { DEPTH = 12 }; /* of lists and groups within each other */

/* The tables that are being made lie on the stack, the innermost on top. */
struct packet {
  int at; /* its table on the stack */
  int n;  /* of its layers */
  uint32_t seen;
};

struct lsink {
  struct wire_sink sink; /* first, so that the one is the other */
  lua_State *L;
  const struct names *names;
  int held;                       /* where on the stack the names are */
  const struct wire_table *table; /* that was asked for last, and its slot */
  int slot;
  const struct wire_layer *layer; /* that is being told */
  struct packet packet;
  struct packet outer; /* while this one is within it, else at == 0 */
  const struct wire_layer *outer_layer;
  unsigned depth;
  int count[DEPTH]; /* of the items of each list */
};

#define to_lsink(s) ((struct lsink *)(void *)(s))

static void push_name(struct lsink *s, const struct wire_table *t, unsigned i) {
  if (s->table != t) {
    s->table = t;
    s->slot = names_find(s->names, t)->slot;
  }
  lua_getiuservalue(s->L, s->held, s->slot + (int)i);
}

static void push_layer(struct lsink *s, const struct wire_layer *l) {
  lua_getiuservalue(s->L, s->held, names_find(s->names, l)->slot);
}

static void new_table(struct lsink *s, const struct wire_table *t) {
  lua_createtable(s->L, 0, names_find(s->names, t)->hint);
}

/* ---- fields ---- */

static void push_number(lua_State *L, const struct wire_field *f,
                        uint32_t value) {
  char text[WIRE_FLAGTEXT];
  int n = -1;
  if (f->kind == WIRE_BOOL) {
    lua_pushboolean(L, value != 0);
    return;
  }
  if (f->kind == WIRE_FLAGS || f->kind == WIRE_MARKS)
    n = wire_flagtext(f, value, text);
  if (n >= 0)
    lua_pushlstring(L, text, (size_t)n);
  else
    lua_pushinteger(L, value);
}

static void push_bytes(lua_State *L, const struct wire_field *f,
                       const uint8_t *bytes, size_t n) {
  char text[3 * WIRE_HEXMAX];
  switch (f->kind) {
  case WIRE_IP4:
    n = wire_ip4text(bytes, text);
    break;
  case WIRE_IP6:
    n = wire_ip6text(bytes, text);
    break;
  case WIRE_ADDR:
    n = n == 4 ? wire_ip4text(bytes, text) : wire_hextext(bytes, n, text);
    break;
  case WIRE_MAC:
  case WIRE_BOX:
  case WIRE_HEX:
    n = wire_hextext(bytes, n, text);
    break;
  default:
    lua_pushlstring(L, (const char *)bytes, n);
    return;
  }
  lua_pushlstring(L, text, n);
}

/* The value on top, into the table or list below it. */
static void append(struct lsink *s) {
  lua_rawseti(s->L, -2, ++s->count[s->depth]);
}

static void on_number(struct wire_sink *sink, const struct wire_table *t,
                      unsigned i, uint32_t value) {
  struct lsink *s = to_lsink(sink);
  if (t->fields[i].name == NULL) {
    push_number(s->L, &t->fields[i], value);
    append(s);
    return;
  }
  push_name(s, t, i);
  push_number(s->L, &t->fields[i], value);
  lua_rawset(s->L, -3);
}

static void on_bytes(struct wire_sink *sink, const struct wire_table *t,
                     unsigned i, const uint8_t *bytes, size_t n) {
  struct lsink *s = to_lsink(sink);
  if (t->fields[i].name == NULL) {
    push_bytes(s->L, &t->fields[i], bytes, n);
    append(s);
    return;
  }
  push_name(s, t, i);
  push_bytes(s->L, &t->fields[i], bytes, n);
  lua_rawset(s->L, -3);
}

static void on_word(struct wire_sink *sink, const struct wire_table *t,
                    unsigned i, const char *word) {
  struct lsink *s = to_lsink(sink);
  push_name(s, t, i);
  lua_pushstring(s->L, word);
  lua_rawset(s->L, -3);
}

/* ---- tables in tables ---- */

/* The key waits below its value. */
static void on_open(struct wire_sink *sink, const struct wire_table *t,
                    unsigned i) {
  struct lsink *s = to_lsink(sink);
  push_name(s, t, i);
  lua_newtable(s->L);
  s->count[++s->depth] = 0;
}

static void on_close(struct wire_sink *sink) {
  struct lsink *s = to_lsink(sink);
  s->depth--;
  lua_rawset(s->L, -3);
}

static void on_item(struct wire_sink *sink, const struct wire_table *t) {
  new_table(to_lsink(sink), t);
}

static void on_end_item(struct wire_sink *sink) {
  append(to_lsink(sink));
}

/* ---- layers ---- */

static void on_layer(struct wire_sink *sink, const struct wire_layer *l,
                     size_t at) {
  struct lsink *s = to_lsink(sink);
  s->layer = l;
  new_table(s, l->table);
  push_name(s, &wire_common, WIRE_COMMON_LAYER);
  push_layer(s, l);
  lua_rawset(s->L, -3);
  push_name(s, &wire_common, WIRE_COMMON_OFFSET);
  lua_pushinteger(s->L, (lua_Integer)at);
  lua_rawset(s->L, -3);
}

/* Into the packet's list, and, if it is the first, under its name. */
static void on_done(struct wire_sink *sink) {
  struct lsink *s = to_lsink(sink);
  const struct name_row *row = names_find(s->names, s->layer);
  uint32_t bit = UINT32_C(1) << row->slot % 32;
  if ((s->packet.seen & bit) == 0) {
    s->packet.seen |= bit;
    lua_getiuservalue(s->L, s->held, row->slot);
    lua_pushvalue(s->L, -2);
    lua_rawset(s->L, s->packet.at);
  }
  lua_rawseti(s->L, s->packet.at, ++s->packet.n);
}

static void on_drop(struct wire_sink *sink) {
  struct lsink *s = to_lsink(sink);
  lua_settop(s->L, s->packet.at);
  s->depth = 0;
}

static void begin_packet(struct lsink *s) {
  lua_createtable(s->L, 4, 6);
  s->packet.at = lua_gettop(s->L);
  s->packet.n = 0;
  s->packet.seen = 0;
}

/* The layer that it belongs to goes on afterwards. */
static void on_packet(struct wire_sink *sink, const struct wire_table *t,
                      unsigned i) {
  struct lsink *s = to_lsink(sink);
  s->outer = s->packet;
  s->outer_layer = s->layer;
  push_name(s, t, i);
  begin_packet(s);
}

static void set_string(struct lsink *s, unsigned i, const void *bytes,
                       size_t n) {
  push_name(s, &packet_table, i);
  lua_pushlstring(s->L, bytes, n);
  lua_rawset(s->L, s->packet.at);
}

static void on_end_packet(struct wire_sink *sink, const struct wire_rest *r) {
  struct lsink *s = to_lsink(sink);
  set_string(s, PACKET_PAYLOAD, r->payload, r->payload_len);
  if (r->padding_len > 0)
    set_string(s, PACKET_PADDING, r->padding, r->padding_len);
  if (r->truncated != NULL)
    set_string(s, PACKET_TRUNCATED, r->truncated, strlen(r->truncated));
  if (r->malformed != NULL)
    set_string(s, PACKET_MALFORMED, r->malformed, strlen(r->malformed));
  if (s->outer.at == 0)
    return;
  lua_rawset(s->L, -3);
  s->packet = s->outer;
  s->layer = s->outer_layer;
  s->outer.at = 0;
}

/* ---- the function ---- */

static const struct wire_sink callbacks = {
  .layer = on_layer,
  .done = on_done,
  .drop = on_drop,
  .number = on_number,
  .bytes = on_bytes,
  .word = on_word,
  .open = on_open,
  .close = on_close,
  .item = on_item,
  .end_item = on_end_item,
  .packet = on_packet,
  .end_packet = on_end_packet,
};

/* How captures call, by name or by number, what their packets begin with. */
static const struct {
  const char *name;
  int linktype;
  const struct wire_layer *layer; /* NULL: IP of either version */
} starts[] = {
  {"ethernet",   1,   &wire_ethernet},
  {"ip",         101, NULL          },
  {"raw",        12,  NULL          },
  {"raw",        14,  NULL          },
  {"null",       0,   &wire_null    },
  {"loop",       108, &wire_loop    },
  {"cooked",     113, &wire_sll     },
  {"linux_sll",  113, &wire_sll     },
  {"linux_sll2", 276, &wire_sll2    },
  {"ipv4",       228, &wire_ipv4    },
  {"ipv6",       229, &wire_ipv6    },
};

static const struct wire_layer *first_layer(lua_State *L, int arg) {
  const struct wire_layer *l;
  const char *name = NULL;
  lua_Integer type = -1;
  size_t i;
  if (lua_isinteger(L, arg))
    type = lua_tointeger(L, arg);
  else
    name = luaL_optstring(L, arg, "ethernet");
  for (i = 0; i < countof(starts); i++)
    if (name != NULL ? strcmp(name, starts[i].name) == 0
                     : type == starts[i].linktype)
      return starts[i].layer;
  l = name != NULL ? wire_named(name) : NULL;
  if (l == NULL)
    luaL_argerror(
      L, arg,
      lua_pushfstring(L, "unknown layer '%s'", luaL_tolstring(L, arg, NULL)));
  return l;
}

static void check_options(lua_State *L, int arg, struct wire_decoder *d) {
  const char *name;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
    name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(name, "truncated") != 0 && strcmp(name, "checksums") != 0)
      luaL_argerror(
        L, arg,
        lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL)));
    if (!lua_isboolean(L, -1))
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "option '%s' must be a boolean", name));
    if (*name == 't')
      d->partial = lua_toboolean(L, -1);
    else
      d->unsummed = !lua_toboolean(L, -1);
  }
}

static int fail(lua_State *L, const struct wire_error *e) {
  luaL_pushfail(L);
  if (e->valued)
    lua_pushfstring(L, "%s: %s %I at offset %I", e->layer, e->what,
                    (LUAI_UACINT)e->value, (LUAI_UACINT)e->at);
  else
    lua_pushfstring(L, "%s: %s at offset %I", e->layer, e->what,
                    (LUAI_UACINT)e->at);
  lua_pushliteral(L, "EBADMSG");
  lua_pushinteger(L, (lua_Integer)e->at);
  return 4;
}

int wire_ldecode(lua_State *L) {
  struct wire_decoder d;
  struct lsink s;
  const struct wire_layer *first;
  d.bytes = (const uint8_t *)luaL_checklstring(L, 1, &d.size);
  first = first_layer(L, 2);
  d.partial = d.unsummed = false;
  lua_settop(L, 3);
  if (!lua_isnil(L, 3))
    check_options(L, 3, &d);
  luaL_checkstack(L, 4 * DEPTH, NULL);
  lua_pushvalue(L, lua_upvalueindex(1));
  s.sink = callbacks;
  s.L = L;
  s.names = lua_touserdata(L, -1);
  s.held = lua_gettop(L);
  s.table = NULL;
  s.outer.at = 0;
  s.depth = 0;
  begin_packet(&s);
  d.sink = &s.sink;
  if (wire_decode(&d, first) < 0)
    return fail(L, &d.error);
  lua_settop(L, s.packet.at);
  return 1;
}
