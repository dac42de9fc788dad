/* SPDX-License-Identifier: MIT
 * Carriers, in Lua: each over a socket that neap.sctp.user has made. */
#include <errno.h>
#include <string.h>

#include "lua/usrsctp/lusrsctp.h"

#define CARRIER_CLASS "neap.usrsctp.carrier"

enum { PATIENCE = 2000 }; /* milliseconds, as the state ends */

struct us_carrier *lus_carrier(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, CARRIER_CLASS);
}

/* carrier(descriptor, family, raw, wild, max_peers) */
static int l_carrier(lua_State *L) {
  static const char *const families[] = {"inet", "inet6", NULL};
  int fd = (int)luaL_checkinteger(L, 1);
  int six = luaL_checkoption(L, 2, NULL, families);
  lua_Integer most = luaL_checkinteger(L, 5);
  struct us_carrier *c = lua_newuserdatauv(L, sizeof *c, 1);
  int err;
  memset(c, 0, sizeof *c);
  c->fd = -1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, CARRIER_CLASS);
  err =
    us_carrier_open(c, lus_home(L), fd, six ? AF_INET6 : AF_INET,
                    lua_toboolean(L, 3), lua_toboolean(L, 4), (unsigned)most);
  return err < 0 ? lus_fail(L, err, "sctp") : 1;
}

/* carrier:pump(): takes what came. Whether there may be more; whether somebody
 * is to be accepted; whether a carrier is empty. */
static int l_pump(lua_State *L) {
  struct us_carrier *c = lus_carrier(L, 1);
  bool more;
  if (c->fd < 0 || !us_enter(c->home))
    return 0;
  more = us_carrier_pump(c);
  us_deliver(c->home);
  us_leave();
  lua_pushboolean(L, more);
  return 1 + lus_news(L, c->home);
}

/* carrier:close(): all on it end at once. */
static int l_close(lua_State *L) {
  us_carrier_close(lus_carrier(L, 1), 0);
  return 0;
}

static unsigned length(const struct list *l) {
  const struct list *at;
  unsigned n = 0;
  for (at = l->next; at != l; at = at->next)
    n++;
  return n;
}

/* carrier:sockets(): how many are in use, and how many close. */
static int l_sockets(lua_State *L) {
  struct us_carrier *c = lus_carrier(L, 1);
  bool open = c->fd >= 0 && us_enter(c->home);
  lua_pushinteger(L, open ? length(&c->ends) : 0);
  lua_pushinteger(L, open ? length(&c->closing) : 0);
  if (open)
    us_leave();
  return 2;
}

/* carrier:isempty(): nobody is on it. */
static int l_isempty(lua_State *L) {
  struct us_carrier *c = lus_carrier(L, 1);
  bool open = c->fd >= 0 && us_enter(c->home);
  lua_pushboolean(L,
                  !open || (list_empty(&c->ends) && list_empty(&c->closing)));
  if (open)
    us_leave();
  return 1;
}

/* carrier:statistics(): packets in, out, dropped; peers */
static int l_statistics(lua_State *L) {
  struct us_carrier *c = lus_carrier(L, 1);
  lua_pushinteger(L, (lua_Integer)c->received);
  lua_pushinteger(L, (lua_Integer)c->sent);
  lua_pushinteger(L, (lua_Integer)c->dropped);
  lua_pushinteger(L, c->peers);
  return 4;
}

/* As the state ends: what was closed politely has a little while. */
static int carrier_gc(lua_State *L) {
  us_carrier_close(lus_carrier(L, 1), PATIENCE);
  return 0;
}

void lus_open_carrier(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", carrier_gc},
    {NULL,   NULL      }
  };
  static const luaL_Reg methods[] = {
    {"pump",       l_pump      },
    {"close",      l_close     },
    {"sockets",    l_sockets   },
    {"isempty",    l_isempty   },
    {"statistics", l_statistics},
    {NULL,         NULL        }
  };
  static const luaL_Reg functions[] = {
    {"carrier", l_carrier},
    {NULL,      NULL     }
  };
  lus_class(L, CARRIER_CLASS, meta, methods);
  lus_functions(L, functions);
}
