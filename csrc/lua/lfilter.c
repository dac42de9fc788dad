/* SPDX-License-Identifier: MIT
 * Programs of classic BPF: read from Lua, checked, run and written. */
#include "lua/lfilter.h"

#include <errno.h>
#include <string.h>

#include "lua/neap.h"

/* ---- reading ---- */

/* The field `at` of the instruction on top; raises unless it is in range. */
static lua_Integer field(lua_State *L, int arg, size_t index, int at,
                         lua_Integer lo, lua_Integer hi) {
  static const char *const names[] = {"code", "jt", "jf", "k"};
  lua_Integer value;
  lua_rawgeti(L, -1, at);
  value = lua_tointeger(L, -1);
  if (!lua_isinteger(L, -1) || value < lo || value > hi)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "instruction %d: %s must be in [%I, %I]",
                                  (int)index, names[at - 1], (LUAI_UACINT)lo,
                                  (LUAI_UACINT)hi));
  lua_pop(L, 1);
  return value;
}

/* From the list at arg; an offset may be written as a negative k. Pushes the
 * array. */
static const struct bpf_instr *read_list(lua_State *L, int arg, size_t n) {
  struct bpf_instr *p = lua_newuserdatauv(L, (n + 1) * sizeof *p, 0);
  size_t i;
  for (i = 0; i < n; i++) {
    if (lua_rawgeti(L, arg, (lua_Integer)i + 1) != LUA_TTABLE)
      luaL_argerror(L, arg,
                    lua_pushfstring(L,
                                    "instruction %d must be a table { code, "
                                    "jt, jf, k }",
                                    (int)i));
    p[i].code = (uint16_t)field(L, arg, i, 1, 0, UINT16_MAX);
    p[i].jt = (uint8_t)field(L, arg, i, 2, 0, UINT8_MAX);
    p[i].jf = (uint8_t)field(L, arg, i, 3, 0, UINT8_MAX);
    p[i].k = (uint32_t)field(L, arg, i, 4, INT32_MIN, UINT32_MAX);
    lua_pop(L, 1);
  }
  return p;
}

/* From the string at arg. Pushes a copy, which is aligned. */
static const struct bpf_instr *read_packed(lua_State *L, int arg, size_t *n) {
  size_t len;
  const char *s = lua_tolstring(L, arg, &len);
  struct bpf_instr *p;
  luaL_argcheck(L, len % sizeof *p == 0, arg,
                "a packed program has 8 bytes for each instruction");
  luaL_argcheck(L, len <= BPF_LONGEST * sizeof *p, arg,
                "a program has 1 to 4096 instructions");
  p = lua_newuserdatauv(L, len + sizeof *p, 0);
  memcpy(p, s, len);
  *n = len / sizeof *p;
  return p;
}

/* Whatever was given, good or not, as long as it has the form of a program. */
static size_t read(lua_State *L, int arg, const struct bpf_instr **program) {
  size_t n;
  if (lua_type(L, arg) == LUA_TSTRING) {
    *program = read_packed(L, arg, &n);
    return n;
  }
  if (lua_type(L, arg) != LUA_TTABLE)
    luaL_typeerror(L, arg, "program, a list of instructions");
  n = (size_t)lua_rawlen(L, arg);
  luaL_argcheck(L, n <= BPF_LONGEST, arg,
                "a program has 1 to 4096 instructions");
  *program = read_list(L, arg, n);
  return n;
}

/* Pushes what is wrong with a program of n instructions. */
static const char *push_why(lua_State *L, size_t n, size_t at,
                            const char *why) {
  if (n == 0)
    return lua_pushstring(L, why);
  return lua_pushfstring(L, "instruction %d: %s", (int)at, why);
}

size_t lfilter_read(lua_State *L, int arg, const struct bpf_instr **program) {
  size_t at, n = read(L, arg, program);
  const char *why;
  if (bpf_check(*program, n, &at, &why) < 0)
    luaL_argerror(L, arg, push_why(L, n, at, why));
  return n;
}

/* ---- the functions ---- */

/* filter_check(program): true, or how the kernel would refuse it. */
static int l_check(lua_State *L) {
  const struct bpf_instr *program;
  size_t at, n = read(L, 1, &program);
  const char *why;
  if (bpf_check(program, n, &at, &why) == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  luaL_pushfail(L);
  lua_pushfstring(L, "filter: %s", push_why(L, n, at, why));
  lua_remove(L, -2);
  lua_pushliteral(L, "EINVAL");
  return 3;
}

/* filter_match(program, bytes[, length]): whether it lets them through. */
static int l_match(lua_State *L) {
  const struct bpf_instr *program;
  struct bpf_packet p;
  int64_t kept;
  size_t at;
  luaL_argexpected(L, lua_type(L, 2) == LUA_TSTRING, 2, "string");
  p.data = (const unsigned char *)lua_tolstring(L, 2, &p.len);
  luaL_argcheck(L, p.len <= UINT32_MAX, 2, "too long for a packet");
  p.length = (uint32_t)p.len;
  if (!lua_isnoneornil(L, 3))
    p.length = (uint32_t)neap_checkint(L, 3, (lua_Integer)p.len, UINT32_MAX);
  lfilter_read(L, 1, &program);
  kept = bpf_run(program, &p, &at);
  if (kept >= 0) {
    lua_pushboolean(L, kept > 0);
    return 1;
  }
  luaL_pushfail(L);
  lua_pushfstring(
    L, "filter: instruction %d asks for what only the kernel knows", (int)at);
  lua_pushliteral(L, "ENOTSUP");
  return 3;
}

/* filter_dump(program): a line for each instruction. */
static int l_dump(lua_State *L) {
  const struct bpf_instr *program;
  size_t i, n = lfilter_read(L, 1, &program);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (i = 0; i < n; i++) {
    char line[BPF_LINELEN];
    luaL_addstring(&b, bpf_line(program, i, line));
    luaL_addchar(&b, '\n');
  }
  luaL_pushresult(&b);
  return 1;
}

/* filter_pack(program): the same as a string. */
static int l_pack(lua_State *L) {
  const struct bpf_instr *program;
  size_t n = lfilter_read(L, 1, &program);
  lua_pushlstring(L, (const char *)program, n * sizeof *program);
  return 1;
}

void neap_open_filter(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"filter_check", l_check},
    {"filter_match", l_match},
    {"filter_dump",  l_dump },
    {"filter_pack",  l_pack },
    {NULL,           NULL   }
  };
  neap_setfuncs(L, functions);
}
