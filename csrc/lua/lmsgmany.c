/* SPDX-License-Identifier: MIT
 * Receiving many messages at once: receivemany. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lua/lpacket.h"

enum { MANY_MAX = 1024, MANY_ROOM = 16 << 20, LEAST = 4, GRO_LEAST = 8 };

/* ---- receivemany([max [, datas, columns...]]) ---- */

/* Rooms that begin at the same place of a page would share a few lines of the
 * cache. */
static size_t stride(size_t max) {
  return ((max + 63) & ~(size_t)63) + 192;
}

/* The lists to be filled are at 3 and on. */
enum { SLOT_MAX = 2, SLOT_LISTS = 3 };

/* Sets element n of each list to the values on top, which are popped. */
static void put(lua_State *L, int values, lua_Integer n) {
  int i;
  for (i = values; i > 0; i--)
    lua_rawseti(L, SLOT_LISTS + i - 1, n);
}

/* Pushes the address; the same again is not made again. */
static void push_from(lua_State *L, struct msgsock *s, struct addr *a,
                      struct addr *last, lua_Integer n) {
  int i, values = lmsg_addrvalues(s);
  if (n > 1 && a->len == last->len && memcmp(&a->u, &last->u, a->len) == 0) {
    for (i = 1; i <= values; i++)
      lua_rawgeti(L, SLOT_LISTS + i, n - 1);
    return;
  }
  *last = *a;
  lmsg_pushaddr(L, s, a);
}

static lua_Integer put_message(lua_State *L, struct msgsock *s,
                               struct sock_one *one, struct addr *last,
                               lua_Integer n) {
  int values = lmsg_addrvalues(s);
  lua_pushlstring(L, one->iov.iov_base, one->len);
  push_from(L, s, &one->addr, last, ++n);
  if (s->tapped)
    lmsg_tell(L, s, "in", values);
  put(L, values + 1, n);
  return n;
}

/* What came before and was not taken yet, as far as it is wanted. */
static lua_Integer put_pending(lua_State *L, struct msgsock *s,
                               struct addr *last, lua_Integer n,
                               lua_Integer max) {
  while (s->npending > 0 && n < max) {
    struct addr from;
    if (lmsg_nextpending(L, s, &from) > s->maxmessage) {
      s->oversized++;
      lua_pop(L, 1);
    } else {
      push_from(L, s, &from, last, ++n);
      put(L, 1 + lmsg_addrvalues(s), n);
    }
  }
  return n;
}

/* What is several goes the way of what came before, and so does all that comes
 * after more than was wanted. */
static lua_Integer put_messages(lua_State *L, struct msgsock *s,
                                struct sock_one *ones, int got,
                                struct addr *last, lua_Integer n,
                                lua_Integer max) {
  int i;
  for (i = 0; i < got && msgsock_isopen(s); i++) { /* or its tap closed it */
    struct sock_one *one = &ones[i];
    bool toolong = one->len > one->iov.iov_len;
    s->alone = one->segment > 0 ? 0 : (uint16_t)(s->alone + 1);
    if (!toolong && (one->segment > 0 || s->npending > 0)) {
      lmsg_setpending(L, s, one);
      n = put_pending(L, s, last, n, max);
      continue;
    }
    s->received++;
    s->receivedbytes += one->len;
    if (toolong || one->len > s->maxmessage)
      s->oversized++;
    else
      n = put_message(L, s, one, last, n);
  }
  return n;
}

/* How many the kernel is asked for. */
static int batch(const struct msgsock *s, lua_Integer wanted) {
  size_t most = MANY_ROOM / stride(s->maxmessage);
  if (most > SOCK_MANY)
    most = SOCK_MANY;
  if (s->gro && most > GRO_LEAST) /* each may be many by itself */
    most = GRO_LEAST;
  if (most > LEAST + 2u * s->batch) /* each that is asked for costs a bit */
    most = LEAST + 2u * s->batch;
  if (wanted < (lua_Integer)most)
    most = (size_t)wanted;
  return most > 0 ? (int)most : 1;
}

/* One by one, from what is no socket. */
static int recv_each(struct msgsock *s, struct sock_one *ones, int n) {
  struct sock_msg m = {.niov = 1};
  int i;
  for (i = 0; i < n; i++) {
    ssize_t len;
    m.iov = &ones[i].iov;
    len = msgsock_recv(s, &m);
    if (len < 0)
      return i > 0 ? i : (int)len;
    ones[i].len = (size_t)len;
    ones[i].segment = 0;
    ones[i].addr.len = 0;
  }
  return n;
}

/* At most `wanted` that are there. Returns how many, ERR_EOF, or -errno. */
static int recv_many(lua_State *L, struct core *c, struct msgsock *s,
                     struct sock_one *ones, char controls[][LMSG_CONTROL],
                     int n) {
  bool all = s->kind == MSGSOCK_TUN || s->gro;
  size_t max =
    all && s->maxmessage < SCRATCH_SIZE ? SCRATCH_SIZE - 1024 : s->maxmessage;
  size_t step = stride(max);
  char *room;
  int i, got;
  if (s->ring != NULL)
    return lpacket_recvmany(s, ones, n);
  room = core_room(L, c, step * (size_t)n);
  for (i = 0; i < n; i++) {
    ones[i].iov.iov_base = room + step * (size_t)i;
    ones[i].iov.iov_len = max;
    ones[i].control = s->gro ? controls[i] : NULL;
    ones[i].controllen = s->gro ? sizeof controls[i] : 0;
  }
  if (s->kind == MSGSOCK_TUN)
    return recv_each(s, ones, n);
  got = msgsock_recvmany(s, ones, n);
  for (i = 0; i < got; i++)
    if (s->kind == MSGSOCK_SEQPACKET && ones[i].len == 0)
      return i > 0 ? i : ERR_EOF;
  return got;
}

/* What is beyond the last one is what the lists held before. */
static void cut(lua_State *L, lua_Integer n) {
  int i, top = lua_gettop(L);
  for (i = SLOT_LISTS; i <= top; i++) {
    lua_Integer at = n;
    lua_Integer len = (lua_Integer)lua_rawlen(L, i);
    while (at < len) {
      lua_pushnil(L);
      lua_rawseti(L, i, ++at);
    }
  }
}

static int receivemany_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  struct sock_one ones[SOCK_MANY];
  _Alignas(16) char controls[GRO_LEAST][LMSG_CONTROL];
  struct addr last = {.len = 0};
  lua_Integer max = lua_tointeger(L, SLOT_MAX), n;
  int got = lmsg_reading(L, c, w, s, "receivemany");
  if (got != 0)
    return got;
  n = put_pending(L, s, &last, 0, max);
  while (n < max && s->watch.ready & ~(unsigned)POLLER_OUT) {
    int asked = batch(s, max - n);
    got = recv_many(L, c, s, ones, controls, asked);
    if (got < 0)
      break;
    n = put_messages(L, s, ones, got, &last, n, max);
    s->batch = (uint8_t)got;
    if (got < asked && s->ring == NULL) /* that was all */
      got = -EAGAIN;
    if (got < 0)
      break;
  }
  if (got == -EAGAIN)
    pace_empty(&s->pace, &s->watch);
  if (n > 0) {
    cut(L, n);
    return lua_gettop(L) - SLOT_MAX;
  }
  if (got < 0 && got != -EAGAIN)
    return lmsg_fail(L, s, got, "receivemany");
  return lmsg_awaitin(L, c, w, s, "receivemany");
}

/* Who takes many may be given what the kernel puts together, which is then
 * taken apart. That costs a bit for each that comes alone: so it is asked for
 * only as long as it happens, and tried again now and then. */
static void choose_gro(struct msgsock *s) {
  enum { ALONE = 256, AGAIN = 8192 };
  bool on = s->gro ? s->alone < ALONE : s->alone == 0 || s->alone >= AGAIN;
  int err;
  if (s->kind != MSGSOCK_UDP || s->apart || s->joined || on == s->gro)
    return;
  err = msgsock_setgro(s, on);
  s->apart = err < 0 && err != -EAGAIN; /* it never will */
  s->gro = !s->apart && (on || err == -EAGAIN);
  s->alone = s->gro ? 0 : 1;
}

static int l_receivemany(lua_State *L) {
  static const struct op op = {"receivemany", receivemany_step, NULL};
  struct msgsock *s = lmsg_open(L);
  int i, values;
  if (s == NULL)
    return 3;
  if (!lua_isnoneornil(L, SLOT_MAX))
    neap_checkint(L, SLOT_MAX, 1, MANY_MAX);
  choose_gro(s);
  values = lmsg_addrvalues(s);
  lua_settop(L, SLOT_LISTS + values);
  if (lua_isnil(L, SLOT_MAX)) {
    lua_pushinteger(L, SOCK_MANY);
    lua_replace(L, SLOT_MAX);
  }
  for (i = SLOT_LISTS; i <= SLOT_LISTS + values; i++) {
    if (!lua_isnil(L, i)) {
      luaL_checktype(L, i, LUA_TTABLE);
    } else {
      lua_createtable(L, 8, 0);
      lua_replace(L, i);
    }
  }
  return neap_opon(L, lmsg_core(s), &op, s, s->timeout);
}

const luaL_Reg lmsgmany_methods[] = {
  {"receivemany", l_receivemany},
  {NULL,          NULL         }
};
