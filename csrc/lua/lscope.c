/* SPDX-License-Identifier: MIT
 * What interrupts a wait from outside of its call: cancellation, expired
 * timeout scopes, and groups whose members failed; and neap.timeout. */
#include "lua/ltask.h"

#include <errno.h>
#include <string.h>

static int64_t later(int64_t ns) {
  int64_t now = sys_now();
  return ns >= SYS_FOREVER - now ? SYS_FOREVER : now + ns;
}

void scope_enter(struct task *t, struct scope *s, lua_State *at) {
  s->outer = t->scopes;
  s->task = t;
  s->at = at;
  s->state = SCOPE_ARMED;
  t->scopes = s;
}

void scope_leave(struct scope *s) {
  struct scope **at;
  if (s->task == NULL)
    return;
  for (at = &s->task->scopes; *at != NULL; at = &(*at)->outer)
    if (*at == s) {
      *at = s->outer;
      break;
    }
  s->task = NULL;
}

/* Everything inside of `end` is being unwound: it keeps quiet. */
static void quiet(struct scope *s, const struct scope *end) {
  for (; s != end; s = s->outer)
    if (s->state == SCOPE_ARMED)
      s->state = SCOPE_QUIET;
}

static bool must_raise(const struct scope *s, int64_t now) {
  if (s->group != NULL)
    return s->state == SCOPE_ARMED && s->group->failed != NULL;
  if (s->state == SCOPE_RAISED)
    return now >= s->grace;
  return s->state == SCOPE_ARMED && now >= s->due;
}

static bool raise_cancelled(lua_State *L, struct task *t, int64_t now) {
  if (t->cancel == CANCEL_ASKED) {
    t->cancel = CANCEL_RAISED;
    t->grace = later(t->grace);
    quiet(t->scopes, NULL);
  } else if (t->cancel == CANCEL_NONE || now < t->grace) {
    return false;
  }
  core_value(L, CORE_CANCELLED);
  return true;
}

/* A scope whose coroutine is suspended while another one waits was left
 * behind by a yield. */
static bool left_behind(lua_State *L, struct task *t) {
  struct scope *s;
  for (s = t->scopes; s != NULL; s = s->outer)
    if (s->at != L && lua_status(s->at) == LUA_YIELD) {
      scope_leave(s);
      lua_pushliteral(L, "a coroutine yielded out of a neap.timeout or a "
                         "group that it had entered");
      return true;
    }
  return false;
}

bool scope_interrupted(lua_State *L, struct core *c, struct task *t) {
  struct scope *s, *found = NULL;
  int64_t now;
  if (t->cancel == CANCEL_NONE && t->scopes == NULL)
    return false;
  now = sys_now();
  if (raise_cancelled(L, t, now) || left_behind(L, t))
    return true;
  for (s = t->scopes; s != NULL; s = s->outer)
    if (must_raise(s, now))
      found = s; /* the outermost wins */
  if (found == NULL)
    return false;
  quiet(t->scopes, found);
  if (found->state == SCOPE_ARMED)
    found->grace = later(TASK_GRACE);
  found->state = SCOPE_RAISED;
  found->order = ++c->raises;
  if (found->group != NULL)
    found->group->told = !found->group->closing;
  if (found->group != NULL)
    task_pusherror(L, found->group->failed);
  else
    core_value(L, CORE_TIMEDOUT);
  return true;
}

int64_t scope_due(const struct task *t) {
  const struct scope *s;
  int64_t due = t->cancel == CANCEL_RAISED ? t->grace : SYS_FOREVER;
  for (s = t->scopes; s != NULL; s = s->outer) {
    int64_t at = s->state == SCOPE_ARMED                        ? s->due
                 : s->state == SCOPE_RAISED && s->group == NULL ? s->grace
                                                                : SYS_FOREVER;
    if (at < due)
      due = at;
  }
  return due;
}

/* The error that is passing belongs to the scope that raised last; one of
 * those further out may have done so while this one was unwinding. */
static bool is_mine(lua_State *L, const struct scope *s) {
  const struct scope *out;
  bool same;
  if (s->task == NULL || s->state != SCOPE_RAISED)
    return false;
  for (out = s->outer; out != NULL; out = out->outer)
    if (out->state == SCOPE_RAISED && out->group == NULL &&
        out->order > s->order)
      return false;
  core_value(L, CORE_TIMEDOUT);
  same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same;
}

static int timeout_end(lua_State *L, int status, lua_KContext ctx) {
  struct scope *s = lua_touserdata(L, 1);
  bool ok = status == LUA_OK || status == LUA_YIELD;
  bool caught = !ok && is_mine(L, s);
  (void)ctx;
  scope_leave(s);
  if (ok)
    return lua_gettop(L) - 2;
  return caught ? neap_fail(L, -ETIMEDOUT, NULL) : lua_error(L);
}

/* timeout(seconds, fn, ...) */
static int l_timeout(lua_State *L) {
  struct core *c = neap_core(L);
  struct scope *s;
  int64_t ns;
  luaL_checknumber(L, 1);
  ns = neap_opttimeout(L, 1);
  luaL_checkany(L, 2);
  s = lua_newuserdatauv(L, sizeof *s, 1);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(L, SCOPE_CLASS);
  lua_pushthread(L);
  lua_setiuservalue(L, -2, 1);
  lua_replace(L, 1);
  lua_toclose(L, 1);
  lua_pushcfunction(L, trace_handler);
  lua_insert(L, 2);
  s->due = later(ns);
  scope_enter(task_self(c), s, L);
  return timeout_end(
    L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, timeout_end), 0);
}

static int l_scope_close(lua_State *L) {
  scope_leave(neap_checkclass(L, 1, SCOPE_CLASS));
  return 0;
}

static int l_interrupt_tostring(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  return 1;
}

/* The value that an interrupted wait raises: it prints as `text` and its
 * field `code` is the code. */
static void new_interrupt(lua_State *L, const char *name, const char *text,
                          const char *code) {
  lua_newuserdatauv(L, 1, 0);
  luaL_newmetatable(L, name);
  lua_pushstring(L, text);
  lua_pushcclosure(L, l_interrupt_tostring, 1);
  lua_setfield(L, -2, "__tostring");
  lua_newtable(L);
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

void neap_open_scope(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"timeout", l_timeout},
    {NULL,      NULL     }
  };
  static const luaL_Reg meta[] = {
    {"__close", l_scope_close},
    {"__gc",    l_scope_close},
    {NULL,      NULL         }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, SCOPE_CLASS, meta, none);
  neap_setfuncs(L, functions);
  core_push(L);
  new_interrupt(L, CANCELLED_CLASS, "cancelled", "ECANCELED");
  lua_setiuservalue(L, -2, CORE_CANCELLED);
  new_interrupt(L, "neap.timedout", "timed out", "ETIMEDOUT");
  lua_setiuservalue(L, -2, CORE_TIMEDOUT);
  lua_pop(L, 1);
}
