/* SPDX-License-Identifier: MIT
 * neap.core: the core of one Lua state, and what every binding shares. */
#include "lua/ltask.h"
#include "lua/lopenfile.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lua/lfilter.h"
#include "lua/lresolve.h"
#include "base/util.h"

#define CORE_CLASS "neap.core"

static const char core_key = 'k';

/* ---- failures ---- */

static int push_failure(lua_State *L, int err) {
  char text[ERR_TEXTLEN], name[ERR_NAMELEN];
  const char *what = lua_tostring(L, -1);
  luaL_pushfail(L);
  if (what != NULL)
    lua_pushfstring(L, "%s: %s", what, err_text(err, text));
  else
    lua_pushstring(L, err_text(err, text));
  lua_pushstring(L, err_name(err, name));
  return 3;
}

int neap_fail(lua_State *L, int err, const char *what) {
  lua_pushstring(L, what); /* nil for NULL */
  return push_failure(L, err);
}

int neap_failf(lua_State *L, int err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  return push_failure(L, err);
}

int neap_result(lua_State *L, int err, const char *what) {
  if (err < 0)
    return neap_fail(L, err, what);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- arguments ---- */

lua_Integer neap_checkint(lua_State *L, int arg, lua_Integer lo,
                          lua_Integer hi) {
  lua_Integer i = luaL_checkinteger(L, arg);
  if (i < lo || i > hi)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "must be in [%I, %I]", (LUAI_UACINT)lo,
                                  (LUAI_UACINT)hi));
  return i;
}

int64_t neap_opttimeout(lua_State *L, int arg) {
  lua_Number s;
  if (lua_isnoneornil(L, arg))
    return SYS_FOREVER;
  if (lua_type(L, arg) != LUA_TNUMBER)
    luaL_typeerror(L, arg, "seconds, a number");
  s = lua_tonumber(L, arg);
  luaL_argcheck(L, s >= 0, arg, "negative or NaN seconds");
  return s >= 9e9 ? SYS_FOREVER : (int64_t)ceil(s * 1e9);
}

/* Asks its fileno method. */
static int object_fd(lua_State *L, int at, const char **why) {
  int fd = -1, top = lua_gettop(L);
  *why = "has no descriptor (closed?)";
  if (luaL_getmetafield(L, at, "__index") == LUA_TNIL &&
      lua_type(L, at) != LUA_TTABLE)
    return -1;
  lua_getfield(L, at, "fileno");
  if (lua_isfunction(L, -1)) {
    lua_pushvalue(L, at);
    lua_call(L, 1, 1);
    if (lua_isinteger(L, -1))
      fd = (int)lua_tointeger(L, -1);
  } else {
    *why = NULL;
  }
  lua_settop(L, top);
  return fd;
}

int neap_tofd(lua_State *L, int at, const char **why) {
  luaL_Stream *file = luaL_testudata(L, at, LUA_FILEHANDLE);
  lua_Integer fd = lua_isinteger(L, at) ? lua_tointeger(L, at) : -1;
  *why = NULL;
  if (lua_type(L, at) == LUA_TNUMBER) {
    *why = "must be an integer in [0, 2147483647]";
    return fd >= 0 && fd <= INT32_MAX ? (int)fd : -1;
  }
  if (file != NULL) {
    *why = "the file is closed";
    return file->closef != NULL ? fileno(file->f) : -1;
  }
  if (lua_type(L, at) == LUA_TUSERDATA || lua_type(L, at) == LUA_TTABLE)
    return object_fd(L, at, why);
  return -1;
}

int neap_checkfd(lua_State *L, int arg) {
  const char *why;
  int fd = neap_tofd(L, arg, &why);
  if (fd >= 0)
    return fd;
  return why != NULL ? luaL_argerror(L, arg, why)
                     : luaL_typeerror(L, arg, "descriptor");
}

/* ---- classes ---- */

void neap_setfuncs(lua_State *L, const luaL_Reg *functions) {
  core_push(L);
  luaL_setfuncs(L, functions, 1);
}

void neap_class(lua_State *L, const char *name, const luaL_Reg *meta,
                const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, name);
  neap_setfuncs(L, meta);
  lua_newtable(L);
  neap_setfuncs(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void *neap_checkclass(lua_State *L, int arg, const char *name) {
  return luaL_checkudata(L, arg, name);
}

void core_setclass(lua_State *L, const void *key) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  lua_setmetatable(L, -2);
}

/* ---- the core ---- */

void core_checkopen(lua_State *L, const struct core *c) {
  if (c->closed)
    luaL_error(L, "the Lua state is being closed");
}

void core_needscratch(lua_State *L, struct core *c) {
  if (c->scratch == NULL)
    c->scratch = calloc(1, sizeof *c->scratch);
  if (c->scratch == NULL)
    luaL_error(L, "not enough memory");
}

char *core_room(lua_State *L, struct core *c, size_t n) {
  char *room = n <= SCRATCH_SIZE ? scratch_claim(c->scratch) : c->room;
  if (n > SCRATCH_SIZE && n > c->roomsize) {
    free(c->room);
    c->roomsize = 0;
    room = c->room = malloc(n);
    if (room != NULL)
      c->roomsize = n;
  }
  if (room == NULL)
    luaL_error(L, "not enough memory");
  return room;
}

void core_push(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &core_key);
}

void core_value(lua_State *L, int n) {
  core_push(L);
  lua_getiuservalue(L, -1, n);
  lua_replace(L, -2);
}

static int64_t due(const struct wait *w) {
  const struct task *t =
    (const struct task *)((const char *)w - offsetof(struct task, w));
  int64_t at = t->shielded ? SYS_FOREVER : scope_due(t);
  return w->until >= 0 && w->until < at ? w->until : at;
}

/* The state is closing (or the core could not be made): suspended tasks are
 * unwound; no handler of theirs can wait any more. */
static int core_gc(lua_State *L) {
  struct core *c = lua_touserdata(L, 1);
  if (c->closed)
    return 0;
  c->closed = true;
  while (!list_empty(&c->tasks)) {
    struct task *t = container_of(c->tasks.next, struct task, all);
    list_remove(&t->all);
    t->status = TASK_KILLED;
    c->resetting = t;
    lua_resetthread(t->co);
    loop_forget(&c->loop, &t->w);
  }
  core_close_names(c);
  loop_close(&c->loop);
  free(c->scratch);
  free(c->room);
  c->scratch = NULL;
  c->room = NULL;
  return 0;
}

static void set_tables(lua_State *L, int core) {
  static const int tables[] = {CORE_ANCHORS, CORE_MODULE, CORE_TRACES,
                               CORE_NAMES};
  size_t i;
  for (i = 0; i < countof(tables); i++) {
    lua_newtable(L);
    if (tables[i] == CORE_NAMES) {
      lua_createtable(L, 0, 1);
      lua_pushliteral(L, "k");
      lua_setfield(L, -2, "__mode");
      lua_setmetatable(L, -2);
    }
    lua_setiuservalue(L, core, tables[i]);
  }
}

/* The top level waits like a task; as such it is anchored like one. */
static void make_main(lua_State *L, struct core *c) {
  struct task *t = lua_newuserdatauv(L, sizeof *t, 1);
  memset(t, 0, sizeof *t);
  wait_init(&t->w);
  list_init(&t->all);
  list_init(&t->ingroup);
  list_init(&t->joiners);
  t->core = c;
  t->status = TASK_LIVE;
  luaL_setmetatable(L, TASK_CLASS);
  core_value(L, CORE_ANCHORS);
  lua_insert(L, -2);
  t->ref = luaL_ref(L, -2);
  lua_pop(L, 1);
  c->main = t;
}

static void make_core(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", core_gc},
    {NULL,   NULL   }
  };
  struct core *c = lua_newuserdatauv(L, sizeof *c, CORE_VALUES);
  int err, at = lua_gettop(L);
  memset(c, 0, sizeof *c);
  list_init(&c->tasks);
  list_init(&c->batch);
  c->budget = CORE_BUDGET;
  c->closed = true; /* nothing to close yet */
  luaL_newmetatable(L, CORE_CLASS);
  luaL_setfuncs(L, meta, 0);
  lua_setmetatable(L, -2);
  err = loop_open(&c->loop, getenv("NEAP_POLLER"));
  c->closed = err < 0;
  c->loop.due = due;
  if (err < 0)
    luaL_error(L, err == -EINVAL ? "NEAP_POLLER names no poller of this "
                                   "system (epoll, poll)"
                                 : "the poller cannot be opened");
  lua_pushvalue(L, at);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &core_key);
  set_tables(L, at);
}

/* attach(module): where onerror is looked up. */
static int l_attach(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  core_push(L);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, CORE_MODULE);
  return 0;
}

#if LUA_VERSION_NUM != 504 || LUA_VERSION_RELEASE_NUM < 50404
#error "neap needs Lua 5.4.4 or later"
#endif

/* The interpreter's own words, where it exports them. */
extern const char lua_ident[] __attribute__((weak));

/* open_socket(): the table of Berkeley's calls and constants, made when it is
 * first asked for. */
static int l_open_socket(lua_State *L) {
  core_value(L, CORE_TABLE);
  if (lua_getfield(L, -1, "socket") == LUA_TNIL) {
    lua_pop(L, 1);
    neap_open_socket(L);
    lua_getfield(L, -1, "socket");
  }
  return 1;
}

/* open_messages(): the class of message sockets and all that goes with it
 * comes into the core's table when it is first asked for. */
void core_openmessages(lua_State *L) {
  static void (*const opens[])(lua_State *) = {
    neap_open_message, neap_open_packet, neap_open_filter,
    neap_open_tun,     neap_open_iface,
  };
  size_t i;
  core_value(L, CORE_TABLE);
  if (lua_getfield(L, -1, "messages") == LUA_TNIL) {
    lua_pushvalue(L, -2);
    for (i = 0; i < countof(opens); i++)
      opens[i](L);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

static int l_open_messages(lua_State *L) {
  core_openmessages(L);
  return 0;
}

/* open_sctp(): likewise. */
static int l_open_sctp(lua_State *L) {
  core_value(L, CORE_TABLE);
  if (lua_getfield(L, -1, "sctp_socket") == LUA_TNIL) {
    lua_pop(L, 1);
    neap_open_sctp(L);
  }
  return 0;
}

/* Before 5.4.4 handlers of <close> could not wait in all the places where
 * ours do. */
static void check_version(lua_State *L) {
  const char *at = NULL;
  luaL_checkversion(L);
  if (lua_ident != NULL)
    at = strstr(lua_ident, "Lua 5.4.");
  if (at != NULL && at[8] >= '0' && at[8] <= '3' &&
      !(at[9] >= '0' && at[9] <= '9'))
    luaL_error(L, "neap needs Lua 5.4.4 or later, this is %c.%c.%c", '5', '4',
               at[8]);
}

__attribute__((visibility("default"))) int luaopen_neap_core(lua_State *L);

int luaopen_neap_core(lua_State *L) {
  static void (*const opens[])(lua_State *) = {
    neap_open_task,       neap_open_scope,     neap_open_group,
    neap_open_trace,      neap_open_coroutine, neap_open_wait,
    neap_open_host,       neap_open_stream,    neap_open_connect,
    neap_open_listener,   neap_open_resolve,   neap_open_signal,
    neap_open_interfaces, neap_open_session,   neap_open_over,
    neap_open_relay,      neap_open_random,    neap_open_file,
    neap_open_openfile,   neap_open_codec,
  };
  static const luaL_Reg functions[] = {
    {"attach",        l_attach       },
    {"open_socket",   l_open_socket  },
    {"open_messages", l_open_messages},
    {"open_sctp",     l_open_sctp    },
    {NULL,            NULL           }
  };
  size_t i;
  check_version(L);
  core_push(L);
  if (!lua_isnil(L, -1)) { /* required again: one core for each state */
    core_value(L, CORE_TABLE);
    return 1;
  }
  make_core(L);
  lua_newtable(L);
  core_push(L);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, CORE_TABLE);
  lua_pop(L, 1);
  neap_setfuncs(L, functions);
  for (i = 0; i < countof(opens); i++)
    opens[i](L);
  core_push(L);
  make_main(L, lua_touserdata(L, -1));
  lua_pop(L, 1);
  return 1;
}
