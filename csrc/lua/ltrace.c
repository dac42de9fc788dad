/* SPDX-License-Identifier: MIT
 * Where errors were raised, where tasks wait, and who is told. */
#include "lua/ltask.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

static bool is_interrupt(lua_State *L) {
  bool same;
  core_value(L, CORE_CANCELLED);
  core_value(L, CORE_TIMEDOUT);
  same = lua_rawequal(L, -2, -3) || lua_rawequal(L, -1, -3);
  lua_pop(L, 2);
  return same;
}

/* Stack: error, traces, key. Leaves the text of an earlier handler, further
 * in, that saw the same error; or nil. */
static void earlier(lua_State *L) {
  lua_pushvalue(L, 3);
  if (lua_rawget(L, 2) != LUA_TTABLE)
    return;
  lua_rawgeti(L, -1, 1);
  if (lua_rawequal(L, -1, 1)) {
    lua_rawgeti(L, -2, 2);
    return;
  }
  lua_pushnil(L);
}

/* The error stays what it is; its traceback is kept for neap.onerror. Runs
 * where the error was raised, in each coroutine that it passes through. */
int trace_handler(lua_State *L) {
  struct core *c;
  lua_settop(L, 1);
  if (is_interrupt(L))
    return 1;
  core_push(L);
  c = lua_touserdata(L, -1);
  lua_pop(L, 1);
  core_value(L, CORE_TRACES);
  task_self(c)->traced = true;
  lua_pushlightuserdata(L, task_self(c));
  earlier(L);
  if (lua_isstring(L, -1)) {
    luaL_traceback(L, L, NULL, 1);
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, -2), lua_tostring(L, -1));
  } else {
    luaL_traceback(L, L, NULL, 1);
  }
  lua_pushvalue(L, 3);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, 2);
  lua_rawset(L, 2);
  lua_settop(L, 1);
  return 1;
}

void trace_forget(lua_State *L, struct task *t) {
  core_value(L, CORE_TRACES);
  if (lua_rawgetp(L, -1, t) != LUA_TNIL) {
    lua_pushnil(L);
    lua_rawsetp(L, -3, t);
  }
  lua_pop(L, 2);
}

/* Calls module.onerror(task, error, traceback). */
static int call_onerror(lua_State *L) {
  struct task *t = lua_touserdata(L, 1);
  core_value(L, CORE_MODULE);
  if (lua_getfield(L, -1, "onerror") == LUA_TNIL)
    return 0;
  core_value(L, CORE_ANCHORS);
  lua_rawgeti(L, -1, t->ref);
  lua_remove(L, -2);
  lua_pushvalue(L, 2);
  core_value(L, CORE_TRACES);
  if (lua_rawgetp(L, -1, t) == LUA_TTABLE)
    lua_rawgeti(L, -1, 2);
  else
    lua_pushliteral(L, "");
  lua_replace(L, -3);
  lua_pop(L, 1);
  lua_call(L, 3, 0);
  return 0;
}

void trace_report(lua_State *L, struct task *t) {
  if (!lua_checkstack(L, 4))
    return;
  task_pusherror(L, t); /* first: L may be the task's own thread */
  lua_pushcfunction(L, call_onerror);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, t);
  lua_insert(L, -2);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    const char *why = lua_tostring(L, -1);
    fprintf(stderr, "neap: error in neap.onerror: %s\n",
            why != NULL ? why : "(not a string)");
    lua_pop(L, 1);
  }
}

/* ---- where tasks wait ---- */

/* The coroutine that co has resumed through neap.coroutine and waits for, or
 * NULL: it is the first argument or upvalue of the function on top. */
static lua_State *inner(lua_State *co) {
  lua_Debug ar;
  lua_State *in = NULL;
  if (lua_status(co) != LUA_YIELD || !lua_getstack(co, 0, &ar) ||
      !lua_checkstack(co, 3))
    return NULL;
  if (lua_getlocal(co, &ar, 1) != NULL) {
    in = lua_tothread(co, -1);
    lua_pop(co, 1);
  }
  if (in == NULL && lua_getinfo(co, "f", &ar)) {
    if (lua_getupvalue(co, -1, 2) != NULL) {
      in = lua_tothread(co, -1);
      lua_pop(co, 1);
    }
    lua_pop(co, 1);
  }
  return in;
}

/* Pushes the traceback through every coroutine, the innermost first. */
static void push_where(lua_State *L, lua_State *co) {
  lua_State *in = inner(co);
  luaL_traceback(L, co, NULL, 0);
  if (in != NULL) {
    push_where(L, in);
    lua_insert(L, -2);
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
}

static void push_task(lua_State *L, struct task *t) {
  core_value(L, CORE_ANCHORS);
  lua_rawgeti(L, -1, t->ref);
  lua_remove(L, -2);
}

static void describe(lua_State *L, struct core *c, struct task *t) {
  lua_createtable(L, 0, 7);
  push_task(L, t);
  lua_getfield(L, -1, "name");
  lua_pushvalue(L, -2);
  lua_call(L, 1, 1);
  lua_setfield(L, -3, "name");
  lua_getfield(L, -1, "status");
  lua_pushvalue(L, -2);
  lua_call(L, 1, 1);
  lua_setfield(L, -3, "status");
  lua_setfield(L, -2, "task");
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  if (t->w.state == WAIT_WAITING) {
    lua_pushstring(L, t->w.what);
    lua_setfield(L, -2, "waits_for");
    lua_pushnumber(L, (lua_Number)(sys_now() - t->since) / 1e9);
    lua_setfield(L, -2, "since");
  }
  if (t == c->running)
    luaL_traceback(L, L, NULL, 1);
  else
    push_where(L, t->co);
  lua_setfield(L, -2, "traceback");
}

static int l_tasks(lua_State *L) {
  struct core *c = neap_core(L);
  struct list *at;
  lua_Integer n = 0;
  lua_newtable(L);
  for (at = c->tasks.next; at != &c->tasks; at = at->next) {
    describe(L, c, container_of(at, struct task, all));
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

void trace_deadlock(lua_State *L, struct core *c) {
  struct list *at;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "deadlock: nothing can wake whoever waits");
  for (at = c->tasks.next; at != &c->tasks; at = at->next) {
    struct task *t = container_of(at, struct task, all);
    luaL_addstring(&b, "\n");
    push_task(L, t);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&b);
    lua_pushfstring(L, ": %s\n", t->w.what != NULL ? t->w.what : "?");
    luaL_addvalue(&b);
    push_where(L, t->co);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}

void neap_open_trace(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"tasks", l_tasks},
    {NULL,    NULL   }
  };
  neap_setfuncs(L, functions);
}
