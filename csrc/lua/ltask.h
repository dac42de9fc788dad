/* SPDX-License-Identifier: MIT
 * Tasks: what runs, what it waits for, and what may interrupt it. */
#ifndef NEAP_LUA_LTASK_H
#define NEAP_LUA_LTASK_H

#include "base/bytes.h"
#include "lua/neap.h"
#include "sys/ifaddr.h"

#define TASK_CLASS "neap.task"
#define GROUP_CLASS "neap.group"
#define SCOPE_CLASS "neap.timeout"
#define CANCELLED_CLASS "neap.cancelled"

enum task_status {
  TASK_NEW, /* never ran */
  TASK_LIVE,
  TASK_DONE,   /* its results are on top of its stack */
  TASK_FAILED, /* its error is */
  TASK_CANCELLED,
  TASK_KILLED /* its coroutine was closed from outside */
};

enum cancel_state { CANCEL_NONE, CANCEL_ASKED, CANCEL_RAISED };

/* Quiet: something further out is unwinding through it. */
enum scope_state { SCOPE_ARMED, SCOPE_RAISED, SCOPE_QUIET };

/* What a task has entered and not left: a timeout, or a group that it owns.
 * Kept as a stack for each task, the innermost first. */
struct scope {
  struct scope *outer;
  struct task *task;   /* whose scope it is; NULL once left */
  lua_State *at;       /* the coroutine that entered it */
  int64_t due;         /* SYS_FOREVER for a group */
  int64_t grace;       /* once raised: until when its handlers may wait */
  uint64_t order;      /* of its raise, among all */
  struct group *group; /* NULL for a timeout */
  uint8_t state;       /* enum scope_state */
};

struct group {
  struct scope scope;
  struct list members; /* by task.ingroup */
  struct list waiters; /* for the members to end */
  struct task *failed; /* the first member that failed, kept anchored */
  uint32_t live;
  bool isrun; /* takes in what members spawn; errors stay theirs */
  bool alone; /* a member's error goes to onerror */
  bool told;  /* the body was interrupted by that failure */
  bool closing, closed;
};

struct task {
  struct wait w;
  lua_State *co;     /* NULL for the top level */
  lua_State *parked; /* the thread that yielded to wait */
  struct core *core;
  struct list all;
  struct list ingroup;
  struct list joiners;
  struct group *group;
  struct scope *scopes;
  int64_t grace; /* cancelled: nanoseconds, then the time it ends */
  int64_t since; /* when it began to wait; kept only when asked for */
  uint64_t id;
  int ref; /* in the table of anchors while it lives */
  int nresults;
  uint8_t status, cancel;
  bool report;   /* its error goes to neap.onerror */
  bool shielded; /* its operation was interrupted, and goes on to an end */
  bool traced;   /* there is a traceback of an error of its */
};

/* What an interface was called when that was asked last. */
struct core_ifname {
  unsigned index;
  int64_t asked;
  char name[IF_NAMELEN];
};

struct core {
  struct loop loop;
  lua_State *current;   /* the thread that may wait now; NULL at top level */
  struct task *running; /* NULL at top level */
  struct task *main;    /* the top level as one who waits */
  struct task *resetting;
  struct list tasks;
  struct list batch; /* ready ones of this round */
  struct scratch *scratch;
  char *room; /* the same, larger, where that is needed */
  size_t roomsize;
  struct core_ifname ifnames[8]; /* by index, modulo */
  struct resolver *resolver;
  struct watch resolved;
  uint64_t lastid;
  uint64_t raises; /* of expired scopes */
  uint32_t live;
  int budget;         /* operations left before the task gives way */
  int unpolled;       /* rounds since the poller was asked */
  bool interruptible; /* others had a turn since the last operation */
  bool driving, closed;
};

enum { CORE_BUDGET = 256 }; /* operations before a task gives way */

/* The user values of the core. */
enum {
  CORE_ANCHORS = 1, /* ref -> task, for tasks that live */
  CORE_MODULE,      /* where onerror is looked up */
  CORE_TABLE,       /* what require "neap.core" gives */
  CORE_CANCELLED,   /* what a cancelled wait raises */
  CORE_TIMEDOUT,    /* what an expired scope raises */
  CORE_SENTINEL,
  CORE_TRACES, /* light task -> { error, traceback } */
  CORE_NAMES,  /* task -> name */
  CORE_VALUES = CORE_NAMES
};

/* Who would wait here, or raises. */
struct task *task_maywait(lua_State *L, struct core *c, const char *name);
bool task_canwait(lua_State *L, const struct core *c);

/* Who runs: the task, or the top level's stand-in. */
static inline struct task *task_self(const struct core *c) {
  return c->running != NULL ? c->running : c->main;
}

/* Counts as an operation that need not wait, if one may be begun here and now
 * without more ado. Otherwise false: neap_opon looks into it. */
static inline bool task_quick(lua_State *L, struct core *c) {
  return L == c->current && !c->interruptible && c->budget > 0 &&
         lua_isyieldable(L) && --c->budget >= 0;
}

/* The bottom of a task's stack, called with the task (a light userdata), the
 * message handler, the function and its arguments: only under lua_pcallk can
 * the handlers of <close> wait while an error unwinds. It ends with task_end,
 * called with the results from slot 3 on, or the error there. */
int task_main(lua_State *L);
int task_end(lua_State *L, int status, lua_KContext task);

/* Makes a task that begins with the function and nargs arguments on top of
 * the stack, which it replaces. May raise; then there is no task. */
struct task *task_spawn(lua_State *L, struct core *c, struct group *g,
                        lua_CFunction bottom, int nargs);

void task_cancel(lua_State *L, struct task *t, int64_t grace);

/* What handlers get when nothing else was said: five seconds. */
#define TASK_GRACE INT64_C(5000000000)

/* spawn's arguments from `arg` on, [options,] fn, ...: leaves the task on top
 * and returns 1. */
int task_spawnargs(lua_State *L, struct group *g, int arg);
int64_t task_optgrace(lua_State *L, int arg);

static inline bool task_ended(const struct task *t) {
  return t->status >= TASK_DONE;
}

/* Its error was seen, or nobody wants it: lets go of the task. */
void task_unanchor(lua_State *L, struct task *t);

/* The task was left by lua_resume with this status without having ended. */
void task_fail(lua_State *L, struct task *t, int status);

/* If its error goes to neap.onerror, sends it there. */
void task_report(lua_State *L, struct task *t);

/* Pushes what t ended with onto L: results (their number is returned), or
 * the error (1). */
int task_pushresults(lua_State *L, struct task *t);
int task_pusherror(lua_State *L, struct task *t);

/* How a resumed coroutine's end is passed on: moves n values from co to L and
 * returns the number of results. */
typedef int coroutine_done(lua_State *L, lua_State *co, int status, int n);

/* Resumes co (kept at `slot` of L's frame, or upvalue -slot + 1) with nargs
 * values from its stack; while co waits, so does L's task. Returns what
 * `done` does. */
struct resume_op {
  int slot;
  coroutine_done *done;
};
int task_resume(lua_State *L, const struct resume_op *op, int nargs);

/* One round: the poller is asked, for at most `timeout`, if nothing is ready
 * or it was not asked for long; then what is ready runs. Returns what
 * loop_turn does. */
int task_round(lua_State *L, struct core *c, int64_t timeout);

/* Scopes (lscope.c). scope_interrupted pushes the error that a wait must
 * raise now and returns true, or returns false. */
bool scope_interrupted(lua_State *L, struct core *c, struct task *t);
int64_t scope_due(const struct task *t);
void scope_enter(struct task *t, struct scope *s, lua_State *at);
void scope_leave(struct scope *s); /* harmless on one that was left */

/* Groups (lgroup.c). A member has ended; sets t->report if its error goes to
 * neap.onerror. */
void group_left(lua_State *L, struct group *g, struct task *t, bool awaited);
/* The run that a task spawned now would belong to, or NULL. */
struct group *group_ofrun(struct core *c);

/* Errors and where they were raised (ltrace.c). */
int trace_handler(lua_State *L); /* for lua_pcallk; needs no upvalue */
void trace_forget(lua_State *L, struct task *t);
/* Gives the task's error to neap.onerror. Never raises. */
void trace_report(lua_State *L, struct task *t);
/* Pushes the list of tasks that wait for what will never come. */
void trace_deadlock(lua_State *L, struct core *c);

/* Gives the userdata on top its class, of those that are made for every
 * connection: cheaper than by name. */
void core_setclass(lua_State *L, const void *key);
/* The key under which neap_class has registered the class: its name. */
extern const char task_class[], stream_class[];

/* Raises when the state is being closed: what is made then is never ended. */
void core_checkopen(lua_State *L, const struct core *c);

/* Makes the scratch buffer, once; raises if there is no memory. */
void core_needscratch(lua_State *L, struct core *c);

/* A buffer of at least n bytes, until anything else can run; raises if there
 * is no memory. */
char *core_room(lua_State *L, struct core *c, size_t n);

/* The class of message sockets, once (lcore.c). */
void core_openmessages(lua_State *L);

/* Pushes the core's userdata. */
void core_push(lua_State *L);
void core_value(lua_State *L, int n); /* pushes a user value of it */

/* Each adds its functions to the table on top of the stack. */
void task_opensentinel(lua_State *L);
void neap_open_task(lua_State *L);
void neap_open_group(lua_State *L);
void neap_open_scope(lua_State *L);
void neap_open_trace(lua_State *L);
void neap_open_coroutine(lua_State *L);
void neap_open_host(lua_State *L);
void neap_open_random(lua_State *L);
void neap_open_wait(lua_State *L);
void neap_open_signal(lua_State *L);
void neap_open_stream(lua_State *L);
void neap_open_listener(lua_State *L);
void neap_open_connect(lua_State *L);
void neap_open_session(lua_State *L);
void neap_open_over(lua_State *L);
void neap_open_codec(lua_State *L);
void neap_open_relay(lua_State *L);
void neap_open_sctp(lua_State *L);
void neap_open_file(lua_State *L);
void neap_open_resolve(lua_State *L);
void neap_open_interfaces(lua_State *L);
void neap_open_message(lua_State *L);
void neap_open_packet(lua_State *L);
void neap_open_tun(lua_State *L);
void neap_open_iface(lua_State *L);
void neap_open_socket(lua_State *L);

#endif
