/* SPDX-License-Identifier: MIT
 * neap.zcore: an object of its own, which needs no symbol of neap's core. What
 * its files share. */
#ifndef NEAP_LUA_Z_LZ_H
#define NEAP_LUA_Z_LZ_H

#include <lua.h>
#include <lauxlib.h>

#include "z/decode.h"

/* The kind that the argument names, as an enum zkind. */
int lz_kind(lua_State *L, int arg);

/* An integer in [least, most], or the default. */
int lz_option(lua_State *L, int arg, int otherwise, int least, int most);

/* A number of bytes, or `otherwise` for nil. */
size_t lz_size(lua_State *L, int arg, size_t otherwise);

/* Pushes nil, "kind: why", the code. Returns 3. */
int lz_fail(lua_State *L, enum zkind kind, int err);

/* Adds functions to the table on top, and makes its class. */
void lz_open_decoder(lua_State *L);
void lz_open_encoder(lua_State *L);

#endif
