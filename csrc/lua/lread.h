/* SPDX-License-Identifier: MIT
 * What all steps that read from a stream share. */
#ifndef NEAP_LUA_LREAD_H
#define NEAP_LUA_LREAD_H

#include "lua/lstream.h"

/* How every reading step begins. Returns 0, or the number of results. */
int lread_begin(lua_State *L, struct wait *w, struct stream *s,
                const char *operation);

/* One more attempt to have what lacks. Returns 0 to look again, OP_WAIT, or
 * the number of a failure's results. */
int lread_fill(lua_State *L, struct core *c, struct wait *w, struct stream *s,
               size_t lacks, const char *operation);

#endif
