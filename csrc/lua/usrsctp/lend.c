/* SPDX-License-Identifier: MIT
 * Sockets, in Lua: the core makes streams of them. Options are bytes here:
 * neap.sctp.user_options knows what they mean. */
#include <errno.h>
#include <string.h>
#include <usrsctp.h>

#include "lua/usrsctp/lusrsctp.h"

#define END_CLASS "neap.usrsctp.end"

enum { MOST_OPTION = 8192, MOST_REASON = 1024 };

static struct us_channel *check_channel(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, END_CLASS);
}

/* Its end, locked; or NULL and why pushed. */
static struct us_end *enter(lua_State *L, struct us_channel *c,
                            const char *what) {
  if (!us_enter(c->home)) {
    lus_fail(L, US_FORKED, what);
    return NULL;
  }
  if (c->end != NULL)
    return c->end;
  us_leave();
  luaL_pushfail(L);
  lua_pushliteral(L, "closed");
  lua_pushliteral(L, "ECLOSED");
  return NULL;
}

static void leave(struct us_channel *c) {
  us_deliver(c->home);
  us_leave();
}

static int done(lua_State *L, int err, const char *what) {
  if (err < 0)
    return lus_fail(L, err, what);
  lua_pushboolean(L, 1);
  return 1;
}

static struct us_channel *new_channel(lua_State *L, struct us_home *h) {
  struct us_channel *c = lua_newuserdatauv(L, sizeof *c, 1);
  us_channel_init(c, h);
  luaL_setmetatable(L, END_CLASS);
  return c;
}

/* ---- making ---- */

/* open(carrier, kind, port): "stream", "listener", "many" */
static int l_open(lua_State *L) {
  static const char *const kinds[] = {"stream", "listener", "many", NULL};
  struct us_carrier *carrier = lus_carrier(L, 1);
  int kind = luaL_checkoption(L, 2, NULL, kinds);
  uint16_t port = (uint16_t)luaL_checkinteger(L, 3);
  struct us_channel *c = new_channel(L, carrier->home);
  struct us_end *e;
  int err = ERR_CLOSED;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  if (!us_enter(c->home))
    return lus_fail(L, US_FORKED, "sctp");
  e = carrier->fd >= 0 ? us_end_open(carrier, (enum us_kind)kind, port, &err)
                       : NULL;
  if (e != NULL)
    us_channel_take(c, e);
  us_leave();
  return e != NULL ? 1 : lus_fail(L, err, "sctp");
}

/* end:connect(ip, port of the carrier's, port): it goes on by itself. Returns
 * true; of one for many: whether there is an association already comes
 * later. */
static int l_connect(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  size_t len;
  const char *ip = luaL_checklstring(L, 2, &len);
  unsigned under = (unsigned)luaL_checkinteger(L, 3);
  uint16_t port = (uint16_t)luaL_checkinteger(L, 4);
  struct us_end *e;
  struct addr a;
  int err = addr_ip(&a, ip, len, under);
  if (err < 0)
    return lus_fail(L, err, "connect");
  e = enter(L, c, "connect");
  if (e == NULL)
    return 3;
  if (e->carrier->family == AF_INET6)
    addr_map(&a);
  err = a.u.sa.sa_family != e->carrier->family ? -EAFNOSUPPORT
                                               : us_end_connect(e, &a, port);
  if (err == 0)
    us_channel_take(c, e);
  leave(c);
  return done(L, err, "connect");
}

/* end:listen(backlog) */
static int l_listen(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  unsigned backlog = (unsigned)luaL_checkinteger(L, 2);
  struct us_end *e = enter(L, c, "listen");
  int err;
  if (e == NULL)
    return 3;
  err = us_end_listen(e, backlog);
  leave(c);
  return done(L, err, "listen");
}

/* What was made of the end at slot 1: on the same carrier. */
static struct us_channel *beside(lua_State *L, const struct us_channel *of) {
  struct us_channel *c = new_channel(L, of->home);
  lua_getiuservalue(L, 1, 1);
  lua_setiuservalue(L, -2, 1);
  return c;
}

/* end:accept(): the next, or nothing */
static int l_accept(lua_State *L) {
  struct us_channel *c = check_channel(L, 1), *made = beside(L, c);
  struct us_end *e = enter(L, c, "accept");
  if (e == NULL)
    return 3;
  e = us_end_accept(e);
  if (e != NULL)
    us_channel_take(made, e);
  leave(c);
  return e != NULL ? 1 : 0;
}

/* end:peeloff(association) */
static int l_peeloff(lua_State *L) {
  struct us_channel *c = check_channel(L, 1), *made;
  uint32_t id = (uint32_t)luaL_checkinteger(L, 2);
  struct us_end *e;
  int err = 0;
  made = beside(L, c);
  e = enter(L, c, "peeloff");
  if (e == NULL)
    return 3;
  e = us_end_peeloff(e, id, &err);
  if (e != NULL)
    us_channel_take(made, e);
  leave(c);
  return e != NULL ? 1 : lus_fail(L, err, "peeloff");
}

/* ---- options ---- */

static int level_of(lua_State *L, int arg) {
  return lua_toboolean(L, arg) ? SOL_SOCKET : IPPROTO_SCTP;
}

/* end:setopt(number, bytes[, of sockets in general]) */
static int l_setopt(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  int number = (int)luaL_checkinteger(L, 2), err = 0;
  size_t len;
  const char *bytes = luaL_checklstring(L, 3, &len);
  struct us_end *e = enter(L, c, "setopt");
  if (e == NULL)
    return 3;
  if (usrsctp_setsockopt(e->so, level_of(L, 4), number, bytes, (socklen_t)len) <
      0)
    err = -errno;
  e->sndbuf = 0;
  leave(c);
  return done(L, err, "setopt");
}

/* end:getopt(number, bytes[, of sockets in general[, room]]): bytes */
static int l_getopt(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  int number = (int)luaL_checkinteger(L, 2), err = 0;
  size_t len;
  const char *bytes = luaL_checklstring(L, 3, &len);
  _Alignas(16) char room[MOST_OPTION];
  socklen_t got = (socklen_t)luaL_optinteger(L, 5, (lua_Integer)len);
  struct us_end *e;
  luaL_argcheck(L, len <= got && got <= sizeof room, 3, "too long");
  memset(room, 0, got);
  memcpy(room, bytes, len);
  e = enter(L, c, "getopt");
  if (e == NULL)
    return 3;
  if (usrsctp_getsockopt(e->so, level_of(L, 4), number, room, &got) < 0)
    err = -errno;
  leave(c);
  if (err < 0)
    return lus_fail(L, err, "getopt");
  lua_pushlstring(L, room, got);
  return 1;
}

/* end:events(mask of the notifications that receivemsg is to give) */
static int l_events(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  uint16_t mask = (uint16_t)luaL_checkinteger(L, 2);
  struct us_end *e = enter(L, c, "events");
  if (e == NULL)
    return 3;
  e->events = mask;
  leave(c);
  return done(L, 0, "events");
}

/* ---- who is there ---- */

/* end:port(): its own, of SCTP's */
static int l_port(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  struct us_end *e = enter(L, c, "port");
  uint16_t port;
  if (e == NULL)
    return 3;
  port = e->port->wire;
  leave(c);
  lua_pushinteger(L, port);
  return 1;
}

/* end:peer([association]): ip, port, the carrier's port, our own ip or nil */
static int l_peer(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  uint32_t id = (uint32_t)luaL_optinteger(L, 2, 0);
  char text[ADDR_IPLEN], local[ADDR_IPLEN] = "";
  const struct us_link *l = NULL;
  const struct us_peer *p;
  struct us_end *e = enter(L, c, "peer");
  uint16_t port;
  struct addr a, own;
  if (e == NULL)
    return 3;
  if (e->kind == US_MANY)
    l = us_end_link(e, id);
  p = l != NULL ? l->peer : e->peer;
  port = l != NULL ? l->remote : e->remote;
  if (p != NULL) {
    a = p->addr;
    own = p->local;
  }
  leave(c);
  if (p == NULL)
    return lus_fail(L, -ENOTCONN, "peer");
  addr_unmap(&a);
  addr_iptext(&a, text);
  lua_pushstring(L, text);
  lua_pushinteger(L, port);
  lua_pushinteger(L, addr_port(&a));
  addr_unmap(&own);
  if (own.len == 0 || addr_iptext(&own, local) < 0)
    return 3;
  lua_pushstring(L, local);
  return 4;
}

/* end:find(ip, the carrier's port, port): the association's number, or nil */
static int l_find(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  size_t len;
  const char *ip = luaL_checklstring(L, 2, &len);
  unsigned under = (unsigned)luaL_checkinteger(L, 3);
  uint16_t port = (uint16_t)luaL_checkinteger(L, 4);
  struct us_peer *p;
  struct us_end *e;
  uint32_t id = 0;
  int error = 0;
  struct addr a;
  if (addr_ip(&a, ip, len, under) < 0)
    return 0;
  e = enter(L, c, "find");
  if (e == NULL)
    return 3;
  if (e->carrier->family == AF_INET6)
    addr_map(&a);
  p = us_peer_find(us_handle(e->carrier, &a));
  if (p != NULL) {
    id = us_end_association(e, p, port);
    error = p->error;
  }
  leave(c);
  if (id == 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, id);
  if (error != 0) {
    char name[ERR_NAMELEN];
    lua_pushstring(L, err_name(-error, name));
    return 2;
  }
  return 1;
}

/* end:associations(): a list of their numbers */
static int l_associations(lua_State *L) {
  struct us_channel *c = check_channel(L, 1);
  struct us_end *e = enter(L, c, "associations");
  lua_Integer n = 0;
  const struct us_link *l;
  uint32_t id[MOST_OPTION / sizeof(uint32_t)];
  if (e == NULL)
    return 3;
  for (l = e->links; l != NULL && n < (lua_Integer)(sizeof id / sizeof *id);
       l = l->next)
    if ((id[n] = us_end_association(e, l->peer, l->remote)) != 0)
      n++;
  leave(c);
  lua_createtable(L, (int)n, 0);
  for (; n > 0; n--) {
    lua_pushinteger(L, id[n - 1]);
    lua_rawseti(L, -2, n);
  }
  return 1;
}

/* ---- the end ---- */

/* end:finish(flag, association, reason): "eof" or "abort" of one of many, or
 * of the only one. */
static int l_finish(lua_State *L) {
  static const char *const ways[] = {"eof", "abort", NULL};
  struct us_channel *c = check_channel(L, 1);
  int way = luaL_checkoption(L, 2, NULL, ways), err = 0;
  struct sctp_sndinfo info = {.snd_flags = way ? SCTP_ABORT : SCTP_EOF};
  size_t len;
  const char *why = luaL_optlstring(L, 4, "", &len);
  struct us_end *e;
  info.snd_assoc_id = (uint32_t)luaL_optinteger(L, 3, 0);
  e = enter(L, c, ways[way]);
  if (e == NULL)
    return 3;
  if (usrsctp_sendv(e->so, why, len < MOST_REASON ? len : MOST_REASON, NULL, 0,
                    &info, sizeof info, SCTP_SENDV_SNDINFO, 0) < 0)
    err = -errno;
  leave(c);
  return done(L, err, ways[way]);
}

/* end:close() */
static int l_close(lua_State *L) {
  us_channel_close(check_channel(L, 1));
  return 0;
}

static int l_isopen(lua_State *L) {
  lua_pushboolean(L, check_channel(L, 1)->end != NULL);
  return 1;
}

void lus_open_end(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", l_close},
    {NULL,   NULL   }
  };
  static const luaL_Reg methods[] = {
    {"connect",      l_connect     },
    {"listen",       l_listen      },
    {"accept",       l_accept      },
    {"peeloff",      l_peeloff     },
    {"setopt",       l_setopt      },
    {"getopt",       l_getopt      },
    {"events",       l_events      },
    {"port",         l_port        },
    {"peer",         l_peer        },
    {"find",         l_find        },
    {"associations", l_associations},
    {"finish",       l_finish      },
    {"close",        l_close       },
    {"isopen",       l_isopen      },
    {NULL,           NULL          }
  };
  static const luaL_Reg functions[] = {
    {"open", l_open},
    {NULL,   NULL  }
  };
  lus_class(L, END_CLASS, meta, methods);
  lus_functions(L, functions);
}
