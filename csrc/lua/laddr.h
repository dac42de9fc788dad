/* SPDX-License-Identifier: MIT
 * Addresses as Lua has them: ip, port; a path; a table; or, of a family that
 * is not known here, the bytes of the kernel's structure. */
#ifndef NEAP_LUA_LADDR_H
#define NEAP_LUA_LADDR_H

#include <lua.h>

#include "sys/addr.h"

/* Pushes ip, port (2), or a path (1), or bytes (1; nil for no address). */
int laddr_push(lua_State *L, const struct addr *a);

/* Pushes one value: { family = "inet", ip =, port = }, { family = "unix",
 * path = }, bytes, or nil for no address. */
void laddr_pushtable(lua_State *L, const struct addr *a);

/* Takes such a value, in which the family may be left out. Raises on what is
 * no address; returns 0, or -ENODEV for an unknown zone. */
int laddr_check(lua_State *L, int arg, struct addr *a);

/* The same of the value at an index, which is part of an argument. */
int laddr_checkat(lua_State *L, int at, int arg, struct addr *a);

/* A port: an integer in [0, 65535]. */
unsigned laddr_checkport(lua_State *L, int arg);

/* A family: "inet", "inet6", "unix", or its number. laddr_tofamily returns
 * -1 if it is none. */
int laddr_checkfamily(lua_State *L, int arg);
int laddr_tofamily(lua_State *L, int at);

/* "inet", "inet6", "unix"; or NULL. */
const char *laddr_familyname(int family);

#endif
