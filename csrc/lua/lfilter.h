/* SPDX-License-Identifier: MIT
 * Programs of classic BPF as Lua writes them: a list of instructions
 * { code, jt, jf, k }, or the same packed into a string. */
#ifndef NEAP_LUA_LFILTER_H
#define NEAP_LUA_LFILTER_H

#include <lua.h>

#include "base/bpf.h"

/* Reads the program at arg, which is one that the kernel would take: raises on
 * any other, with the argument's number. Pushes what keeps *program, and
 * returns the number of its instructions. */
size_t lfilter_read(lua_State *L, int arg, const struct bpf_instr **program);

/* Adds filter_check, filter_match, filter_dump and filter_pack to the table on
 * top of the stack. */
void neap_open_filter(lua_State *L);

#endif
