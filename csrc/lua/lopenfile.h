/* SPDX-License-Identifier: MIT */
#ifndef NEAP_LUA_LOPENFILE_H
#define NEAP_LUA_LOPENFILE_H

#include <lua.h>

/* The descriptor of a neap.file at this argument, or -1 if it is none. */
int lopenfile_fd(lua_State *L, int arg);

void neap_open_openfile(lua_State *L);

#endif
