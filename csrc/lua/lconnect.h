/* SPDX-License-Identifier: MIT
 * What connecting and listening share. */
#ifndef NEAP_LUA_LCONNECT_H
#define NEAP_LUA_LCONNECT_H

#include <lua.h>

#include "sys/addr.h"

/* Sets SO_KEEPALIVE as options.keepalive says: true, or seconds of idleness.
 * Returns 0 or -errno. */
int lconnect_keepalive(lua_State *L, int options, int fd);

/* The argument as a Unix path; raises if it cannot be one. */
void lconnect_path(lua_State *L, int arg, struct addr *a);

#endif
