/* SPDX-License-Identifier: MIT
 * Receiving one message: receive, receivemsg; and the queue of errors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "lua/lpacket.h"
#include "lua/lsocket.h"

/* ---- one message ---- */

/* Where it is received, and how much of it may come. */
struct receiving {
  struct iovec iov;
  struct sock_msg m;
  struct ring_packet packet;
  size_t max;
};

/* A device does not say how long what it cut was; and what the kernel put
 * together is longer than each of its datagrams. */
static ssize_t take(lua_State *L, struct core *c, struct msgsock *s,
                    struct receiving *r, lua_Integer max) {
  ssize_t n = -EAGAIN;
  r->max = max > 0 ? (size_t)max : s->maxmessage;
  if (!(s->watch.ready & ~(unsigned)POLLER_OUT))
    return n;
  r->m.iov = &r->iov;
  r->m.niov = 1;
  if (s->ring != NULL) {
    n = lpacket_recv(s, &r->m, &r->packet);
  } else {
    bool all = s->kind == MSGSOCK_TUN || s->gro;
    r->iov.iov_len = all && r->max < SCRATCH_SIZE ? SCRATCH_SIZE : r->max;
    r->iov.iov_base = core_room(L, c, r->iov.iov_len);
    n = msgsock_recv(s, &r->m);
  }
  if (n >= 0)
    pace_took(&s->pace, &s->watch, &c->loop);
  return n;
}

static void count(struct msgsock *s, size_t n) {
  s->received++;
  s->receivedbytes += n;
}

static int too_long(lua_State *L, struct msgsock *s, size_t n, size_t max) {
  s->oversized++;
  neap_failf(L, -EMSGSIZE, "receive: a message of %I bytes, room for %I",
             (LUAI_UACINT)n, (LUAI_UACINT)max);
  lua_pushinteger(L, (lua_Integer)n);
  return 4;
}

static size_t room_for(lua_State *L, const struct msgsock *s) {
  lua_Integer max = lua_tointeger(L, 2);
  return max > 0 ? (size_t)max : s->maxmessage;
}

/* One of those that came before, if there is room for it. */
static int receive_pending(lua_State *L, struct msgsock *s) {
  struct addr from;
  size_t room = room_for(L, s), n = lmsg_nextpending(L, s, &from);
  return n > room ? too_long(L, s, n, room) : 1 + lmsg_pushaddr(L, s, &from);
}

/* Are these several? Then they are kept. */
static bool keep_several(lua_State *L, struct msgsock *s,
                         const struct receiving *r, size_t n) {
  struct sock_one one;
  one.segment = sock_segment(r->m.control, r->m.controllen, n);
  if (one.segment == 0)
    return false;
  one.iov = r->iov;
  one.len = n;
  one.addr = r->m.addr;
  one.control = r->m.control;
  one.controllen = r->m.controllen;
  lmsg_setpending(L, s, &one);
  return true;
}

static int receive_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  struct receiving r;
  _Alignas(16) char control[LMSG_CONTROL]; /* says whether it is several */
  ssize_t n;
  int err = lmsg_reading(L, c, w, s, "receive");
  if (err != 0)
    return err;
  if (s->npending > 0)
    return receive_pending(L, s);
  r.m.control = control;
  r.m.controllen = s->gro ? sizeof control : 0;
  n = take(L, c, s, &r, lua_tointeger(L, 2));
  if (n == -EAGAIN)
    return lmsg_awaitin(L, c, w, s, "receive");
  if (n < 0)
    return lmsg_fail(L, s, (int)n, "receive");
  if (s->gro && keep_several(L, s, &r, (size_t)n))
    return receive_pending(L, s);
  count(s, (size_t)n);
  if ((size_t)n > r.max)
    return too_long(L, s, (size_t)n, r.max);
  lua_pushlstring(L, r.iov.iov_base, (size_t)n);
  err = lmsg_pushaddr(L, s, &r.m.addr);
  if (s->tapped)
    lmsg_tell(L, s, "in", err);
  return 1 + err;
}

static int l_receive(lua_State *L) {
  static const struct op op = {"receive", receive_step, NULL};
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  if (!lua_isnoneornil(L, 2))
    neap_checkint(L, 2, 1, 1 << 30);
  lua_settop(L, 2);
  return neap_opon(L, lmsg_core(s), &op, s, s->timeout);
}

/* ---- receivemsg([max]) ---- */

static bool brings_fds(const struct msgsock *s) {
  return s->kind == MSGSOCK_UNIX || s->kind == MSGSOCK_SEQPACKET;
}

/* Descriptors are held by a room until they are in the table. */
static int receivemsg_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  struct receiving r;
  struct room *room = NULL;
  _Alignas(16) char control[LMSG_CONTROL];
  size_t have;
  ssize_t n;
  int err = lmsg_reading(L, c, w, s, "receivemsg");
  if (err != 0)
    return err;
  if (s->npending > 0)
    return lmsg_nextpendinginfo(L, s, room_for(L, s));
  if (brings_fds(s))
    room = room_take(L, 0, ROOM_CONTROL);
  r.m.control = room != NULL ? room->controldata : control;
  r.m.controllen = room != NULL ? ROOM_CONTROL : sizeof control;
  n = take(L, c, s, &r, lua_tointeger(L, 2));
  if (n < 0) {
    if (room != NULL)
      room_give(L, 3);
    lua_settop(L, 2);
    return n == -EAGAIN ? lmsg_awaitin(L, c, w, s, "receivemsg")
                        : lmsg_fail(L, s, (int)n, "receivemsg");
  }
  if (s->gro && !s->joined && keep_several(L, s, &r, (size_t)n))
    return lmsg_nextpendinginfo(L, s, r.max);
  count(s, (size_t)n);
  if (room != NULL)
    control_collect(&r.m, room);
  have = (size_t)n < r.max ? (size_t)n : r.max;
  lua_pushlstring(L, r.iov.iov_base, have);
  if (s->tapped)
    lmsg_tell(L, s, "in", lmsg_pushaddr(L, s, &r.m.addr));
  lua_settop(L, room != NULL ? 4 : 3);
  lmsg_pushinfo(L, s, &r.m, (size_t)n, have);
  if (s->ring != NULL)
    lpacket_setring(L, &r.packet);
  if (room != NULL)
    room_give(L, 3);
  return 2;
}

static int l_receivemsg(lua_State *L) {
  static const struct op op = {"receivemsg", receivemsg_step, NULL};
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  if (!lua_isnoneornil(L, 2))
    neap_checkint(L, 2, 1, 1 << 30);
  lua_settop(L, 2);
  return neap_opon(L, lmsg_core(s), &op, s, s->timeout);
}

/* ---- geterror([timeout]) ---- */

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_ip(lua_State *L, const char *name, struct addr *a) {
  char ip[ADDR_IPLEN];
  addr_unmap(a);
  if (a->len > 0 && addr_iptext(a, ip) >= 0)
    set_string(L, name, ip);
}

/* By the number that the kernel gives it (SO_EE_ORIGIN_...). */
static const char *const origins[] = {
  "none", "local", "icmp", "icmp6", "timestamping", "zerocopy", "txtime"};

static void push_error(lua_State *L, struct msgerror *e) {
  char text[ERR_TEXTLEN], name[ERR_NAMELEN];
  lua_createtable(L, 0, 10);
  set_string(L, "code", err_name(-(int)e->why.number, name));
  set_string(L, "message", err_text(-(int)e->why.number, text));
  if (e->why.origin >= 0 && e->why.origin < (int)countof(origins))
    set_string(L, "origin", origins[e->why.origin]);
  set_integer(L, "type", e->why.etype);
  set_integer(L, "icmpcode", e->why.ecode);
  if (e->why.number == EMSGSIZE)
    set_integer(L, "mtu", e->why.info);
  else if (e->why.info != 0)
    set_integer(L, "info", e->why.info);
  set_ip(L, "offender", &e->why.addr);
  if (e->to.len > 0) {
    set_ip(L, "ip", &e->to);
    set_integer(L, "port", addr_port(&e->to));
  }
  lua_pushlstring(L, e->data, e->len);
  lua_setfield(L, -2, "data");
}

/* Frees it also when Lua raises half-way. */
static int pushed_error(lua_State *L) {
  push_error(L, lua_touserdata(L, 1));
  return 1;
}

static int geterror_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  struct msgerror *e;
  int err;
  if (!msgsock_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0 && s->errors == NULL)
    return lmsg_fail(L, s, w->result, "geterror");
  if (!lock_take(&s->watcher, w)) {
    await_wake(c, w, &s->watcher.queue, true);
    return OP_WAIT;
  }
  luaL_checkstack(L, 4, NULL);
  lua_pushcfunction(L, pushed_error);
  e = msgsock_takeerror(s, &err);
  if (e == NULL) {
    lua_pop(L, 1);
    if (err == -EAGAIN)
      err = msgsock_watcherrors(s);
    if (err == 0)
      err = await_watch(c, w, s->errwatch, POLLER_ERR);
    return err < 0 ? lmsg_fail(L, s, err, "geterror") : OP_WAIT;
  }
  lua_pushlightuserdata(L, e);
  err = lua_pcall(L, 1, 1, 0);
  free(e);
  return err == LUA_OK ? 1 : lua_error(L);
}

static int l_geterror(lua_State *L) {
  static const struct op op = {"geterror", geterror_step, NULL};
  struct msgsock *s = lmsg_open(L);
  int64_t timeout;
  if (s == NULL)
    return 3;
  if (!s->errqueue)
    return luaL_error(L, "geterror: the socket was not opened with errors = "
                         "true");
  timeout = lua_isnoneornil(L, 2) ? s->timeout : neap_opttimeout(L, 2);
  lua_settop(L, 1);
  return neap_opon(L, lmsg_core(s), &op, s, timeout);
}

const luaL_Reg lmsgrecv_methods[] = {
  {"receive",    l_receive   },
  {"receivemsg", l_receivemsg},
  {"geterror",   l_geterror  },
  {NULL,         NULL        }
};
