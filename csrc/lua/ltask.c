/* SPDX-License-Identifier: MIT
 * The one place that yields and resumes: operations that wait, the tasks they
 * wait in, and the rounds in which tasks run. */
#include "lua/ltask.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

enum {
  BUDGET = CORE_BUDGET,
  UNPOLLED = 8 /* rounds before the poller is asked while tasks are ready */
};

/* ---- where a call can wait ---- */

static int refuse(lua_State *L, struct core *c, const char *name) {
  const char *why;
  if (c->closed)
    why = "the Lua state is being closed";
  else if (lua_gc(L, LUA_GCISRUNNING) == -1)
    why = "a finalizer cannot wait; close it before, or in a task";
  else if (c->running == NULL)
    why = "the loop is already being driven; wait in a task (neap.spawn)";
  else if (L == c->current)
    why = "a C function that cannot yield is in between (table.sort, "
          "string.gsub, require...); wait outside of it";
  else
    why = "a plain coroutine within a task cannot wait; make it with "
          "neap.coroutine";
  return luaL_error(L, "%s cannot wait here: %s", name, why);
}

bool task_canwait(lua_State *L, const struct core *c) {
  if (L == c->current)
    return lua_isyieldable(L);
  return c->running == NULL && !c->driving && !c->closed &&
         lua_gc(L, LUA_GCISRUNNING) != -1;
}

struct task *task_maywait(lua_State *L, struct core *c, const char *name) {
  if (!task_canwait(L, c))
    refuse(L, c, name);
  return task_self(c);
}

void neap_maywait(lua_State *L, struct core *c, const char *name) {
  task_maywait(L, c, name);
}

int await_watch(struct core *c, struct wait *w, struct watch *at,
                unsigned want) {
  int err = loop_wait_fd(&c->loop, w, at, want, false);
  w->what = NULL;
  return err;
}

int await_wake(struct core *c, struct wait *w, struct list *queue,
               bool external) {
  loop_park(&c->loop, w, queue, external);
  w->what = NULL;
  return 0;
}

/* ---- operations ---- */

static int64_t after(int64_t ns) {
  int64_t now = sys_now();
  return ns >= SYS_FOREVER - now ? SYS_FOREVER : now + ns;
}

/* The operation goes on to an end of its own, which nothing interrupts. */
static void shield(lua_State *L, struct core *c, struct task *t,
                   const struct op *op) {
  t->shielded = true;
  op->interrupted(L, c, &t->w);
}

/* The wait that the step asked for begins: or it raises, when the task is to
 * be interrupted. Returns false if the step is to be called again at once. */
static bool begin_wait(lua_State *L, struct core *c, struct task *t,
                       const struct op *op) {
  int64_t due;
  if (loop_forked(&c->loop)) {
    loop_forget(&c->loop, &t->w);
    luaL_error(L,
               "%s cannot wait: this is a child after fork; call "
               "neap.reset() first",
               op->name);
  }
  if (!t->shielded && scope_interrupted(L, c, t)) {
    if (op->interrupted == NULL) {
      loop_forget(&c->loop, &t->w);
      lua_error(L);
    }
    loop_unwait(&c->loop, &t->w);
    shield(L, c, t, op);
    return false;
  }
  if (t->w.until < 0)
    t->w.until = after(-1 - t->w.until);
  due = t->shielded ? SYS_FOREVER : scope_due(t);
  if (due > t->w.until)
    due = t->w.until;
  if (due != SYS_FOREVER && t->w.state == WAIT_WAITING) {
    loop_timer(&c->loop, &t->w, due);
    loop_external(&c->loop, &t->w);
  }
  t->w.what = op->name;
  t->since = c->loop.now;
  return true;
}

static void end_wait(lua_State *L, struct core *c, struct task *t,
                     const struct op *op) {
  if (t->w.result == 0 || t->shielded || !scope_interrupted(L, c, t))
    return;
  if (op->interrupted != NULL) {
    shield(L, c, t, op);
    return;
  }
  loop_forget(&c->loop, &t->w);
  lua_error(L);
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* Nobody can ever wake anyone. */
static bool stuck(const struct core *c) {
  return c->loop.external == 0 && list_empty(&c->loop.ready) &&
         list_empty(&c->batch);
}

/* At top level: runs the others until this wait is over. A signal handler of
 * the host's may have set a hook (Ctrl-C in the stand-alone interpreter): a
 * call gives it the chance to raise. */
static void drive(lua_State *L, struct core *c, struct task *t,
                  const struct op *op) {
  int err = 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  c->driving = true;
  while (t->w.state != WAIT_IDLE && err == 0) {
    err = stuck(c) ? -EDEADLK : task_round(L, c, SYS_FOREVER);
    if (err == -EINTR) {
      lua_pushcfunction(L, nothing);
      err = lua_pcall(L, 0, 0, 0);
    }
  }
  c->driving = false;
  c->budget = BUDGET;
  if (err == 0)
    return;
  loop_unwait(&c->loop, &t->w);
  if (err == -EDEADLK)
    trace_deadlock(L, c);
  else if (err < 0)
    lua_pushfstring(L, "%s: the poller failed (%d)", op->name, err);
  if (err != -EDEADLK || op->interrupted == NULL || t->shielded) {
    loop_release(&c->loop, &t->w);
    lua_error(L);
  }
  shield(L, c, t, op);
}

static int op_continue(lua_State *L, int status, lua_KContext ctx);
static int give_way(lua_State *L, struct core *c, struct task *t,
                    const struct op *op, int results);

static int park(lua_State *L, struct task *t, lua_KContext ctx,
                lua_KFunction k) {
  t->parked = L;
  return lua_yieldk(L, 0, ctx, k);
}

/* Was it the loop that resumed this, and because its wait is over? */
static void unpark(lua_State *L, struct core *c, const char *name) {
  struct task *t = c->running;
  struct list *at;
  if (L == c->current && t->parked == L && t->w.state == WAIT_IDLE) {
    t->parked = NULL;
    return;
  }
  /* Whoever waits in this thread finds it gone on without its wait. */
  for (at = c->tasks.next; at != &c->tasks; at = at->next) {
    t = container_of(at, struct task, all);
    if (t->parked == L)
      t->parked = NULL;
  }
  luaL_error(L,
             "%s was resumed from outside while it waited; only neap's loop "
             "resumes a task",
             name);
}

static int op_loop(lua_State *L, struct core *c, struct task *t,
                   const struct op *op) {
  for (;;) {
    int n = op->step(L, c, &t->w);
    if (n != OP_WAIT) {
      if (t->w.held != NULL)
        loop_release(&c->loop, &t->w);
      return --c->budget >= 0 ? n : give_way(L, c, t, op, n);
    }
    if (!begin_wait(L, c, t, op))
      continue;
    if (t != c->main)
      return park(L, t, (lua_KContext)op, op_continue);
    drive(L, c, t, op);
    end_wait(L, c, t, op);
  }
}

static int op_continue(lua_State *L, int status, lua_KContext ctx) {
  struct core *c = neap_core(L);
  const struct op *op = (const struct op *)ctx;
  (void)status;
  unpark(L, c, op->name);
  end_wait(L, c, c->running, op);
  return op_loop(L, c, c->running, op);
}

/* ---- giving way ---- */

static int turn_continue(lua_State *L, int status, lua_KContext results) {
  struct core *c = neap_core(L);
  (void)status;
  unpark(L, c, "a task");
  c->interruptible = true;
  return (int)results;
}

/* The operation is over, and so is the task's share: the others have a turn
 * before its results are returned. Nothing may interrupt this, or what was
 * taken would be lost; the next operation raises instead. */
static int give_way(lua_State *L, struct core *c, struct task *t,
                    const struct op *op, int results) {
  c->budget = BUDGET;
  loop_park(&c->loop, &t->w, NULL, false);
  loop_wake(&c->loop, &t->w, 0);
  if (t != c->main)
    return park(L, t, results, turn_continue);
  drive(L, c, t, op);
  return results;
}

int neap_op(lua_State *L, const struct op *op, int64_t timeout) {
  return neap_opon(L, neap_core(L), op, lua_touserdata(L, 1), timeout);
}

int neap_opon(lua_State *L, struct core *c, const struct op *op, void *object,
              int64_t timeout) {
  struct task *t = task_maywait(L, c, op->name);
  struct wait *w = &t->w;
  if (w->held != NULL) /* an operation before this one raised */
    loop_release(&c->loop, w);
  w->until = timeout == SYS_FOREVER ? SYS_FOREVER : -1 - timeout;
  w->progress = 0;
  w->result = 0;
  w->object = object;
  t->shielded = false;
  if (c->interruptible) {
    c->interruptible = false;
    if (op->interrupted == NULL && scope_interrupted(L, c, t))
      return lua_error(L);
  }
  return op_loop(L, c, t, op);
}

/* ---- resuming ---- */

static lua_State *resumed(lua_State *L, const struct resume_op *op) {
  return lua_tothread(L, op->slot > 0 ? op->slot : lua_upvalueindex(-op->slot));
}

static int resume_continue(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return task_resume(L, (const struct resume_op *)ctx, 0);
}

/* A scope that the generator entered is still on its task's stack of scopes:
 * it would bind whoever the generator yields to. */
static int left_scope(lua_State *L, lua_State *co) {
  lua_resetthread(co);
  return luaL_error(L, "a coroutine yielded out of a neap.timeout or a group "
                       "that it had entered");
}

int task_resume(lua_State *L, const struct resume_op *op, int nargs) {
  struct core *c = neap_core(L);
  struct task *t = task_self(c);
  lua_State *co = resumed(L, op);
  lua_State *outer = c->current;
  bool passes = outer == L && lua_isyieldable(L);
  int status, n;
  if (passes)
    c->current = co;
  status = lua_resume(co, L, nargs, &n);
  c->current = outer;
  if (status == LUA_YIELD && passes && t->w.state != WAIT_IDLE)
    return lua_yieldk(L, 0, (lua_KContext)op, resume_continue);
  if (status == LUA_YIELD && t->scopes != NULL && t->scopes->at == co)
    return left_scope(L, co);
  return op->done(L, co, status, n);
}

static void resume_task(lua_State *L, struct core *c, struct task *t) {
  lua_Debug ar;
  int n, status;
  int nargs = t->status == TASK_NEW ? lua_gettop(t->co) - 1 : 0;
  if (t->status == TASK_LIVE && lua_status(t->co) == LUA_OK &&
      lua_getstack(t->co, 0, &ar))
    return; /* a stranger is closing it: it ends there */
  c->running = t;
  c->current = t->co;
  c->budget = BUDGET;
  c->interruptible = false;
  status = lua_resume(t->co, NULL, nargs, &n);
  c->running = NULL;
  c->current = NULL;
  if (status != LUA_OK && (status != LUA_YIELD || t->w.state == WAIT_IDLE))
    task_fail(L, t, status);
  if (t->report)
    task_report(L, t);
}

int task_round(lua_State *L, struct core *c, int64_t timeout) {
  int err = 0;
  bool busy = !list_empty(&c->loop.ready) || !list_empty(&c->batch);
  if (!busy || c->loop.eager || ++c->unpolled > UNPOLLED) {
    err = loop_turn(&c->loop, busy ? 0 : timeout);
    c->unpolled = 0;
  }
  list_splice(&c->batch, &c->loop.ready);
  while (!list_empty(&c->batch)) {
    struct wait *w = container_of(c->batch.next, struct wait, node);
    struct task *t = container_of(w, struct task, w);
    list_remove(&w->node);
    w->state = WAIT_IDLE;
    if (t != c->main)
      resume_task(L, c, t);
  }
  return err;
}
