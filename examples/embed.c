/* SPDX-License-Identifier: MIT
 * A C program with a poll loop of its own that runs neap's tasks in it.
 *
 *   make hosts && build/examples/embed
 *
 * or by hand, with neap installed where Lua finds it:
 *
 *   cc -o embed examples/embed.c $(pkg-config --cflags --libs lua5.4)
 *
 * (A host that links Lua statically adds -Wl,-E, so that modules see it.) */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* What the host runs: a server, a client, and a deadline. */
static const char script[] =
  "local neap, tcp = require 'neap', require 'neap.tcp'\n"
  "local listener = assert(tcp.listen('127.0.0.1', 0))\n"
  "neap.spawn(function()\n"
  "  listener:serve(function(conn)\n"
  "    for line in conn:lines() do conn:write('echo: ', line, '\\n') end\n"
  "  end)\n"
  "end)\n"
  "neap.spawn(function()\n"
  "  local conn <close> = assert(tcp.connect(listener:getsockname()))\n"
  "  for i = 1, 3 do\n"
  "    conn:write('message ', i, '\\n')\n"
  "    print('a task read:     ' .. conn:read())\n"
  "    neap.sleep(0.05)\n"
  "  end\n"
  "  local _, why = neap.timeout(0.1, conn.read, conn)\n"
  "  print('a deadline says: ' .. why)\n"
  "  listener:stop()\n"
  "end)\n";

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(lua_State *L, int status) {
  if (status == LUA_OK)
    return;
  fprintf(stderr, "embed: %s\n", luaL_tolstring(L, -1, NULL));
  exit(EXIT_FAILURE);
}

/* Calls a function of the module, which lies at stack index 1; leaves its
 * first result on the stack. */
static void call(lua_State *L, const char *name) {
  lua_settop(L, 1);
  lua_getfield(L, 1, name);
  check(L, lua_pcall(L, 0, 1, 0));
}

/* The descriptor to poll, or -1 if this poller has none. */
static int neap_pollfd(lua_State *L) {
  call(L, "pollfd");
  return lua_isnil(L, -1) ? -1 : (int)lua_tointeger(L, -1);
}

/* Seconds until a task's next deadline; many if there is none. */
static double neap_next_deadline(lua_State *L) {
  call(L, "next_deadline");
  return lua_isnil(L, -1) ? 1e9 : lua_tonumber(L, -1);
}

/* Runs what is ready. Returns whether tasks are left. */
static int neap_step(lua_State *L) {
  call(L, "step");
  return lua_toboolean(L, -1);
}

/* The host's own work, at its own pace. */
static double tick(double due) {
  static int count;
  if (now() < due)
    return due;
  if (++count <= 5)
    printf("the host ticks:  %d\n", count);
  return due + 0.06;
}

static double least(double a, double b) {
  return a < b ? a : b;
}

/* Rounded up: a deadline must have passed when its step comes. */
static int milliseconds(double seconds) {
  return seconds <= 0 ? 0 : (int)(least(seconds, 60) * 1000) + 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  struct pollfd fds[1]; /* a real host has more of them */
  double due = now();
  setvbuf(stdout, NULL, _IOLBF, 0);
  luaL_openlibs(L);
  check(L, luaL_dostring(L, script));
  lua_settop(L, 0);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap");
  check(L, lua_pcall(L, 1, 1, 0));
  fds[0].fd = neap_pollfd(L);
  fds[0].events = POLLIN;
  while (neap_step(L)) {
    double wait = least(due - now(), neap_next_deadline(L));
    if (fds[0].fd < 0)
      wait = least(wait, 0.005); /* no descriptor: look again soon */
    poll(fds, 1, milliseconds(wait));
    due = tick(due);
  }
  lua_close(L);
  puts("all tasks have ended");
  return 0;
}
