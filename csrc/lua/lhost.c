/* SPDX-License-Identifier: MIT
 * For those who drive the loop themselves: hosts with a loop of their own,
 * and children after fork. */
#include "lua/ltask.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "lua/lresolve.h"

static void refuse_nesting(lua_State *L, const struct core *c,
                           const char *name) {
  core_checkopen(L, c);
  if (c->running != NULL || c->driving)
    luaL_error(L, "%s drives the loop: not from inside a task", name);
  if (lua_gc(L, LUA_GCISRUNNING) == -1) /* within an operation, perhaps */
    luaL_error(L, "%s drives the loop: not from a finalizer", name);
}

/* step(timeout): runs what is ready and polls once. True while tasks live. */
static int l_step(lua_State *L) {
  struct core *c = neap_core(L);
  int64_t timeout = lua_isnoneornil(L, 1) ? 0 : neap_opttimeout(L, 1);
  int err;
  refuse_nesting(L, c, "step");
  if (loop_forked(&c->loop))
    return luaL_error(L, "step: this is a child after fork; call neap.reset() "
                         "first");
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  c->driving = true;
  c->unpolled = INT16_MAX;
  err = task_round(L, c, timeout);
  c->driving = false;
  if (err < 0 && err != -EINTR)
    return neap_fail(L, err, "step");
  lua_pushboolean(L, c->live > 0);
  return 1;
}

static int l_pollfd(lua_State *L) {
  struct core *c = neap_core(L);
  struct poller *p = c->loop.poller;
  int fd = p != NULL ? p->ops->fd(p) : -EBADF;
  if (fd < 0) { /* one number with EOPNOTSUPP on Linux: the name says more */
    luaL_pushfail(L);
    lua_pushliteral(L, "pollfd: this poller has no descriptor");
    lua_pushliteral(L, "ENOTSUP");
    return 3;
  }
  lua_pushinteger(L, fd);
  return 1;
}

static int l_next_deadline(lua_State *L) {
  struct core *c = neap_core(L);
  int64_t due = list_empty(&c->batch) ? loop_exactly_due(&c->loop) : 0;
  if (due == SYS_FOREVER)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)due / 1e9);
  return 1;
}

static int l_poller(lua_State *L) {
  struct poller *p = neap_core(L)->loop.poller;
  lua_pushstring(L, p != NULL ? p->ops->name : NULL);
  return 1;
}

/* The parent's tasks are forgotten, not unwound: their handlers would say
 * goodbye on connections that are still the parent's. */
static void forget_tasks(lua_State *L, struct core *c) {
  struct list *at, *next;
  for (at = c->tasks.next; at != &c->tasks; at = next) {
    struct task *t = container_of(at, struct task, all);
    next = at->next;
    if (t == c->running)
      continue;
    list_remove(&t->all);
    list_remove(&t->ingroup);
    loop_forget(&c->loop, &t->w);
    t->status = TASK_KILLED;
    c->live--;
    if (t->group != NULL && --t->group->live == 0)
      loop_wake_all(&c->loop, &t->group->waiters, 0);
    t->group = NULL;
    loop_wake_all(&c->loop, &t->joiners, 0);
    while (t->scopes != NULL)
      scope_leave(t->scopes);
    task_unanchor(L, t);
  }
}

/* reset(): in a child after fork, a fresh loop. */
static int l_reset(lua_State *L) {
  struct core *c = neap_core(L);
  int err;
  if (!loop_forked(&c->loop))
    return luaL_error(L, "reset is for a child after fork");
  forget_tasks(L, c);
  core_close_names(c);
  err = loop_reset(&c->loop, getenv("NEAP_POLLER"));
  return neap_result(L, err, "reset");
}

void neap_open_host(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"step",          l_step         },
    {"pollfd",        l_pollfd       },
    {"next_deadline", l_next_deadline},
    {"poller",        l_poller       },
    {"reset",         l_reset        },
    {NULL,            NULL           }
  };
  neap_setfuncs(L, functions);
}
