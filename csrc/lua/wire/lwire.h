/* SPDX-License-Identifier: MIT
 * neap.wire: an object of its own, which needs nothing of neap's core. What
 * its files share: the names of all fields, interned once. */
#ifndef NEAP_LUA_WIRE_LWIRE_H
#define NEAP_LUA_WIRE_LWIRE_H

#include <lua.h>
#include <lauxlib.h>

#include "wire/decode.h"

enum { NAMES_ROOM = 512 }; /* a power of 2, well over the number of tables */

/* A userdata, the first upvalue of every function here: which of its user
 * values is the name of a table's first field, or of a layer. */
struct names {
  struct name_row {
    const void *key; /* a table or a layer */
    uint16_t slot;
    uint16_t hint; /* how many fields are usually told */
  } rows[NAMES_ROOM];
};

/* What a packet has besides its layers. */
extern const struct wire_table packet_table;
enum {
  PACKET_PAYLOAD,
  PACKET_PADDING,
  PACKET_TRUNCATED,
  PACKET_MALFORMED,
};

/* Pushes the userdata. */
void names_new(lua_State *L);

static inline const struct name_row *names_find(const struct names *names,
                                                const void *key) {
  size_t i = (uintptr_t)key / 8;
  while (names->rows[i % NAMES_ROOM].key != key)
    i++;
  return &names->rows[i % NAMES_ROOM];
}

int wire_ldecode(lua_State *L); /* wire.decode */
int wire_lencode(lua_State *L); /* wire.encode */

#endif
