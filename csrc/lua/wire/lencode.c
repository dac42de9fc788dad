/* SPDX-License-Identifier: MIT
 * wire.encode: lists of layers, of which some hold lists of layers. */
#include <string.h>

#include "lua/wire/lsource.h"
#include "wire/layers.h"

enum { SMALL = 2048 }; /* most packets are not longer */

/* ---- packets ---- */

/* The layer that the k-th of the n things of the list is; NULL if it is bytes,
 * or behind the last. Leaves the thing on the stack. */
static const struct wire_layer *push_thing(struct lsource *s, int list,
                                           lua_Integer k, lua_Integer n) {
  lua_State *L = s->L;
  const struct wire_layer *l = NULL;
  int type = lua_rawgeti(L, list, k);
  if (k > n || type == LUA_TSTRING)
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

/* The string that was asked for last is there until the end. */
static void hold_trailer(struct lsource *s) {
  lua_State *L = s->L;
  if (lua_isnil(L, s->trailers)) {
    lua_newtable(L);
    lua_replace(L, s->trailers);
  }
  lua_pushvalue(L, s->string);
  lua_rawseti(L, s->trailers, (lua_Integer)lua_rawlen(L, s->trailers) + 1);
}

static void put_layer(struct lsource *s, struct wire_encoder *e,
                      const struct wire_layer *l, const struct wire_layer *next,
                      long place) {
  const uint8_t *trailer = NULL;
  size_t n = 0;
  unsigned i;
  struct frame *f = source_push(s, false);
  if (e->depth > 0) {
    f->index = place - 1;
  } else {
    s->layer = l;
    s->number = place;
  }
  s->places[e->nmarks % countof(s->places)] = place;
  for (i = WIRE_COMMON_LAYER; i < WIRE_COMMON_TRAILER; i++)
    s->source.has(&s->source, &wire_common, i);
  if (s->source.bytes(&s->source, &wire_common, WIRE_COMMON_TRAILER, &trailer,
                      &n))
    hold_trailer(s);
  if (!wire_layer(e, l, next, trailer, n))
    luaL_argerror(s->L, 1, "more than 32 layers");
  source_pop(s);
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
  next = push_thing(s, list, 1, n);
  for (k = 1; k <= n; k++) {
    size_t len;
    l = next;
    next = push_thing(s, list, k + 1, n);
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
  source_push(s, true);
  wire_finish(e);
  s->n--;
  put_bytes(s, e, list, PACKET_PADDING);
}

/* The packet that an ICMP error is about: a packet, or its bytes. */
bool source_packet(struct wire_source *source, const struct wire_table *t,
                   unsigned i, struct wire_encoder *e) {
  struct lsource *s = to_lsource(source);
  lua_State *L = s->L;
  struct frame *f;
  unsigned base;
  const char *bytes;
  size_t n;
  if (!source_get(s, t, i))
    return false;
  if (lua_type(L, -1) == LUA_TSTRING) {
    bytes = lua_tolstring(L, -1, &n);
    wire_append(e, bytes, n);
    lua_pop(L, 1);
    return true;
  }
  source_check(s, t, i);
  if (e->depth > 0)
    source_bad(s, t, i,
               "must be a string, within a packet that is within another");
  f = source_push(s, true);
  f->table = t;
  f->field = i;
  base = wire_begin(e);
  put_packet(s, e, f->at);
  wire_end(e, base);
  source_pop(s);
  return true;
}

int wire_lencode(lua_State *L) {
  struct wire_encoder e;
  struct lsource s;
  uint8_t small[SMALL];
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_checkstack(L, 3 * FRAMES, NULL);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_settop(L, 5);
  source_init(&s, L, 2);
  e.bytes = small;
  e.n = 0;
  e.room = sizeof small;
  e.source = &s.source;
  e.nmarks = e.base = e.depth = 0;
  put_packet(&s, &e, 1);
  lua_pushlstring(L, (const char *)e.bytes, e.n);
  return 1;
}
