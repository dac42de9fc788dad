/* SPDX-License-Identifier: MIT
 * neap.coroutine: the standard functions, but that a wait inside of a
 * coroutine passes through create, resume and wrap to the task around it. */
#include "lua/ltask.h"

static lua_State *checkco(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  if (co == NULL)
    luaL_typeerror(L, 1, "coroutine");
  return co;
}

/* The body has ended. An error goes on, now that its handlers have run. */
static int body_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status != LUA_OK && status != LUA_YIELD)
    return lua_error(L);
  return lua_gettop(L) - 1;
}

static int body(lua_State *L) {
  return body_end(
    L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, body_end), 0);
}

static int l_create(lua_State *L) {
  lua_State *co;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  co = lua_newthread(L);
  lua_pushcfunction(co, body);
  lua_pushcfunction(co, trace_handler);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int resume_done(lua_State *L, lua_State *co, int status, int n) {
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (!ok)
    n = 1;
  lua_settop(L, 1);
  if (!lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "too many results to resume");
    return 2;
  }
  lua_pushboolean(L, ok);
  lua_xmove(co, L, n);
  return n + 1;
}

/* Moves nargs values from the top of L to co. Returns false, with a message
 * pushed, if co cannot be resumed. */
static bool pass_arguments(lua_State *L, lua_State *co, int nargs) {
  lua_Debug ar;
  if (!lua_checkstack(co, nargs + 1)) {
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return false;
  }
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
    lua_pushliteral(L, "cannot resume dead coroutine");
    return false;
  }
  lua_xmove(L, co, nargs);
  return true;
}

/* A coroutine of ours begins with body(handler, fn, arguments). */
static int nargs_of(lua_State *co, int nargs) {
  return lua_status(co) == LUA_OK ? lua_gettop(co) - 1 : nargs;
}

static int l_resume(lua_State *L) {
  static const struct resume_op op = {1, resume_done};
  lua_State *co = checkco(L);
  int nargs = lua_gettop(L) - 1;
  if (!pass_arguments(L, co, nargs)) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  return task_resume(L, &op, nargs_of(co, nargs));
}

static int wrap_done(lua_State *L, lua_State *co, int status, int n) {
  if (status == LUA_OK || status == LUA_YIELD) {
    luaL_checkstack(L, n, "too many results");
    lua_xmove(co, L, n);
    return n;
  }
  lua_xmove(co, L, 1);
  return lua_error(L); /* unchanged, so that its traceback is found */
}

static int wrap_call(lua_State *L) {
  static const struct resume_op op = {-2, wrap_done};
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int nargs = lua_gettop(L);
  if (!pass_arguments(L, co, nargs))
    return lua_error(L);
  return task_resume(L, &op, nargs_of(co, nargs));
}

static int l_wrap(lua_State *L) {
  l_create(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, -2);
  lua_pushcclosure(L, wrap_call, 2);
  return 1;
}

void neap_open_coroutine(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"create", l_create},
    {"resume", l_resume},
    {"wrap",   l_wrap  },
    {NULL,     NULL    }
  };
  lua_newtable(L);
  neap_setfuncs(L, functions);
  lua_setfield(L, -2, "coroutine");
}
