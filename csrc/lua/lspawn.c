/* SPDX-License-Identifier: MIT
 * A task's life: how it begins, ends, fails, and what it leaves behind. */
#include "lua/ltask.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

void task_unanchor(lua_State *L, struct task *t) {
  core_value(L, CORE_ANCHORS);
  luaL_unref(L, -1, t->ref);
  lua_pop(L, 1);
  t->ref = LUA_NOREF;
}

/* Off everything; whoever waits for it goes on. It stays anchored while
 * somebody still needs its error. */
static void finish(lua_State *L, struct task *t, enum task_status status) {
  struct core *c = t->core;
  bool awaited = !list_empty(&t->joiners);
  bool failed = status == TASK_FAILED || status == TASK_KILLED;
  t->status = (uint8_t)status;
  loop_forget(&c->loop, &t->w);
  list_remove(&t->all);
  c->live--;
  loop_wake_all(&c->loop, &t->joiners, 0);
  while (t->scopes != NULL)
    scope_leave(t->scopes);
  t->report = failed && t->group == NULL && !awaited;
  if (t->group != NULL)
    group_left(L, t->group, t, awaited);
  if (!t->report && t->traced)
    trace_forget(L, t);
  if (!t->report && !(t->group != NULL && t->group->failed == t))
    task_unanchor(L, t);
}

void task_report(lua_State *L, struct task *t) {
  if (!t->report)
    return;
  t->report = false;
  trace_report(L, t);
  trace_forget(L, t);
  task_unanchor(L, t);
}

int task_end(lua_State *L, int status, lua_KContext ctx) {
  struct task *t = (struct task *)ctx;
  enum task_status end = TASK_DONE;
  if (t->status != TASK_LIVE)
    return 0;
  t->nresults = lua_gettop(L) - 2;
  if (status != LUA_OK && status != LUA_YIELD) {
    end = luaL_testudata(L, -1, CANCELLED_CLASS) && t->cancel == CANCEL_RAISED
            ? TASK_CANCELLED
            : TASK_FAILED;
    t->nresults = 1;
  }
  finish(L, t, end);
  if (end == TASK_FAILED && t->core->running != t) {
    task_report(L, t); /* a stranger resumed it: nobody else will */
    return lua_error(L);
  }
  return t->nresults;
}

/* Closing a suspended coroutine from outside runs this: its task fails. */
static int sentinel_close(lua_State *L) {
  struct core *c = neap_core(L);
  struct list *at;
  if (c->running != NULL && c->running->co == L && task_ended(c->running))
    return 0;
  for (at = c->tasks.next; at != &c->tasks; at = at->next) {
    struct task *t = container_of(at, struct task, all);
    if (t->co == L && t != c->resetting) {
      finish(L, t, TASK_KILLED);
      task_report(L, t);
      break;
    }
  }
  return 0;
}

int task_main(lua_State *L) {
  struct task *t = lua_touserdata(L, 1);
  t->status = TASK_LIVE;
  core_value(L, CORE_SENTINEL);
  lua_replace(L, 1);
  lua_toclose(L, 1);
  return task_end(
    L,
    lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, (lua_KContext)t, task_end),
    (lua_KContext)t);
}

struct task *task_spawn(lua_State *L, struct core *c, struct group *g,
                        lua_CFunction bottom, int nargs) {
  struct task *t;
  core_checkopen(L, c);
  t = lua_newuserdatauv(L, sizeof *t, 1);
  memset(t, 0, sizeof *t);
  t->status = TASK_KILLED; /* until it is whole */
  wait_init(&t->w);
  list_init(&t->all);
  list_init(&t->ingroup);
  list_init(&t->joiners);
  core_setclass(L, task_class);
  t->core = c;
  t->co = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  if (heap_reserve(&c->loop.timers, c->live + 2) < 0 ||
      !lua_checkstack(t->co, nargs + 4))
    luaL_error(L, "not enough memory");
  lua_pushcfunction(t->co, bottom);
  lua_pushlightuserdata(t->co, t);
  lua_pushcfunction(t->co, trace_handler);
  lua_insert(L, -nargs - 2);
  core_value(L, CORE_ANCHORS);
  lua_pushvalue(L, -nargs - 3);
  t->ref = luaL_ref(L, -2);
  lua_pop(L, 1);
  lua_xmove(L, t->co, nargs + 1);
  t->status = TASK_NEW;
  t->id = ++c->lastid;
  c->live++;
  list_append(&c->tasks, &t->all);
  if (g != NULL) {
    t->group = g;
    g->live++;
    list_append(&g->members, &t->ingroup);
  }
  loop_park(&c->loop, &t->w, NULL, false);
  loop_wake(&c->loop, &t->w, 0);
  return t;
}

void task_cancel(lua_State *L, struct task *t, int64_t grace) {
  if (task_ended(t) || t->cancel != CANCEL_NONE)
    return;
  t->cancel = CANCEL_ASKED;
  t->grace = grace;
  if (t->status == TASK_NEW) {
    lua_settop(t->co, 0);
    finish(L, t, TASK_CANCELLED);
  } else {
    loop_wake(&t->core->loop, &t->w, -ECANCELED);
  }
}

int task_pusherror(lua_State *L, struct task *t) {
  if (t->status == TASK_FAILED && lua_gettop(t->co) >= 1) {
    lua_pushvalue(t->co, -1);
    lua_xmove(t->co, L, 1);
  } else {
    lua_pushliteral(L, "the task was killed: its coroutine was resumed or "
                       "closed from outside");
  }
  return 1;
}

int task_pushresults(lua_State *L, struct task *t) {
  int i, n = t->nresults;
  if (lua_gettop(t->co) < n)
    n = 0; /* a stranger's resume took them */
  if (!lua_checkstack(L, n + 4) || !lua_checkstack(t->co, n))
    return luaL_error(L, "too many results to join");
  for (i = 0; i < n; i++)
    lua_pushvalue(t->co, -n);
  lua_xmove(t->co, L, n);
  return n;
}

/* An error that even lua_pcallk let through, or a plain yield: then only this
 * unwinds it, and its handlers cannot wait. */
void task_fail(lua_State *L, struct task *t, int status) {
  if (task_ended(t))
    return;
  if (status == LUA_YIELD) {
    t->core->resetting = t;
    lua_resetthread(t->co);
    t->core->resetting = NULL;
    lua_settop(t->co, 0);
    lua_pushliteral(t->co, "coroutine.yield in a task, outside of any "
                           "coroutine; to give way use neap.sleep(0)");
  }
  t->nresults = 1;
  finish(L, t, TASK_FAILED);
}

/* The value whose closing tells that a task's coroutine was closed. */
void task_opensentinel(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__close", sentinel_close},
    {NULL,      NULL          }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, "neap.sentinel", meta, none);
  core_push(L);
  lua_newuserdatauv(L, 1, 0);
  luaL_setmetatable(L, "neap.sentinel");
  lua_setiuservalue(L, -2, CORE_SENTINEL);
  lua_pop(L, 1);
}
