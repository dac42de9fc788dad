/* SPDX-License-Identifier: MIT
 * Many messages at once: sendmany, receivemany. */
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
  for (i = 0; i < got; i++) {
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
                     lua_Integer wanted) {
  int i, got, n = batch(s, wanted);
  bool all = s->kind == MSGSOCK_TUN || s->gro;
  size_t max =
    all && s->maxmessage < SCRATCH_SIZE ? SCRATCH_SIZE - 1024 : s->maxmessage;
  size_t step = stride(max);
  char *room = core_room(L, c, step * (size_t)n);
  for (i = 0; i < n; i++) {
    ones[i].iov.iov_base = room + step * (size_t)i;
    ones[i].iov.iov_len = max;
    ones[i].control = s->gro ? controls[i] : NULL;
    ones[i].controllen = s->gro ? sizeof controls[i] : 0;
  }
  if (s->ring != NULL)
    got = lpacket_recvmany(s, ones, n);
  else if (s->kind == MSGSOCK_TUN)
    got = recv_each(s, ones, n);
  else
    got = sock_recvmany(s->watch.fd, ones, n);
  if (got < 0)
    return got;
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
    got = recv_many(L, c, s, ones, controls, max - n);
    if (got < 0)
      break;
    n = put_messages(L, s, ones, got, &last, n, max);
    s->batch = (uint8_t)got;
    if (got < asked) { /* that was all */
      pace_empty(&s->pace, &s->watch);
      break;
    }
  }
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
  if (s->kind != MSGSOCK_UDP || s->apart || s->joined || on == s->gro)
    return;
  s->apart = msgsock_setgro(s, on) < 0; /* it never will */
  s->gro = on && !s->apart;
  s->alone = on ? 0 : 1;
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

/* ---- sendmany(datas [, columns...]) ---- */

enum { SLOT_DATAS = 2, SLOT_ADDR = 3 };

/* Pushes the address values of message i: each column is a list, or one value
 * for all. */
static void push_columns(lua_State *L, int values, lua_Integer i) {
  int v;
  for (v = 0; v < values; v++) {
    if (lua_istable(L, SLOT_ADDR + v))
      lua_rawgeti(L, SLOT_ADDR + v, i);
    else
      lua_pushvalue(L, SLOT_ADDR + v);
  }
}

static int sendmany_addr(lua_State *L, const struct msgsock *s, lua_Integer i,
                         struct addr *to) {
  int err, top = lua_gettop(L);
  push_columns(L, lmsg_addrvalues(s), i);
  err = lmsg_toaddr(L, s, top + 1, to);
  lua_settop(L, top);
  return err == LMSG_ISNAME ? -EINVAL : err;
}

/* Whether every message has an address of its own. */
static bool each_its_own(lua_State *L, const struct msgsock *s) {
  int v;
  for (v = 0; v < lmsg_addrvalues(s); v++)
    if (lua_istable(L, SLOT_ADDR + v))
      return true;
  return false;
}

/* The next batch, from `from` (0-based) on. Returns its size or -errno. */
static int collect(lua_State *L, const struct msgsock *s, size_t from,
                   struct iovec *iov, struct addr *to) {
  size_t left = (size_t)lua_rawlen(L, SLOT_DATAS) - from;
  int i, err, n = left < SOCK_MANY ? (int)left : SOCK_MANY;
  bool addressed = !lua_isnil(L, SLOT_ADDR), each = each_its_own(L, s);
  for (i = 0; i < n; i++) {
    lua_Integer at = (lua_Integer)from + i + 1;
    lua_rawgeti(L, SLOT_DATAS, at);
    if (lua_type(L, -1) != LUA_TSTRING)
      return -EBADMSG; /* changed since it was checked */
    iov[i].iov_base = (void *)lua_tolstring(L, -1, &iov[i].iov_len);
    lua_pop(L, 1);
    if (!addressed || (i > 0 && !each))
      continue;
    err = sendmany_addr(L, s, at, &to[i]);
    if (err < 0)
      return i > 0 ? i : err;
  }
  return n;
}

static void taken(lua_State *L, struct msgsock *s, const struct iovec *iov,
                  struct wait *w, int n) {
  int i;
  s->sent += (uint64_t)n;
  for (i = 0; i < n; i++) {
    s->sentbytes += iov[i].iov_len;
    if (s->tapped) {
      int values = lua_isnil(L, SLOT_ADDR) ? 0 : lmsg_addrvalues(s);
      lua_rawgeti(L, SLOT_DATAS, (lua_Integer)w->progress + i + 1);
      push_columns(L, values, (lua_Integer)w->progress + i + 1);
      lmsg_tell(L, s, "out", values);
      lua_pop(L, 1 + values);
    }
  }
  w->progress += (size_t)n;
}

/* One by one, for what is no socket. */
static int send_each(struct msgsock *s, const struct iovec *iov, int n) {
  struct sock_msg m = {.niov = 1, .addr.len = 0};
  int i;
  for (i = 0; i < n; i++) {
    ssize_t sent;
    m.iov = (struct iovec *)&iov[i];
    sent = msgsock_send(s, &m);
    if (sent < 0)
      return i > 0 ? i : (int)sent;
  }
  return n;
}

static int sendmany_failed(lua_State *L, struct msgsock *s, int err,
                           const struct addr *to) {
  char text[ADDR_TEXTLEN];
  if (to == NULL)
    return lmsg_fail(L, s, err, "sendmany");
  return neap_failf(L, err, "sendmany %s", lmsg_addrtext(to, text));
}

static int sendmany_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  struct iovec iov[SOCK_MANY];
  struct addr to[SOCK_MANY];
  bool addressed = !lua_isnil(L, SLOT_ADDR), each = each_its_own(L, s);
  int n = lmsg_writing(L, c, w, s, "sendmany");
  while (n == 0 && w->progress < lua_rawlen(L, SLOT_DATAS)) {
    n = collect(L, s, w->progress, iov, to);
    if (n > 0)
      n = s->kind == MSGSOCK_TUN
            ? send_each(s, iov, n)
            : sock_sendmany(s->watch.fd, iov, addressed ? to : NULL, each, n);
    if (n == -EAGAIN)
      return lmsg_awaitout(L, c, w, s, "sendmany");
    if (n < 0) {
      n = sendmany_failed(L, s, n, addressed ? to : NULL);
      lua_pushinteger(L, (lua_Integer)w->progress);
      return n + 1;
    }
    taken(L, s, iov, w, n);
    n = 0;
  }
  if (n == 3) { /* timed out, or closed */
    lua_pushinteger(L, (lua_Integer)w->progress);
    return 4;
  }
  if (n != 0)
    return n;
  lua_pushinteger(L, (lua_Integer)w->progress);
  return 1;
}

static void check_datas(lua_State *L, const struct msgsock *s) {
  lua_Integer i, n;
  luaL_checktype(L, SLOT_DATAS, LUA_TTABLE);
  n = (lua_Integer)lua_rawlen(L, SLOT_DATAS);
  for (i = 1; i <= n; i++) {
    if (lua_rawgeti(L, SLOT_DATAS, i) != LUA_TSTRING)
      luaL_argerror(
        L, SLOT_DATAS,
        lua_pushfstring(L, "element %I is no string", (LUAI_UACINT)i));
    lmsg_checkempty(L, s, -1);
    lua_pop(L, 1);
  }
}

/* Each address stands where sendmany has it while it is checked, for the
 * message of an error. Returns LMSG_ISNAME if there is a name. */
static int check_columns(lua_State *L, const struct msgsock *s) {
  lua_Integer i,
    n = each_its_own(L, s) ? (lua_Integer)lua_rawlen(L, SLOT_DATAS) : 1;
  int v, values = lmsg_addrvalues(s), err = 0;
  int columns = lua_gettop(L) + 1;
  struct addr to;
  for (v = 0; v < values; v++)
    lua_pushvalue(L, SLOT_ADDR + v);
  for (i = 1; i <= n && err != LMSG_ISNAME; i++) {
    for (v = 0; v < values; v++) {
      if (lua_istable(L, columns + v))
        lua_rawgeti(L, columns + v, i);
      else
        lua_pushvalue(L, columns + v);
      lua_replace(L, SLOT_ADDR + v);
    }
    err = lmsg_toaddr(L, s, SLOT_ADDR, &to);
  }
  for (v = values - 1; v >= 0; v--)
    lua_replace(L, SLOT_ADDR + v);
  return err;
}

static int begin_sendmany(lua_State *L, bool once) {
  static const struct op op = {"sendmany", sendmany_step, NULL};
  struct msgsock *s = lmsg_open(L);
  int values, err = 0;
  if (s == NULL)
    return 3;
  check_datas(L, s);
  values = lmsg_addrvalues(s);
  lua_settop(L, SLOT_ADDR + (values > 0 ? values - 1 : 0));
  if (values == 0 && !lua_isnil(L, SLOT_ADDR))
    return luaL_error(L, "a neap.%s has no addresses to send to",
                      msgsock_kindname(s));
  if (values > 1 && lua_isnil(L, SLOT_ADDR) && !lua_isnil(L, SLOT_ADDR + 1))
    return luaL_typeerror(L, SLOT_ADDR, "host");
  if (!lua_isnil(L, SLOT_ADDR))
    err = check_columns(L, s);
  if (!once && (err == LMSG_ISNAME ||
                (s->kind == MSGSOCK_UNIX && !lua_isnil(L, SLOT_ADDR))))
    return lmsg_slow(L, "sendmany");
  return neap_opon(L, lmsg_core(s), &op, s, s->timeout);
}

static int l_sendmany(lua_State *L) {
  return begin_sendmany(L, false);
}

int lmsg_sendmany_once(lua_State *L) {
  return begin_sendmany(L, true);
}

const luaL_Reg lmsgmany_methods[] = {
  {"sendmany",    l_sendmany   },
  {"receivemany", l_receivemany},
  {NULL,          NULL         }
};
