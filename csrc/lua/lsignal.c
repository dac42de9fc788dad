/* SPDX-License-Identifier: MIT
 * neap.signal: signals as something to wait for. */
#include "lua/ltask.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "sys/fd.h"
#include "sys/signals.h"

#define SIGNAL_CLASS "neap.signal"

struct watcher {
  struct watch watch; /* the pipe's end to read */
  struct lock waiter;
  int writes; /* its other end */
  bool claimed[SIGNALS_MAX];
};

static struct watcher *check(lua_State *L) {
  return neap_checkclass(L, 1, SIGNAL_CLASS);
}

static void release(struct core *c, struct watcher *s) {
  int i;
  for (i = 1; i < SIGNALS_MAX; i++)
    if (s->claimed[i] && !loop_forked(&c->loop))
      signals_release(i);
  memset(s->claimed, 0, sizeof s->claimed);
  if (s->watch.fd < 0)
    return;
  loop_drop(&c->loop, &s->watch, true, ERR_CLOSED);
  loop_unlock(&c->loop, &s->waiter, ERR_CLOSED);
  sys_close(s->watch.fd);
  sys_close(s->writes);
  s->watch.fd = s->writes = -1;
}

static int l_close(lua_State *L) {
  release(neap_core(L), check(L));
  return 0;
}

static int wait_step(lua_State *L, struct core *c, struct wait *w) {
  struct watcher *s = lua_touserdata(L, 1);
  char name[SIGNALS_NAMELEN];
  unsigned char byte;
  ssize_t n;
  if (s->watch.fd < 0)
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return neap_fail(L, w->result, "signal");
  if (!lock_take(&s->waiter, w)) {
    await_wake(c, w, &s->waiter.queue, true);
    return OP_WAIT;
  }
  n = sys_read(s->watch.fd, &byte, 1);
  if (n == 1) {
    lua_pushstring(L, signals_name(byte, name));
    return 1;
  }
  if (n == -EAGAIN)
    n = await_watch(c, w, &s->watch, POLLER_IN);
  return n < 0 ? neap_fail(L, (int)n, "signal") : OP_WAIT;
}

/* wait(timeout): the name of the next signal, in the order of their coming. */
static int l_wait(lua_State *L) {
  static const struct op op = {"signal", wait_step, NULL};
  struct watcher *s = check(L);
  int64_t timeout = neap_opttimeout(L, 2);
  lua_settop(L, 1);
  if (s->watch.fd < 0)
    return neap_fail(L, ERR_CLOSED, NULL);
  return neap_op(L, &op, timeout);
}

static int check_number(lua_State *L, int arg) {
  int number;
  if (lua_type(L, arg) == LUA_TNUMBER)
    return (int)neap_checkint(L, arg, 1, SIGNALS_MAX - 1);
  number = signals_number(luaL_checkstring(L, arg));
  luaL_argcheck(L, number > 0, arg, "unknown signal");
  return number;
}

/* Raises if it cannot be had, after the others were let go. */
static void claim(lua_State *L, struct watcher *s, int arg) {
  int number = check_number(L, arg);
  char name[SIGNALS_NAMELEN];
  int err = s->claimed[number] ? 0 : signals_claim(number, s->writes);
  if (err == 0) {
    s->claimed[number] = true;
    return;
  }
  release(neap_core(L), s);
  luaL_argcheck(L, err != -EINVAL, arg, "this signal cannot be waited for");
  luaL_error(L,
             err == -EBUSY
               ? "signal %s is claimed already; one watcher at a time"
               : "signal %s cannot be claimed",
             signals_name(number, name));
}

/* signal(name, ...) */
static int l_signal(lua_State *L) {
  int i, err, fds[2], n = lua_gettop(L);
  struct watcher *s;
  luaL_checkany(L, 1);
  for (i = 1; i <= n; i++)
    check_number(L, i);
  core_checkopen(L, neap_core(L));
  s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  watch_init(&s->watch, -1);
  lock_init(&s->waiter);
  s->writes = -1;
  luaL_setmetatable(L, SIGNAL_CLASS);
  err = signals_pipe(fds);
  if (err < 0)
    return neap_fail(L, err, "signal");
  s->watch.fd = fds[0];
  s->writes = fds[1];
  for (i = 1; i <= n; i++)
    claim(L, s, i);
  lua_pushvalue(L, n + 1);
  return 1;
}

static int l_tostring(lua_State *L) {
  lua_pushfstring(L, SIGNAL_CLASS " (%s)",
                  check(L)->watch.fd < 0 ? "closed" : "open");
  return 1;
}

void neap_open_signal(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"signal", l_signal},
    {NULL,     NULL    }
  };
  static const luaL_Reg meta[] = {
    {"__gc",       l_close   },
    {"__close",    l_close   },
    {"__tostring", l_tostring},
    {NULL,         NULL      }
  };
  static const luaL_Reg methods[] = {
    {"wait",  l_wait },
    {"close", l_close},
    {NULL,    NULL   }
  };
  neap_class(L, SIGNAL_CLASS, meta, methods);
  neap_setfuncs(L, functions);
}
