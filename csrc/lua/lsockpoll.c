/* SPDX-License-Identifier: MIT
 * neap.socket: poll, over any number of descriptors. */
#include <errno.h>
#include <string.h>

#include "lua/lsocket.h"
#include "sys/fd.h"

#define SET_CLASS "neap.pollset"

/* What is polled. Waiting is for one descriptor that stands for all. */
struct set {
  struct watch watch;
  struct core *core;
  bool once; /* do not wait */
  size_t n;
  struct sock_poll fds[];
};

static int set_close(lua_State *L) {
  struct set *s = neap_checkclass(L, 1, SET_CLASS);
  int fd = s->watch.fd;
  if (fd < 0)
    return 0;
  loop_drop(&s->core->loop, &s->watch, true, -ECANCELED);
  s->watch.fd = -1;
  sys_close(fd);
  return 0;
}

static bool get_field(lua_State *L, const char *name) {
  return lua_getfield(L, -1, name) != LUA_TNIL;
}

/* The i-th entry, a table with fd and events. */
static void check_entry(lua_State *L, struct set *s, size_t i) {
  int top = lua_gettop(L);
  if (lua_geti(L, 1, (lua_Integer)i + 1) != LUA_TTABLE || !get_field(L, "fd"))
    luaL_argerror(L, 1, "each entry must be { fd =, events = }");
  s->fds[i].fd = neap_checkfd(L, top + 2);
  lua_settop(L, top + 1);
  get_field(L, "events");
  if (!lua_isinteger(L, -1))
    luaL_argerror(L, 1, "'events' must be an integer (POLLIN | POLLOUT...)");
  s->fds[i].events = (int)lua_tointeger(L, -1) & 0xffff;
  s->fds[i].revents = 0;
  lua_settop(L, top);
}

/* Fills in revents, and returns how many there are. */
static int report(lua_State *L, const struct set *s, int ready) {
  size_t i;
  for (i = 0; i < s->n; i++) {
    lua_geti(L, 2, (lua_Integer)i + 1);
    lua_pushinteger(L, s->fds[i].revents);
    lua_setfield(L, -2, "revents");
    lua_pop(L, 1);
  }
  lua_pushinteger(L, ready);
  return 1;
}

/* With the set at 1 and the list at 2. */
static int poll_step(lua_State *L, struct core *c, struct wait *w) {
  struct set *s = lua_touserdata(L, 1);
  int err, ready = sock_poll(s->fds, s->n);
  if (ready < 0)
    return neap_fail(L, ready, "poll");
  if (ready > 0 || s->once || w->result == -ETIMEDOUT)
    return report(L, s, ready);
  if (s->watch.fd < 0) {
    int fd = sock_pollset(s->fds, s->n);
    if (fd < 0)
      return neap_fail(L, fd, "poll");
    watch_init(&s->watch, fd);
  }
  err = loop_wait_fd(&c->loop, w, &s->watch, POLLER_IN, true);
  return err < 0 ? neap_fail(L, err, "poll") : OP_WAIT;
}

static int l_poll(lua_State *L) {
  static const struct op op = {"poll", poll_step, NULL};
  int64_t timeout = neap_opttimeout(L, 2);
  struct set *s;
  size_t i, n;
  luaL_checktype(L, 1, LUA_TTABLE);
  n = (size_t)luaL_len(L, 1);
  luaL_argcheck(L, n <= ROOM_MAX / sizeof *s->fds, 1, "too many entries");
  lua_settop(L, 1);
  s = lua_newuserdatauv(L, sizeof *s + n * sizeof *s->fds, 0);
  watch_init(&s->watch, -1);
  s->core = neap_core(L);
  s->once = timeout == 0;
  s->n = n;
  luaL_setmetatable(L, SET_CLASS);
  for (i = 0; i < n; i++)
    check_entry(L, s, i);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  return neap_op(L, &op, timeout);
}

void socket_open_poll(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"poll", l_poll},
    {NULL,   NULL  }
  };
  static const luaL_Reg meta[] = {
    {"__close", set_close},
    {"__gc",    set_close},
    {NULL,      NULL     }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, SET_CLASS, meta, none);
  neap_setfuncs(L, functions);
}
