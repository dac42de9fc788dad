/* SPDX-License-Identifier: MIT
 * neap.usrsctpcore: carriers and sockets for neap.sctp.user. An object of its
 * own: it needs nothing of neap's core, which gets to know a socket as a
 * channel. */
#include <errno.h>
#include <string.h>

#include "lua/usrsctp/lusrsctp.h"
#include "sys/fd.h"

__attribute__((visibility("default"))) int
luaopen_neap_usrsctpcore(lua_State *L);

/* ---- failures ---- */

int lus_fail(lua_State *L, int err, const char *what) {
  char text[ERR_TEXTLEN], name[ERR_NAMELEN];
  luaL_pushfail(L);
  if (err == US_FORKED) {
    lua_pushfstring(L, "%s: the stack is the parent process's", what);
    lua_pushliteral(L, "EOPNOTSUPP");
  } else {
    lua_pushfstring(L, "%s: %s", what, err_text(err, text));
    lua_pushstring(L, err_name(err, name));
  }
  return 3;
}

/* ---- the home ---- */

struct us_home *lus_home(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

void lus_functions(lua_State *L, const luaL_Reg *functions) {
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, functions, 1);
}

static int home_gc(lua_State *L) {
  us_home_close(lua_touserdata(L, 1));
  return 0;
}

/* Pushes it. It goes last, since it was made first, and what lives in it holds
 * it: the module may be loaded again, which makes another. */
static void push_home(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", home_gc},
    {NULL,   NULL   }
  };
  struct us_home *h = lua_newuserdatauv(L, sizeof *h, 0);
  int err = us_home_open(h);
  if (err < 0)
    luaL_error(L, "usrsctp: no eventfd (%d)", -err);
  lus_class(L, "neap.usrsctp.home", meta, NULL);
  luaL_setmetatable(L, "neap.usrsctp.home");
}

/* bell(): a descriptor that is readable when look() is to be called. */
static int l_bell(lua_State *L) {
  lua_pushinteger(L, lus_home(L)->bell[0]);
  return 1;
}

/* Seconds until the next look: while something is under way, usrsctp's tick. */
static void push_wait(lua_State *L, const struct us_home *h) {
  if (h->peers == 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, h->quiet > 1000 ? 0.1 : 0.01);
}

int lus_news(lua_State *L, struct us_home *h) {
  lua_pushboolean(L, h->arrived);
  lua_pushboolean(L, h->emptied);
  h->arrived = h->emptied = false;
  return 2;
}

/* look(): lets time pass and tells who waits. Seconds until the next time (nil:
 * when the bell rings); whether somebody is to be accepted; whether a carrier
 * is empty. */
static int l_look(lua_State *L) {
  struct us_home *h = lus_home(L);
  struct list *at;
  if (!us_enter(h))
    return 0;
  if (h->rung)
    sys_drain(h->bell[0]);
  h->rung = false;
  us_tick();
  for (at = h->carriers.next; at != &h->carriers; at = at->next)
    us_end_sweep((struct us_carrier *)(void *)at);
  us_deliver(h);
  us_leave();
  push_wait(L, h);
  return 1 + lus_news(L, h);
}

/* iptext(bytes of a sockaddr): the address, or nil */
static int l_address(lua_State *L) {
  char text[ADDR_IPLEN];
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  struct addr a;
  a.len = (socklen_t)(len < sizeof a.u ? len : sizeof a.u);
  memset(&a.u, 0, sizeof a.u);
  memcpy(&a.u, bytes, a.len);
  addr_unmap(&a);
  if (addr_iptext(&a, text) < 0)
    return 0;
  lua_pushstring(L, text);
  return 1;
}

int luaopen_neap_usrsctpcore(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"bell",   l_bell   },
    {"look",   l_look   },
    {"iptext", l_address},
    {NULL,     NULL     }
  };
  push_home(L);
  lua_newtable(L);
  lus_functions(L, functions);
  lus_open_carrier(L);
  lus_open_end(L);
  return 1;
}
