/* SPDX-License-Identifier: MIT
 * A connection's task: the handler, and the end of its stream. */
#include "lua/llistener.h"
#include "lua/lmsg.h"

static bool is_error(int status) {
  return status != LUA_OK && status != LUA_YIELD;
}

/* Slot 3 holds the error, if there was one: the first counts. */
static int conn_closed(lua_State *L, int status, lua_KContext task) {
  struct msgsock *m = lmsg_test(L, 1);
  struct stream *s = lua_touserdata(L, 1);
  (void)status;
  if (m != NULL)
    lmsg_close(m);
  else
    stream_close(s, s->loop);
  lua_settop(L, lua_gettop(L) < 3 ? 2 : 3);
  return task_end(L, lua_gettop(L) == 3 ? LUA_ERRRUN : LUA_OK, task);
}

/* What it wrote and setvbuf kept back is still to be sent. */
static int conn_end(lua_State *L, int status, lua_KContext task) {
  struct stream *s = lua_touserdata(L, 1);
  if (!is_error(status))
    lua_settop(L, 2);
  if (lmsg_test(L, 1) != NULL || (stream_unsent(s) == 0 && s->session == NULL))
    return conn_closed(L, status, task);
  s->unhurried = true;
  luaL_getmetafield(L, 1, "__close");
  lua_pushvalue(L, 1);
  return conn_closed(L, lua_pcallk(L, 1, 0, 0, task, conn_closed), task);
}

/* Like task_main, for handler(conn): closes it however the handler ends. It
 * is to be closed, so that a coroutine that is closed from outside closes it,
 * too, which wakes and so ends the task. */
static int conn_main(lua_State *L) {
  struct task *t = lua_touserdata(L, 1);
  t->status = TASK_LIVE;
  lua_pushvalue(L, 4);
  lua_replace(L, 1);
  lua_toclose(L, 1);
  return conn_end(L, lua_pcallk(L, 1, 0, 2, (lua_KContext)t, conn_end),
                  (lua_KContext)t);
}

/* With the listener, the group and the handler in slots 1 to 3. */
static int serve_step(lua_State *L, struct core *c, struct wait *w) {
  struct group *g = lua_touserdata(L, 2);
  for (;;) {
    int n = listener_accept(L, c, w, (struct listener *)w->object);
    if (n != 1)
      return n;
    lua_pushvalue(L, 3);
    lua_insert(L, -2);
    task_spawn(L, c, g, conn_main, 1);
    lua_settop(L, 3);
    if (--c->budget < 0)
      return lstream_turn(c, w);
  }
}

/* serve(listener, group, handler): a task in the group for each connection,
 * until accepting fails: nil, message, code. */
static int l_serve(lua_State *L) {
  static const struct op op = {"serve", serve_step, NULL};
  neap_checkclass(L, 1, LISTENER_CLASS);
  neap_checkclass(L, 2, GROUP_CLASS);
  lua_settop(L, 3);
  return neap_op(L, &op, SYS_FOREVER);
}

/* serve_one(group, handler, conn): the same for a connection that is there. */
static int l_serve_one(lua_State *L) {
  struct group *g = neap_checkclass(L, 1, GROUP_CLASS);
  lua_settop(L, 3);
  task_spawn(L, neap_core(L), g, conn_main, 1);
  return 0;
}

void listener_open_serve(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"serve",     l_serve    },
    {"serve_one", l_serve_one},
    {NULL,        NULL       }
  };
  neap_setfuncs(L, functions);
}
