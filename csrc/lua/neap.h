/* SPDX-License-Identifier: MIT
 * What every binding shares: the core of this Lua state, the way to fail, and
 * the way to wait.
 *
 * Each C function of ours has the core as its first upvalue (neap_setfuncs).
 * A function that may wait is an `op`: its arguments are checked once, then
 * `step` is called; when it cannot finish it says with await_*() what to wait
 * for and returns OP_WAIT; it is called again, on the same Lua stack, when
 * that happened, until it returns a number of results. So a step must leave
 * its arguments where they are, keep no pointer across OP_WAIT that could
 * move, and hold no C memory then. w->result says how the last wait ended: 0,
 * or -ETIMEDOUT (the call's own timeout), or ERR_CLOSED. Cancellation and
 * expired scopes never reach a step: they raise. */
#ifndef NEAP_LUA_NEAP_H
#define NEAP_LUA_NEAP_H

#include <lua.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"

struct core; /* ltask.h */

struct op {
  const char *name; /* "read": for messages, and what neap.tasks() shows */
  int (*step)(lua_State *L, struct core *c, struct wait *w);
  /* For the few that must go on when their task is interrupted (a group's
   * end): called instead of raising, with the error on top of the stack. */
  void (*interrupted)(lua_State *L, struct core *c, struct wait *w);
};

enum { OP_WAIT = -1 };

/* The core, from any C function of ours. */
#define neap_core(L) ((struct core *)lua_touserdata(L, lua_upvalueindex(1)))

/* Runs the operation: returns its number of results, yields, or raises.
 * `timeout` is in nanoseconds from now, SYS_FOREVER for none, 0 to try once:
 * then the step is called once more with w->result == -ETIMEDOUT.
 * w->progress is 0 at the first step and the step's own afterwards. */
int neap_op(lua_State *L, const struct op *op, int64_t timeout);

/* The same where core and w->object are at hand; neap_op looks for the object
 * in slot 1. */
int neap_opon(lua_State *L, struct core *c, const struct op *op, void *object,
              int64_t timeout);

/* Raises unless this thread could wait now; for calls that may wait but first
 * do things that cannot be undone (neap_op does it by itself). */
void neap_maywait(lua_State *L, struct core *c, const char *name);

/* What to wait for, before OP_WAIT. POLLER_IN, POLLER_OUT or both. */
int await_watch(struct core *c, struct wait *w, struct watch *at,
                unsigned want);

/* Waits for nothing but the timeout and whoever calls loop_wake(). The
 * wait's node is appended to `queue` if that is not NULL. `external`: someone
 * outside of the tasks (a thread, a signal) can end it, so it is no
 * deadlock. */
int await_wake(struct core *c, struct wait *w, struct list *queue,
               bool external);

/* Pushes nil, "what: text", code. what may be NULL. Returns 3. */
int neap_fail(lua_State *L, int err, const char *what);

/* The same with a formatted `what` (lua_pushfstring's formats). */
int neap_failf(lua_State *L, int err, const char *format, ...);

/* err < 0: fails as above. Otherwise true. */
int neap_result(lua_State *L, int err, const char *what);

/* An integer in [lo, hi], or raises with the argument's number. */
lua_Integer neap_checkint(lua_State *L, int arg, lua_Integer lo,
                          lua_Integer hi);

/* Seconds (nil or absent: SYS_FOREVER) as nanoseconds; raises on a negative
 * number, NaN, or a wrong type. */
int64_t neap_opttimeout(lua_State *L, int arg);

/* A descriptor given as an integer, a Lua file, or an object with a fileno
 * method; raises otherwise. */
int neap_checkfd(lua_State *L, int arg);

/* The same of the value at an index: -1 and why not (NULL: it is something
 * else) instead of raising. A fileno method of the user's may raise. */
int neap_tofd(lua_State *L, int at, const char **why);

/* Makes the class `name`: its metatable, whose __index is a table of
 * `methods`; the core is an upvalue of all. Leaves the stack as it was. */
void neap_class(lua_State *L, const char *name, const luaL_Reg *meta,
                const luaL_Reg *methods);

/* Sets functions, each with the core as upvalue, into the table on top. */
void neap_setfuncs(lua_State *L, const luaL_Reg *functions);

/* Like luaL_checkudata and luaL_testudata for classes of ours. */
void *neap_checkclass(lua_State *L, int arg, const char *name);

#endif
