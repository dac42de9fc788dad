/* SPDX-License-Identifier: MIT
 * Socket options by name, for every class that has a socket. */
#ifndef NEAP_LUA_LSOCKOPT_H
#define NEAP_LUA_LSOCKOPT_H

#include <lua.h>

/* setsockopt: the name is at `arg`, the value after it. Raises on an unknown
 * name, a wrong type, a value out of range. Returns the number of results:
 * what is at index 1 (the object), or a failure. */
int lsockopt_set(lua_State *L, int fd, int arg);

/* getsockopt: the value, or a failure. */
int lsockopt_get(lua_State *L, int fd, int arg);

/* Pushes a list of all rows: { name =, type =, level =, number =, min =,
 * max =, readable =, writable = }; no number where the headers have none. */
int lsockopt_list(lua_State *L);

#endif
