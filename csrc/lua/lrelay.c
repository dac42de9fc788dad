/* SPDX-License-Identifier: MIT
 * Relays as values: what carries their bytes is written in Lua. The relay
 * itself is what stream_over takes. */
#include <errno.h>
#include <string.h>

#include "io/relay.h"
#include "lua/neap.h"
#include "lua/ltask.h"

#define HUB_CLASS "neap.relays"
#define RELAY_CLASS "neap.relay"

enum { LEAST_ROOM = 1024, MOST_ROOM = 1 << 30 };

static struct relay_hub *check_hub(lua_State *L) {
  return luaL_checkudata(L, 1, HUB_CLASS);
}

static struct relay *check_relay(lua_State *L) {
  return luaL_checkudata(L, 1, RELAY_CLASS);
}

/* ---- the hub ---- */

static int await_step(lua_State *L, struct core *c, struct wait *w) {
  struct relay_hub *h = lua_touserdata(L, 1);
  if (h->rung || !list_empty(&h->busy)) {
    h->rung = false;
    lua_pushboolean(L, 1);
    return 1;
  }
  if (w->result < 0)
    return neap_fail(L, w->result, NULL);
  await_wake(c, w, &h->waiters, false);
  return OP_WAIT;
}

/* await([timeout]): until a relay has something for us, or wake() */
static int l_await(lua_State *L) {
  static const struct op op = {"relay", await_step, NULL};
  check_hub(L);
  return neap_op(L, &op, neap_opttimeout(L, 2));
}

static int l_wake(lua_State *L) {
  relay_hub_wake(check_hub(L));
  return 0;
}

/* next(): the key of a relay that has something for us, or nil */
static int l_next(lua_State *L) {
  struct relay *r = relay_next(check_hub(L));
  if (r == NULL)
    return 0;
  lua_pushinteger(L, r->key);
  return 1;
}

/* new(key, room, peer): a relay. peer: for messages */
static int l_new(lua_State *L) {
  struct relay_hub *h = check_hub(L);
  lua_Integer key = neap_checkint(L, 2, 0, INT32_MAX);
  lua_Integer room = neap_checkint(L, 3, LEAST_ROOM, MOST_ROOM);
  const char *peer = luaL_checkstring(L, 4);
  struct relay *r = lua_newuserdatauv(L, sizeof *r, 1);
  relay_init(r, h, (uint32_t)room);
  r->key = (int32_t)key;
  strncpy(r->peer, peer, sizeof r->peer - 1);
  r->base.peer = r->peer;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, RELAY_CLASS);
  return 1;
}

static int l_hub_gc(lua_State *L) {
  relay_hub_close(check_hub(L));
  return 0;
}

static void make_classes(lua_State *L);

/* relays(): a hub */
static int l_relays(lua_State *L) {
  struct core *c = neap_core(L);
  struct relay_hub *h;
  core_checkopen(L, c);
  if (luaL_getmetatable(L, HUB_CLASS) == LUA_TNIL)
    make_classes(L);
  lua_settop(L, 0);
  h = lua_newuserdatauv(L, sizeof *h, 0);
  relay_hub_init(h, &c->loop);
  luaL_setmetatable(L, HUB_CLASS);
  return 1;
}

/* ---- what goes through ---- */

/* put(data, type, end): true, or false if there is no room now */
static int l_put(lua_State *L) {
  struct relay *r = check_relay(L);
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len);
  uint8_t type = (uint8_t)luaL_optinteger(L, 3, 0);
  int done = relay_put(r, data, len, type, lua_toboolean(L, 4));
  if (done < 0)
    return luaL_error(L, "not enough memory");
  lua_pushboolean(L, done);
  return 1;
}

/* take(max): data, type, whether a record ends with it, whether there is more;
 * or nil */
static int l_take(lua_State *L) {
  struct relay *r = check_relay(L);
  lua_Integer max = neap_checkint(L, 2, 1, BYTES_MAX);
  const char *data;
  uint8_t type;
  bool end;
  ssize_t n = relay_peek(r, (size_t)max, &data, &type, &end);
  if (n < 0)
    return 0;
  lua_pushlstring(L, data, (size_t)n);
  relay_taken(r, (size_t)n);
  lua_pushinteger(L, type);
  lua_pushboolean(L, end);
  lua_pushboolean(L, relay_waits(r));
  return 4;
}

/* waits(): whether take() has something */
static int l_waits(lua_State *L) {
  lua_pushboolean(L, relay_waits(check_relay(L)));
  return 1;
}

/* ---- what is told ---- */

/* connected(halves): halves: one direction can end alone */
static int l_connected(lua_State *L) {
  struct relay *r = check_relay(L);
  r->halves = lua_toboolean(L, 2);
  relay_connected(r);
  return 0;
}

static int l_finish(lua_State *L) {
  relay_finish(check_relay(L));
  return 0;
}

static int l_hangup(lua_State *L) {
  relay_hangup(check_relay(L));
  return 0;
}

/* fail(code, message) */
static int l_fail(lua_State *L) {
  relay_fail(check_relay(L), luaL_checkstring(L, 2), luaL_checkstring(L, 3));
  return 0;
}

static const char *const ends[] = {"open", "write", "all", NULL};

/* done("write" or "all"): that end of the stream's is carried */
static int l_done(lua_State *L) {
  relay_done(check_relay(L), (enum relay_end)luaL_checkoption(L, 2, "", ends));
  return 0;
}

/* asked(): what the stream has ended: "open", "write", "all"; whether it is
 * closed; and, if it was, whether quietly */
static int l_asked(lua_State *L) {
  const struct relay *r = check_relay(L);
  lua_pushstring(L, ends[r->shut]);
  lua_pushboolean(L, r->closed);
  lua_pushboolean(L, r->quiet);
  return 3;
}

static int l_relay_gc(lua_State *L) {
  relay_free(check_relay(L));
  return 0;
}

/* The class `name` with its methods. */
static void make_class(lua_State *L, const char *name, lua_CFunction gc,
                       const luaL_Reg *methods) {
  const luaL_Reg meta[] = {
    {"__gc", gc  },
    {NULL,   NULL}
  };
  neap_class(L, name, meta, methods);
}

/* Nobody but those who carry need them. */
static void make_classes(lua_State *L) {
  static const luaL_Reg hub[] = {
    {"await", l_await},
    {"wake",  l_wake },
    {"next",  l_next },
    {"new",   l_new  },
    {NULL,    NULL   }
  };
  static const luaL_Reg relay[] = {
    {"put",       l_put      },
    {"take",      l_take     },
    {"waits",     l_waits    },
    {"connected", l_connected},
    {"finish",    l_finish   },
    {"hangup",    l_hangup   },
    {"fail",      l_fail     },
    {"done",      l_done     },
    {"asked",     l_asked    },
    {NULL,        NULL       }
  };
  make_class(L, HUB_CLASS, l_hub_gc, hub);
  make_class(L, RELAY_CLASS, l_relay_gc, relay);
}

void neap_open_relay(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"relays", l_relays},
    {NULL,     NULL    }
  };
  neap_setfuncs(L, functions);
}
