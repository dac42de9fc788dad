/* SPDX-License-Identifier: MIT
 * The waits that are no I/O of ours: sleeping, parking until another task
 * wakes one, and descriptors that belong to others. */
#include "lua/ltask.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "sys/fd.h"

/* ---- sleep(seconds) ---- */

static int sleep_step(lua_State *L, struct core *c, struct wait *w) {
  if (w->progress++ > 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  await_wake(c, w, NULL, false);
  if (w->until == -1) /* no time at all: the others have a turn */
    loop_wake(&c->loop, w, 0);
  return OP_WAIT;
}

static int l_sleep(lua_State *L) {
  static const struct op op = {"sleep", sleep_step, NULL};
  luaL_checknumber(L, 1);
  return neap_op(L, &op, neap_opttimeout(L, 1));
}

/* ---- turn() ---- */

static int turn_step(lua_State *L, struct core *c, struct wait *w) {
  (void)L;
  (void)c;
  (void)w;
  return 0;
}

/* ---- park(ticket, what, timeout), wake(task, ticket) ---- */

static int park_step(lua_State *L, struct core *c, struct wait *w) {
  if (w->progress++ == 0) {
    await_wake(c, w, NULL, false);
    w->object = lua_topointer(L, 1);
    return OP_WAIT;
  }
  if (w->result < 0)
    return neap_fail(L, w->result, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static const struct op park_ops[] = {
  {"channel send",    park_step, NULL},
  {"channel receive", park_step, NULL},
  {"select",          park_step, NULL},
  {"event wait",      park_step, NULL},
  {"semaphore",       park_step, NULL},
  {"receive",         park_step, NULL},
  {"send",            park_step, NULL},
  {"accept",          park_step, NULL},
  {"park",            park_step, NULL},
};

static const struct op turn_ops[] = {
  {"channel send",    turn_step, NULL},
  {"channel receive", turn_step, NULL},
  {"select",          turn_step, NULL},
  {"event wait",      turn_step, NULL},
  {"semaphore",       turn_step, NULL},
  {"receive",         turn_step, NULL},
  {"send",            turn_step, NULL},
  {"accept",          turn_step, NULL},
  {"park",            turn_step, NULL},
};

/* Where `what` stands in both tables; the last is for all others. */
static size_t index_of(const char *what) {
  size_t i = 0;
  while (i + 1 < countof(park_ops) && strcmp(park_ops[i].name, what) != 0)
    i++;
  return i;
}

/* park(ticket, what[, timeout]): waits until someone calls wake with the same
 * ticket (a table of the caller's). True, or nil, message, code. */
static int l_park(lua_State *L) {
  const char *what = luaL_checkstring(L, 2);
  int64_t timeout = neap_opttimeout(L, 3);
  luaL_checktype(L, 1, LUA_TTABLE);
  return neap_op(L, &park_ops[index_of(what)], timeout);
}

static int turn(lua_State *L) {
  return neap_op(L, lua_touserdata(L, lua_upvalueindex(2)), SYS_FOREVER);
}

/* turn(what): a function that counts as an operation: it refuses where
 * nothing can wait, and gives way when the task has had its share. For what
 * may be ready without the core. */
static int l_turn(lua_State *L) {
  const char *what = luaL_checkstring(L, 1);
  core_push(L);
  lua_pushlightuserdata(L, (void *)&turn_ops[index_of(what)]);
  lua_pushcclosure(L, turn, 2);
  return 1;
}

/* wake(waiter, ticket): true if it was parked with this ticket. */
static int l_wake(lua_State *L) {
  struct task *t = neap_checkclass(L, 1, TASK_CLASS);
  bool parked =
    t->w.state == WAIT_WAITING && t->w.object == lua_topointer(L, 2);
  if (parked)
    loop_wake(&t->core->loop, &t->w, 0);
  lua_pushboolean(L, parked);
  return 1;
}

/* self(): who would park: the task, or what stands for the top level. */
static int l_self(lua_State *L) {
  struct core *c = neap_core(L);
  core_value(L, CORE_ANCHORS);
  lua_rawgeti(L, -1, task_self(c)->ref);
  return 1;
}

/* ---- wait(fd, mode, timeout) ---- */

#define FOREIGN_CLASS "neap.foreign"

/* Waits on a duplicate of its own: others, or a stream of ours, may be waiting
 * on the same descriptor, and a poller knows each just once. */
struct foreign {
  struct watch watch;
  struct core *core;
  unsigned want;
};

static int foreign_close(lua_State *L) {
  struct foreign *f = neap_checkclass(L, 1, FOREIGN_CLASS);
  loop_drop(&f->core->loop, &f->watch, false, -ECANCELED);
  if (f->watch.fd >= 0)
    sys_close(f->watch.fd);
  f->watch.fd = -1;
  return 0;
}

static int wait_step(lua_State *L, struct core *c, struct wait *w) {
  struct foreign *f = lua_touserdata(L, 1);
  unsigned ready = f->watch.ready;
  int err;
  if (w->result < 0)
    return neap_fail(L, w->result, "wait");
  if (w->progress++ == 0) {
    err = loop_wait_fd(&c->loop, w, &f->watch, f->want, true);
    return err < 0 ? neap_fail(L, err, "wait") : OP_WAIT;
  }
  if (ready & ~(unsigned)(POLLER_IN | POLLER_OUT))
    ready |= POLLER_IN | POLLER_OUT; /* an error or the end: both find out */
  ready &= f->want;
  lua_pushstring(L, ready == POLLER_IN    ? "r"
                    : ready == POLLER_OUT ? "w"
                                          : "rw");
  return 1;
}

static int l_wait(lua_State *L) {
  static const struct op op = {"wait", wait_step, NULL};
  static const char *const modes[] = {"r", "w", "rw", NULL};
  static const unsigned wants[] = {POLLER_IN, POLLER_OUT,
                                   POLLER_IN | POLLER_OUT};
  struct core *c = neap_core(L);
  int fd = neap_checkfd(L, 1);
  unsigned want = wants[luaL_checkoption(L, 2, NULL, modes)];
  int64_t timeout = neap_opttimeout(L, 3);
  struct foreign *f = lua_newuserdatauv(L, sizeof *f, 0);
  watch_init(&f->watch, -1);
  f->core = c;
  f->want = want;
  luaL_setmetatable(L, FOREIGN_CLASS);
  lua_replace(L, 1);
  lua_toclose(L, 1);
  neap_maywait(L, c, op.name);
  f->watch.fd = sys_dup(fd);
  if (f->watch.fd < 0)
    return neap_failf(L, f->watch.fd, "wait for descriptor %d", fd);
  return neap_op(L, &op, timeout);
}

static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)sys_now() / 1e9);
  return 1;
}

/* realtime(): the time of day, in nanoseconds since 1970. */
static int l_realtime(lua_State *L) {
  lua_pushinteger(L, sys_realtime());
  return 1;
}

/* errname(number): the code of an errno that a Lua file failed with. */
static int l_errname(lua_State *L) {
  char name[ERR_NAMELEN];
  int number = (int)neap_checkint(L, 1, 0, 9999);
  lua_pushstring(L, err_name(-number, name));
  return 1;
}

void neap_open_wait(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"sleep",    l_sleep   },
    {"turn",     l_turn    },
    {"park",     l_park    },
    {"wake",     l_wake    },
    {"self",     l_self    },
    {"wait",     l_wait    },
    {"now",      l_now     },
    {"realtime", l_realtime},
    {"errname",  l_errname },
    {NULL,       NULL      }
  };
  static const luaL_Reg meta[] = {
    {"__close", foreign_close},
    {"__gc",    foreign_close},
    {NULL,      NULL         }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, FOREIGN_CLASS, meta, none);
  neap_setfuncs(L, functions);
}
