/* SPDX-License-Identifier: MIT
 * Sending many messages at once: sendmany(datas [, columns...]). */
#include <errno.h>

#include "base/error.h"
#include "lua/lmsg.h"

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
    if (!msgsock_isopen(s)) { /* its tap closed it */
      n = neap_fail(L, ERR_CLOSED, NULL);
      break;
    }
    n = collect(L, s, w->progress, iov, to);
    if (n > 0)
      n = s->kind == MSGSOCK_TUN
            ? send_each(s, iov, n)
            : msgsock_sendmany(s, iov, addressed ? to : NULL, each, n);
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

const luaL_Reg lmsgsendmany_methods[] = {
  {"sendmany", l_sendmany},
  {NULL,       NULL      }
};
