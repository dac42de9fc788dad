/* SPDX-License-Identifier: MIT */
#ifndef NEAP_LUA_LOPENFILE_H
#define NEAP_LUA_LOPENFILE_H

#include <lua.h>

struct file;

/* The neap.file at this argument and its descriptor, which stays open until
 * it is let go, whatever closes it; NULL if it is none. */
struct file *lopenfile_use(lua_State *L, int arg, int *fd);
void lopenfile_unuse(struct file *f);

void neap_open_openfile(lua_State *L);

#endif
