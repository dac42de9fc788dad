/* SPDX-License-Identifier: MIT
 * Tasks as Lua sees them: spawn, join, cancel, and what they are called. */
#include "lua/ltask.h"

#include <errno.h>
#include <string.h>

const char task_class[] = TASK_CLASS;

static struct task *checktask(lua_State *L) {
  return neap_checkclass(L, 1, TASK_CLASS);
}

int64_t task_optgrace(lua_State *L, int arg) {
  int64_t ns;
  if (lua_isnoneornil(L, arg))
    return TASK_GRACE;
  ns = neap_opttimeout(L, arg);
  return ns;
}

/* { name = string, daemon = boolean } at `arg`; the name is pushed, or nil. */
static bool spawn_options(lua_State *L, int arg) {
  bool daemon = false;
  lua_pushnil(L);
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(key, "name") == 0 && lua_type(L, -1) == LUA_TSTRING) {
      lua_pushvalue(L, -1);
      lua_replace(L, -4);
    } else if (strcmp(key, "daemon") == 0 && lua_isboolean(L, -1)) {
      daemon = lua_toboolean(L, -1);
    } else {
      lua_pushfstring(L, "bad or unknown option '%s'",
                      luaL_tolstring(L, -2, NULL));
      luaL_argerror(L, arg, lua_tostring(L, -1));
    }
  }
  return daemon;
}

static bool callable(lua_State *L, int arg) {
  if (lua_isfunction(L, arg))
    return true;
  if (luaL_getmetafield(L, arg, "__call") == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}

int task_spawnargs(lua_State *L, struct group *g, int arg) {
  struct core *c = neap_core(L);
  bool named = lua_istable(L, arg) && !callable(L, arg);
  if (named && spawn_options(L, arg))
    g = g != NULL && !g->isrun ? g : NULL; /* no run waits for a daemon */
  if (named) {
    lua_replace(L, arg); /* the name, in place of the options */
    arg++;
  }
  luaL_checkany(L, arg);
  if (!callable(L, arg))
    luaL_typeerror(L, arg, "function");
  task_spawn(L, c, g, task_main, lua_gettop(L) - arg);
  if (named && !lua_isnil(L, arg - 1)) {
    core_value(L, CORE_NAMES);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, arg - 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  return 1;
}

static int l_spawn(lua_State *L) {
  return task_spawnargs(L, group_ofrun(neap_core(L)), 1);
}

static int join_step(lua_State *L, struct core *c, struct wait *w) {
  struct task *t = lua_touserdata(L, 1);
  if (!task_ended(t)) {
    await_wake(c, w, &t->joiners, false);
    return OP_WAIT;
  }
  if (t->status == TASK_DONE)
    return task_pushresults(L, t);
  if (t->status == TASK_CANCELLED)
    return neap_fail(L, -ECANCELED, NULL);
  task_pusherror(L, t);
  return lua_error(L);
}

static int l_join(lua_State *L) {
  static const struct op op = {"join", join_step, NULL};
  struct task *t = checktask(L);
  if (t == neap_core(L)->running)
    return luaL_error(L, "a task cannot join itself");
  lua_settop(L, 1);
  return neap_op(L, &op, SYS_FOREVER);
}

static int l_cancel(lua_State *L) {
  struct task *t = checktask(L);
  task_cancel(L, t, task_optgrace(L, 2));
  lua_settop(L, 1);
  return 1;
}

/* As a to-be-closed value: cancelled, and waited for however it ends. */
static int close_step(lua_State *L, struct core *c, struct wait *w) {
  struct task *t = lua_touserdata(L, 1);
  if (!task_ended(t)) {
    await_wake(c, w, &t->joiners, false);
    return OP_WAIT;
  }
  return 0;
}

static int l_close(lua_State *L) {
  static const struct op op = {"task close", close_step, NULL};
  struct task *t = checktask(L);
  if (task_ended(t) || t == neap_core(L)->running)
    return 0;
  task_cancel(L, t, TASK_GRACE);
  return task_ended(t) ? 0 : neap_op(L, &op, SYS_FOREVER);
}

static int l_status(lua_State *L) {
  static const char *const names[] = {"ready",  "waiting",   "done",
                                      "failed", "cancelled", "failed"};
  struct task *t = checktask(L);
  const char *name = names[t->status];
  if (t == neap_core(L)->running)
    name = "running";
  else if (!task_ended(t) && t->w.state != WAIT_WAITING)
    name = "ready";
  lua_pushstring(L, name);
  return 1;
}

static int l_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)checktask(L)->id);
  return 1;
}

static int l_name(lua_State *L) {
  checktask(L);
  core_value(L, CORE_NAMES);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct task *t = checktask(L);
  l_name(L);
  if (lua_isnil(L, -1))
    lua_pushfstring(L, "task %I", (LUAI_UACINT)t->id);
  else
    lua_pushfstring(L, "task %I (%s)", (LUAI_UACINT)t->id, lua_tostring(L, -1));
  return 1;
}

static int l_running(lua_State *L) {
  struct core *c = neap_core(L);
  if (c->running == NULL) {
    lua_pushnil(L);
    return 1;
  }
  core_value(L, CORE_ANCHORS);
  lua_rawgeti(L, -1, c->running->ref);
  return 1;
}

void neap_open_task(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"spawn",   l_spawn  },
    {"running", l_running},
    {NULL,      NULL     }
  };
  static const luaL_Reg meta[] = {
    {"__close",    l_close   },
    {"__tostring", l_tostring},
    {NULL,         NULL      }
  };
  static const luaL_Reg methods[] = {
    {"join",   l_join  },
    {"cancel", l_cancel},
    {"status", l_status},
    {"id",     l_id    },
    {"name",   l_name  },
    {NULL,     NULL    }
  };
  task_opensentinel(L);
  neap_class(L, task_class, meta, methods);
  neap_setfuncs(L, functions);
}
