/* SPDX-License-Identifier: MIT
 * Receiving one message: receive, receivemsg; and the queue of errors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "lua/lpacket.h"
#include "lua/lsocket.h"

/* ---- what the kernel put together is taken apart ---- */

/* The next of the datagrams that came as one: pushed, with its address. */
int lmsg_nextpending(lua_State *L, struct msgsock *s) {
  size_t len, n;
  const char *all;
  lua_getiuservalue(L, 1, LMSG_PENDING);
  all = lua_tolstring(L, -1, &len);
  n = len - s->pendingat < s->segment ? len - s->pendingat : s->segment;
  lua_pushlstring(L, all + s->pendingat, n);
  lua_replace(L, -2);
  lua_getiuservalue(L, 1, LMSG_PEER);
  lua_getiuservalue(L, 1, LMSG_PORT);
  s->pendingat += (uint32_t)n;
  s->received++;
  s->receivedbytes += n;
  if (s->pendingat == len) {
    s->segment = 0;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, LMSG_PENDING);
  }
  if (s->tapped)
    lmsg_tell(L, s, "in", 2);
  return 3;
}

void lmsg_setpending(lua_State *L, struct msgsock *s, const char *data,
                     size_t len, struct addr *from, uint16_t segment) {
  lua_pushlstring(L, data, len);
  lua_setiuservalue(L, 1, LMSG_PENDING);
  lmsg_pushaddr(L, s, from);
  lua_setiuservalue(L, 1, LMSG_PORT);
  lua_setiuservalue(L, 1, LMSG_PEER);
  s->segment = segment;
  s->pendingat = 0;
}

/* How long each of them is, or 0. */
static uint16_t segment_of(const struct sock_msg *m, size_t len) {
  struct cmsg_item item;
  struct cmsg_value v;
  size_t at = 0;
  while (cmsg_next(m->control, m->controllen, &at, &item)) {
    const struct cmsg_row *row = cmsg_find(item.level, item.type);
    if (row != NULL && strcmp(row->name, "UDP_GRO") == 0 &&
        cmsg_decode(row, &item, &v) && v.number > 0 && (uint64_t)v.number < len)
      return (uint16_t)v.number;
  }
  return 0;
}

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

/* One of those that came together, if there is room for it. */
static int receive_pending(lua_State *L, struct msgsock *s) {
  lua_Integer max = lua_tointeger(L, 2);
  size_t n, room = max > 0 ? (size_t)max : s->maxmessage;
  int values = lmsg_nextpending(L, s);
  n = (size_t)lua_rawlen(L, -values);
  return n > room ? too_long(L, s, n, room) : values;
}

static int receive_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  struct receiving r;
  _Alignas(16) char control[64]; /* for what says that it is several */
  uint16_t segment;
  ssize_t n;
  int err = lmsg_reading(L, c, w, s, "receive");
  if (err != 0)
    return err;
  if (s->segment != 0)
    return receive_pending(L, s);
  r.m.control = control;
  r.m.controllen = s->gro ? sizeof control : 0;
  n = take(L, c, s, &r, lua_tointeger(L, 2));
  if (n == -EAGAIN)
    return lmsg_awaitin(L, c, w, s, "receive");
  if (n < 0)
    return lmsg_fail(L, s, (int)n, "receive");
  segment = s->gro ? segment_of(&r.m, (size_t)n) : 0;
  if (segment > 0) {
    lmsg_setpending(L, s, r.iov.iov_base, (size_t)n, &r.m.addr, segment);
    return receive_pending(L, s);
  }
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
  if (s->segment != 0)
    return lmsg_fail(L, s, -EBUSY, "receivemsg: receive() has left datagrams");
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

/* Whoever receives comes first: it takes the errors from the kernel, too, and
 * wakes the queue. If nobody does, it waits itself, but without the lock. */
static int await_error(lua_State *L, struct core *c, struct wait *w,
                       struct msgsock *s) {
  int err;
  if (lock_take(&s->reader, w))
    loop_release(&c->loop, w);
  if (s->reader.owner != NULL || s->watch.rd != NULL) {
    await_wake(c, w, &s->reader.queue, true);
    return OP_WAIT;
  }
  err = await_watch(c, w, &s->watch, POLLER_ERR);
  return err < 0 ? lmsg_fail(L, s, err, "geterror") : OP_WAIT;
}

static int geterror_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  struct msgerror *e;
  int err;
  if (!msgsock_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0 && s->errors == NULL)
    return lmsg_fail(L, s, w->result, "geterror");
  luaL_checkstack(L, 4, NULL);
  lua_pushcfunction(L, pushed_error);
  e = msgsock_takeerror(s, &err);
  if (e == NULL) {
    lua_pop(L, 1);
    return err == -EAGAIN ? await_error(L, c, w, s)
                          : lmsg_fail(L, s, err, "geterror");
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
