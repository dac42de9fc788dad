/* SPDX-License-Identifier: MIT
 * Lookups of names: what the core does for them, and what the calls that make
 * them share. */
#ifndef NEAP_LUA_LRESOLVE_H
#define NEAP_LUA_LRESOLVE_H

#include "loop/resolver.h"
#include "lua/ltask.h"

/* c->resolved rang: those whose lookups are done go on. */
void core_names_rang(struct core *c);

/* The core is closed, or starts afresh after a fork. */
void core_close_names(struct core *c);

/* What is asked, and the lookup once it was. Lies at index 1, where the end
 * of the call closes it; its strings are at 2 and 3. */
struct asked {
  struct names_query query;
  struct lookup *lookup;
  struct addr numeric; /* len > 0: no lookup is needed */
  bool canonname;
};

enum { AT_ASKED = 1, AT_HOST = 2, AT_SERVICE = 3 };

/* Pushes an empty one. */
struct asked *lookup_new(lua_State *L);

/* The argument as a string without NUL, or NULL for nil. */
const char *lookup_text(lua_State *L, int arg);

/* A service as text, which replaces a number; *port is -1 for a name. */
const char *lookup_service(lua_State *L, int arg, int *port);

/* The arguments are checked: what lookup_new pushed goes from the top to
 * AT_ASKED, and the host and the service are the only ones that stay. */
void lookup_settle(lua_State *L);

/* Of a step: returns 0 when the answer is there, 1 to wait for it, or a
 * failure. */
int lookup_step(struct core *c, struct wait *w, struct asked *a);

/* Fails as "what host". */
int lookup_failed(lua_State *L, int err, const char *what);

/* Adds getaddrinfo and getnameinfo to the table on top. */
void lookup_open(lua_State *L);

#endif
