/* SPDX-License-Identifier: MIT
 * Tables as the encoder's source: they are read as it asks for their fields,
 * and raise where they have something that cannot be sent, or that nobody
 * asked for. Lua's stack has the tables that are open, the innermost on top. */
#ifndef NEAP_LUA_WIRE_LSOURCE_H
#define NEAP_LUA_WIRE_LSOURCE_H

#include "lua/wire/lwire.h"
#include "wire/encode.h"
#include "wire/text.h"

enum {
  FRAMES = 24, /* tables within each other */
  ASKED = 6,   /* tables of fields that are asked of one of them */
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
  int held;     /* where on the stack the names are */
  int buffer;   /* and the buffer, when it is no longer the small one */
  int string;   /* the string that was asked for last */
  int trailers; /* nil, or a table of those that are still to be written */
  const struct wire_layer *layer; /* of the outer packet that is being read */
  long number;                    /* its place in the list */
  long places[2 * WIRE_LAYERS];   /* that of each of the encoder's marks */
  unsigned n;
  struct frame frames[FRAMES];
  uint8_t bytes[WIRE_HEXMAX];
};

/* The names are on the stack at `held`; behind them are three more slots. */
void source_init(struct lsource *s, lua_State *L, int held);

/* Raises: the field is wrong in the way that `why` says. t may be NULL. */
int source_bad(struct lsource *s, const struct wire_table *t, unsigned i,
               const char *why);

/* The table or list on top is what is read now; and the one below it again.
 * A table must then have been asked for all that it has. */
struct frame *source_push(struct lsource *s, bool is_list);
void source_pop(struct lsource *s);

/* Pushes the field's value; nothing, if it is nil. */
bool source_get(struct lsource *s, const struct wire_table *t, unsigned i);

/* Raises unless a table is on top. */
void source_check(struct lsource *s, const struct wire_table *t, unsigned i);

/* The callback for a packet in a packet (lencode.c). */
bool source_packet(struct wire_source *source, const struct wire_table *t,
                   unsigned i, struct wire_encoder *e);

#define to_lsource(s) ((struct lsource *)(void *)(s))

#endif
