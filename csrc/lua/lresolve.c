/* SPDX-License-Identifier: MIT
 * neap.resolve, and what every lookup shares: it is made by a thread of the
 * pool, while the task waits. */
#include "lua/lresolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "loop/resolver.h"
#include "lua/laddr.h"

#define LOOKUP_CLASS "neap.lookup"

static int asked_close(lua_State *L) {
  struct asked *a = neap_checkclass(L, 1, LOOKUP_CLASS);
  struct lookup *q = a->lookup;
  a->lookup = NULL;
  if (q != NULL)
    lookup_cancel(q);
  return 0;
}

/* ---- the core's resolver ---- */

void core_names_rang(struct core *c) {
  struct lookup *q;
  while (c->resolver != NULL && (q = resolver_done(c->resolver)) != NULL)
    loop_wake(&c->loop, q->user, 0);
}

void core_close_names(struct core *c) {
  if (c->resolver == NULL)
    return;
  loop_drop(&c->loop, &c->resolved, true, ERR_CLOSED);
  resolver_close(c->resolver);
  c->resolver = NULL;
}

static void rang(struct loop *l, struct watch *at) {
  struct core *c = container_of(l, struct core, loop);
  if (at == &c->resolved)
    core_names_rang(c);
}

static int open_names(struct core *c) {
  int err = 0;
  if (c->resolver != NULL)
    return 0;
  c->resolver = resolver_open(&err);
  if (c->resolver == NULL)
    return err;
  watch_init(&c->resolved, resolver_fd(c->resolver));
  if (c->loop.rang == NULL)
    c->loop.rang = rang;
  err = loop_bell(&c->loop, &c->resolved);
  if (err < 0)
    core_close_names(c);
  return err;
}

/* ---- asking ---- */

int lookup_failed(lua_State *L, int err, const char *what) {
  const char *host = lua_tostring(L, AT_HOST);
  const char *service = lua_tostring(L, AT_SERVICE);
  if (host == NULL)
    return neap_failf(L, err, "%s %s", what, service != NULL ? service : "");
  if (err == ERR_EAI_SERVICE && service != NULL)
    return neap_failf(L, err, "%s %s:%s", what, host, service);
  return neap_failf(L, err, "%s %s", what, host);
}

int lookup_step(struct core *c, struct wait *w, struct asked *a) {
  int err;
  if (w->progress++ > 0)
    return w->result < 0 ? w->result : a->lookup->result;
  if (!loop_forked(&c->loop)) { /* else the wait is refused */
    if ((err = open_names(c)) < 0)
      return err;
    if ((err = resolver_ask(c->resolver, &a->query, &a->lookup)) < 0)
      return err;
    a->lookup->user = w;
  }
  await_wake(c, w, NULL, true);
  return 1;
}

struct asked *lookup_new(lua_State *L) {
  struct asked *a = lua_newuserdatauv(L, sizeof *a, 0);
  memset(a, 0, sizeof *a);
  luaL_setmetatable(L, LOOKUP_CLASS);
  return a;
}

void lookup_settle(lua_State *L) {
  lua_insert(L, AT_ASKED);
  lua_settop(L, AT_SERVICE);
  lua_toclose(L, AT_ASKED);
}

const char *lookup_text(lua_State *L, int arg) {
  size_t len;
  const char *s;
  if (lua_isnoneornil(L, arg))
    return NULL;
  s = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, strlen(s) == len, arg, "contains a zero byte");
  return s;
}

const char *lookup_service(lua_State *L, int arg, int *port) {
  const char *s;
  char *end;
  *port = 0;
  if (lua_isnoneornil(L, arg))
    return NULL;
  if (lua_type(L, arg) == LUA_TNUMBER) {
    *port = (int)laddr_checkport(L, arg);
    lua_pushfstring(L, "%d", *port);
    lua_replace(L, arg);
    return lua_tostring(L, arg);
  }
  s = lookup_text(L, arg);
  *port = -1;
  if (s[0] >= '0' && s[0] <= '9') {
    long n = strtol(s, &end, 10);
    luaL_argcheck(L, *end != '\0' || n <= 65535, arg,
                  "port must be in [0, 65535]");
    *port = *end == '\0' ? (int)n : -1;
  }
  return s;
}

/* ---- resolve(host, service, options) ---- */

static bool same(const struct addr *a, const struct addr *b) {
  return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

/* A name of a service gives an address once for each type of socket. */
static bool seen(const struct names_answer *a, size_t at) {
  size_t i;
  for (i = 0; i < at; i++)
    if (same(&a->found[i].addr, &a->found[at].addr))
      return true;
  return false;
}

static int push_answer(lua_State *L, const struct names_answer *a) {
  lua_Integer n = 0;
  size_t i;
  lua_createtable(L, (int)a->count, 0);
  for (i = 0; i < a->count; i++) {
    if (seen(a, i))
      continue;
    laddr_pushtable(L, &a->found[i].addr);
    lua_rawseti(L, -2, ++n);
  }
  if (a->host != NULL) {
    lua_pushstring(L, a->host);
    lua_setfield(L, -2, "canonname");
  }
  return 1;
}

static int push_numeric(lua_State *L, const struct asked *a) {
  lua_createtable(L, 1, 1);
  laddr_pushtable(L, &a->numeric);
  lua_rawseti(L, -2, 1);
  if (a->canonname) {
    lua_pushvalue(L, AT_HOST);
    lua_setfield(L, -2, "canonname");
  }
  return 1;
}

static int resolve_step(lua_State *L, struct core *c, struct wait *w) {
  struct asked *a = lua_touserdata(L, AT_ASKED);
  int err;
  if (addr_family(&a->numeric) != AF_UNSPEC) {
    if (a->query.family != AF_UNSPEC &&
        a->query.family != addr_family(&a->numeric))
      return lookup_failed(L, ERR_EAI_ADDRFAMILY, "resolve");
    return push_numeric(L, a);
  }
  err = lookup_step(c, w, a);
  if (err > 0)
    return OP_WAIT;
  return err < 0 ? lookup_failed(L, err, "resolve")
                 : push_answer(L, &a->lookup->answer);
}

static bool flag_option(lua_State *L, int arg, const char *name) {
  if (!lua_isboolean(L, -1))
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s' must be a boolean", name));
  return lua_toboolean(L, -1);
}

static int family_option(lua_State *L, int arg) {
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (strcmp(name, "inet") == 0)
    return AF_INET;
  if (strcmp(name, "inet6") == 0)
    return AF_INET6;
  luaL_argcheck(L, strcmp(name, "any") == 0, arg,
                "option 'family' must be \"inet\", \"inet6\" or \"any\"");
  return AF_UNSPEC;
}

static int64_t timeout_option(lua_State *L, int arg) {
  luaL_argcheck(L, lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) >= 0,
                arg, "option 'timeout' must be seconds, not negative");
  return neap_opttimeout(L, lua_gettop(L));
}

/* Returns the timeout. */
static int64_t check_options(lua_State *L, int arg, struct asked *a) {
  int64_t timeout = SYS_FOREVER;
  if (lua_isnoneornil(L, arg))
    return timeout;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
    const char *name =
      lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (strcmp(name, "family") == 0)
      a->query.family = family_option(L, arg);
    else if (strcmp(name, "canonname") == 0)
      a->canonname = flag_option(L, arg, name);
    else if (strcmp(name, "passive") == 0)
      a->query.flags |= flag_option(L, arg, name) ? AI_PASSIVE : 0;
    else if (strcmp(name, "timeout") == 0)
      timeout = timeout_option(L, arg);
    else
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'", name));
  }
  if (a->canonname)
    a->query.flags |= AI_CANONNAME;
  return timeout;
}

static int l_resolve(lua_State *L) {
  static const struct op op = {"resolve", resolve_step, NULL};
  struct asked *a;
  int port;
  int64_t timeout;
  lua_settop(L, 3);
  a = lookup_new(L);
  a->query.host = lookup_text(L, 1);
  a->query.service = lookup_service(L, 2, &port);
  luaL_argcheck(L, a->query.host != NULL || a->query.service != NULL, 1,
                "a host or a service is needed");
  timeout = check_options(L, 3, a);
  a->query.socktype = port < 0 ? 0 : SOCK_STREAM;
  if (port >= 0 && a->query.host != NULL &&
      addr_ip(&a->numeric, a->query.host, strlen(a->query.host),
              (unsigned)port) < 0)
    a->numeric.len = 0;
  lookup_settle(L);
  return neap_op(L, &op, timeout);
}

void neap_open_resolve(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"resolve", l_resolve},
    {NULL,      NULL     }
  };
  static const luaL_Reg meta[] = {
    {"__close", asked_close},
    {"__gc",    asked_close},
    {NULL,      NULL       }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, LOOKUP_CLASS, meta, none);
  neap_setfuncs(L, functions);
}
