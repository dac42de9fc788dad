/* SPDX-License-Identifier: MIT
 * Groups: tasks that end before the scope that began them. */
#include "lua/ltask.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

static struct group *checkgroup(lua_State *L) {
  return neap_checkclass(L, 1, GROUP_CLASS);
}

static void cancel_members(lua_State *L, struct group *g, int64_t grace) {
  struct list *at, *next;
  for (at = g->members.next; at != &g->members; at = next) {
    next = at->next;
    task_cancel(L, container_of(at, struct task, ingroup), grace);
  }
}

void group_left(lua_State *L, struct group *g, struct task *t, bool awaited) {
  struct core *c = t->core;
  bool failed = t->status == TASK_FAILED || t->status == TASK_KILLED;
  list_remove(&t->ingroup);
  g->live--;
  if (g->live == 0)
    loop_wake_all(&c->loop, &g->waiters, 0);
  if (failed && (g->isrun || g->alone))
    t->report = !awaited;
  else if (failed && (g->failed != NULL || g->scope.task == NULL))
    t->report = true;
  else if (failed) {
    g->failed = t;
    cancel_members(L, g, TASK_GRACE);
    if (g->scope.state == SCOPE_ARMED)
      loop_wake(&c->loop, &g->scope.task->w, -ECANCELED);
    return;
  }
  t->group = NULL;
}

struct group *group_ofrun(struct core *c) {
  struct task *t = c->running;
  while (t != NULL && t->group != NULL && !t->group->isrun)
    t = t->group->scope.task;
  return t != NULL ? t->group : NULL;
}

/* The members live on, on their own. */
static void abandon(lua_State *L, struct group *g) {
  scope_leave(&g->scope);
  loop_wake_all(&neap_core(L)->loop, &g->waiters, 0);
  while (!list_empty(&g->members)) {
    struct task *t = container_of(g->members.next, struct task, ingroup);
    list_remove(&t->ingroup);
    t->group = NULL;
  }
  g->live = 0;
  if (g->failed != NULL) {
    g->failed->group = NULL;
    task_unanchor(L, g->failed);
  }
  g->failed = NULL;
  g->closed = true;
}

static int l_group(lua_State *L) {
  static const char *const kinds[] = {"group", "run", "serve", NULL};
  struct core *c = neap_core(L);
  int kind = luaL_checkoption(L, 1, "group", kinds);
  struct group *g = lua_newuserdatauv(L, sizeof *g, 1);
  memset(g, 0, sizeof *g);
  list_init(&g->members);
  list_init(&g->waiters);
  g->scope.due = SYS_FOREVER;
  g->scope.group = g;
  g->isrun = kind == 1;
  g->alone = kind == 2;
  luaL_setmetatable(L, GROUP_CLASS);
  lua_pushthread(L);
  lua_setiuservalue(L, -2, 1);
  scope_enter(task_self(c), &g->scope, L);
  return 1;
}

static int l_group_spawn(lua_State *L) {
  struct group *g = checkgroup(L);
  if (g->closed)
    return luaL_error(L, "cannot spawn into a closed group");
  return task_spawnargs(L, g, 2);
}

static int l_group_cancel(lua_State *L) {
  struct group *g = checkgroup(L);
  cancel_members(L, g, task_optgrace(L, 2));
  lua_settop(L, 1);
  return 1;
}

/* Is the running task a member? */
static int l_group_within(lua_State *L) {
  struct group *g = checkgroup(L);
  struct task *t = neap_core(L)->running;
  lua_pushboolean(L, t != NULL && t->group == g);
  return 1;
}

static int l_group_count(lua_State *L) {
  lua_pushinteger(L, checkgroup(L)->live);
  return 1;
}

static int wait_step(lua_State *L, struct core *c, struct wait *w) {
  struct group *g = lua_touserdata(L, 1);
  if (g->live > 0) {
    await_wake(c, w, &g->waiters, false);
    return OP_WAIT;
  }
  if (g->failed != NULL) {
    g->told = g->told || task_self(c) == g->scope.task;
    if (g->told)
      g->scope.state = SCOPE_RAISED;
    task_pusherror(L, g->failed);
    return lua_error(L);
  }
  lua_settop(L, 1);
  return 1;
}

static int l_group_wait(lua_State *L) {
  static const struct op op = {"group wait", wait_step, NULL};
  struct task *t = task_self(neap_core(L));
  struct group *g = checkgroup(L);
  if (t->group == g)
    return luaL_error(L, "a task cannot wait for the group that it is in");
  return neap_op(L, &op, SYS_FOREVER);
}

/* The end of the scope. Slot 2 is the body's error or nil; slot 3, once it is
 * there, the error that interrupted this wait. */
static int close_step(lua_State *L, struct core *c, struct wait *w) {
  struct group *g = lua_touserdata(L, 1);
  bool repeated;
  if (g->live > 0) {
    await_wake(c, w, &g->waiters, false);
    return OP_WAIT;
  }
  repeated = g->failed != NULL && lua_isnil(L, 2);
  if (lua_gettop(L) < 3 && repeated)
    task_pusherror(L, g->failed);
  if (g->failed != NULL && !g->told && !repeated) {
    g->failed->report = true; /* the body's own error is not replaced */
    g->failed->group = NULL;
    task_report(L, g->failed);
    g->failed = NULL;
  }
  abandon(L, g);
  if (lua_gettop(L) >= 3 && lua_isnil(L, 2))
    return lua_error(L);
  return 0;
}

static void close_interrupted(lua_State *L, struct core *c, struct wait *w) {
  struct group *g = lua_touserdata(L, 1);
  (void)c;
  (void)w;
  lua_settop(L, lua_gettop(L) > 3 ? 3 : lua_gettop(L)); /* the first counts */
  cancel_members(L, g, TASK_GRACE);
}

static int close_group(lua_State *L) {
  static const struct op op = {"group close", close_step, close_interrupted};
  struct group *g = checkgroup(L);
  struct core *c = neap_core(L);
  if (g->closed)
    return 0;
  g->closing = true;
  if (!lua_isnil(L, 2))
    cancel_members(L, g, TASK_GRACE);
  if (c->running != NULL && c->running->group == g) {
    abandon(L, g);
    return luaL_error(L, "a task cannot close the group that it is in");
  }
  if (!task_canwait(L, c)) {
    bool lonely = g->live == 0;
    cancel_members(L, g, TASK_GRACE);
    abandon(L, g);
    if (lonely)
      return 0;
    neap_maywait(L, c, op.name); /* raises */
  }
  return neap_op(L, &op, SYS_FOREVER);
}

static int l_group_close(lua_State *L) {
  lua_settop(L, 1);
  lua_pushnil(L);
  return close_group(L);
}

/* An error can be nil: error(nil), or a message handler that returned
 * nothing. At a normal end the caller is the Lua function whose block ends;
 * while an error unwinds it is the pcall that caught it, or nobody. */
static bool unwinding(lua_State *L) {
  lua_Debug ar;
  return !lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar) ||
         *ar.what == 'C';
}

static int l_group_leave(lua_State *L) {
  lua_settop(L, 2);
  if (lua_isnil(L, 2) && unwinding(L)) {
    lua_pushliteral(L, "nil");
    lua_replace(L, 2);
  }
  return close_group(L);
}

static int l_group_gc(lua_State *L) {
  abandon(L, checkgroup(L));
  return 0;
}

static int l_group_tostring(lua_State *L) {
  struct group *g = checkgroup(L);
  lua_pushfstring(L, "group of %d tasks%s", (int)g->live,
                  g->closed ? " (closed)" : "");
  return 1;
}

void neap_open_group(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"group", l_group},
    {NULL,    NULL   }
  };
  static const luaL_Reg meta[] = {
    {"__close",    l_group_leave   },
    {"__gc",       l_group_gc      },
    {"__tostring", l_group_tostring},
    {NULL,         NULL            }
  };
  static const luaL_Reg methods[] = {
    {"spawn",   l_group_spawn },
    {"wait",    l_group_wait  },
    {"cancel",  l_group_cancel},
    {"count",   l_group_count },
    {"close",   l_group_close },
    {"_within", l_group_within},
    {NULL,      NULL          }
  };
  neap_class(L, GROUP_CLASS, meta, methods);
  neap_setfuncs(L, functions);
}
