/* SPDX-License-Identifier: MIT */
#include "lua/wire/lwire.h"

#include <string.h>

#include "wire/layers.h"

static const struct wire_field packet_fields[] = {
  REST("payload", BYTES),
  REST("padding", BYTES),
  REST("truncated", BYTES),
  REST("malformed", BYTES),
};
const struct wire_table packet_table = WIRE_TABLE(packet_fields, 0);

enum { TABLES = NAMES_ROOM / 2 };

/* Everything that is to be found, in the order of the slots. */
struct found {
  const struct wire_table *tables[TABLES];
  unsigned n;
};

static void add(lua_State *L, struct found *f, const struct wire_table *t) {
  unsigned i;
  for (i = 0; i < f->n; i++)
    if (f->tables[i] == t)
      return;
  if (f->n == TABLES)
    luaL_error(L, "too many tables of fields");
  f->tables[f->n++] = t;
}

static void add_family(lua_State *L, struct found *f,
                       const struct wire_family *family) {
  unsigned i;
  for (i = 0; i < family->n; i++)
    if (family->rows[i].table != NULL)
      add(L, f, family->rows[i].table);
}

static void add_cases(lua_State *L, struct found *f,
                      const struct wire_cases *c) {
  unsigned i;
  for (i = 0; i < c->n; i++)
    add(L, f, c->rows[i].table);
}

/* The tables that a table leads to. */
static void add_below(lua_State *L, struct found *f,
                      const struct wire_table *t) {
  unsigned i;
  for (i = 0; i < t->n; i++) {
    const struct wire_field *field = &t->fields[i];
    if (field->kind == WIRE_LIST || field->kind == WIRE_GROUP)
      add(L, f, field->more);
    else if (field->kind == WIRE_TLVS)
      add_family(L, f, field->more);
    else if (field->kind == WIRE_CASE)
      add_cases(L, f, field->more);
  }
}

static void find_all(lua_State *L, struct found *f) {
  unsigned i;
  f->n = 0;
  add(L, f, &packet_table);
  add(L, f, &wire_common);
  add(L, f, &wire_item);
  for (i = 0; i < WIRE_NAMES; i++)
    add(L, f, wire_layers[i]->table);
  for (i = 0; i < f->n; i++) /* which grows meanwhile */
    add_below(L, f, f->tables[i]);
}

static void enter(struct names *names, const void *key, unsigned slot,
                  unsigned hint) {
  size_t i = (uintptr_t)key / 8;
  while (names->rows[i % NAMES_ROOM].key != NULL)
    i++;
  names->rows[i % NAMES_ROOM].key = key;
  names->rows[i % NAMES_ROOM].slot = (uint16_t)slot;
  names->rows[i % NAMES_ROOM].hint = (uint16_t)hint;
}

static void set(lua_State *L, unsigned slot, const char *name) {
  lua_pushstring(L, name != NULL ? name : "");
  lua_setiuservalue(L, -2, (int)slot);
}

void names_new(lua_State *L) {
  struct found found;
  struct names *names;
  unsigned i, k, hint, slots = 1;
  find_all(L, &found);
  for (i = 0; i < found.n; i++)
    slots += found.tables[i]->n;
  names = lua_newuserdatauv(L, sizeof *names, (int)(slots + WIRE_NAMES));
  memset(names, 0, sizeof *names);
  for (i = 0, slots = 1; i < found.n; i++) {
    const struct wire_table *t = found.tables[i];
    for (k = 0, hint = 2; k < t->n; k++) {
      set(L, slots + k, t->fields[k].name);
      hint += !t->fields[k].quiet && t->fields[k].kind < WIRE_LIST;
    }
    enter(names, t, slots, hint);
    slots += t->n;
  }
  for (i = 0; i < WIRE_NAMES; i++, slots++) {
    set(L, slots, wire_layers[i]->name);
    enter(names, wire_layers[i], slots, 0);
  }
}
