/* SPDX-License-Identifier: MIT
 * Sending one message: send, sendto, sendmsg. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lua/lmsg.h"

/* ---- what all of them share ---- */

static int sent(lua_State *L, struct msgsock *s, size_t n, int addrvalues) {
  s->sent++;
  s->sentbytes += n;
  if (s->tapped)
    lmsg_tell(L, s, "out", addrvalues);
  lua_settop(L, 1);
  return 1;
}

static int failed(lua_State *L, struct msgsock *s, int err, const char *name,
                  const struct addr *to) {
  char text[ADDR_TEXTLEN];
  if (to == NULL || to->len == 0)
    return lmsg_fail(L, s, err, name);
  return neap_failf(L, err, "%s %s", name, lmsg_addrtext(to, text));
}

/* A Unix socket that is not connected is told of no event when the peer's
 * queue has room again. */
static bool must_retry(const struct msgsock *s, const struct addr *to) {
  return s->kind == MSGSOCK_UNIX && to != NULL;
}

void lmsg_checkempty(lua_State *L, const struct msgsock *s, int at) {
  if (s->kind == MSGSOCK_SEQPACKET && lua_rawlen(L, at) == 0)
    luaL_argerror(L, 2, "an empty message would be taken for the end");
}

/* ---- send(data), sendto(data, address...) ---- */

static int send_some(lua_State *L, struct core *c, struct wait *w,
                     const char *name, struct addr *to) {
  struct msgsock *s = lmsg_of(w);
  struct iovec iov;
  struct sock_msg m;
  ssize_t n;
  m.iov = &iov;
  m.niov = 1;
  m.controllen = 0;
  m.addr.len = 0;
  if (to != NULL)
    m.addr = *to;
  iov.iov_base = (void *)lua_tolstring(L, 2, &iov.iov_len);
  n = msgsock_send(s, &m);
  if (n >= 0)
    return sent(L, s, iov.iov_len, lua_gettop(L) - 2);
  if (n == -EAGAIN && !must_retry(s, to))
    return lmsg_awaitout(L, c, w, s, name);
  return failed(L, s, (int)n, name, to);
}

static int send_step(lua_State *L, struct core *c, struct wait *w) {
  int n = lmsg_writing(L, c, w, lmsg_of(w), "send");
  return n != 0 ? n : send_some(L, c, w, "send", NULL);
}

static int sendto_step(lua_State *L, struct core *c, struct wait *w) {
  struct addr to;
  int n = lmsg_writing(L, c, w, lmsg_of(w), "sendto");
  if (n != 0)
    return n;
  n = lmsg_toaddr(L, lmsg_of(w), 3, &to);
  if (n < 0)
    return failed(L, lmsg_of(w), n, "sendto", NULL);
  return send_some(L, c, w, "sendto", &to);
}

static int l_send(lua_State *L) {
  static const struct op op = {"send", send_step, NULL};
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  luaL_checktype(L, 2, LUA_TSTRING);
  lmsg_checkempty(L, s, 2);
  lua_settop(L, 2);
  return neap_opon(L, lmsg_core(s), &op, s, s->timeout);
}

static const struct op sendto_op = {"sendto", sendto_step, NULL};

/* Most that is sent need not wait. Returns the number of results, or 0. */
static int send_now(lua_State *L, struct msgsock *s, const struct addr *to) {
  struct iovec iov;
  struct sock_msg m;
  ssize_t n;
  if (s->writer.owner != NULL || !task_quick(L, lmsg_core(s)))
    return 0;
  m.iov = &iov;
  m.niov = 1;
  m.controllen = 0;
  m.addr = *to;
  iov.iov_base = (void *)lua_tolstring(L, 2, &iov.iov_len);
  n = msgsock_send(s, &m);
  if (n == -EAGAIN)
    return 0;
  return n >= 0 ? sent(L, s, iov.iov_len, lua_gettop(L) - 2)
                : failed(L, s, (int)n, "sendto", to);
}

static int l_sendto(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  struct addr to;
  int n;
  if (s == NULL)
    return 3;
  luaL_checktype(L, 2, LUA_TSTRING);
  n = lmsg_addrvalues(s);
  if (n == 0)
    return luaL_error(L, "a neap.%s has no addresses to send to: use send",
                      msgsock_kindname(s));
  lua_settop(L, 2 + n);
  n = lmsg_toaddr(L, s, 3, &to);
  if (n == LMSG_ISNAME || must_retry(s, &to))
    return lmsg_slow(L, "sendto");
  if (n < 0)
    return failed(L, s, n, "sendto", NULL);
  n = send_now(L, s, &to);
  return n > 0 ? n : neap_opon(L, lmsg_core(s), &sendto_op, s, s->timeout);
}

/* message_sendto(sock, data, address...): for the slow one, which has looked up
 * the name, and tries again by itself. */
int lmsg_sendto_once(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  struct addr to;
  if (s == NULL)
    return 3;
  lua_settop(L, 2 + lmsg_addrvalues(s));
  if (lmsg_toaddr(L, s, 3, &to) == LMSG_ISNAME)
    return luaL_argerror(L, 3, "not a numeric address");
  return neap_opon(L, lmsg_core(s), &sendto_op, s, s->timeout);
}

/* ---- sendmsg(data, info) ---- */

enum { SLOT_DATA = 2, SLOT_ADDR, SLOT_CONTROL, SLOT_SEGMENT };
enum { MOST_BYTES = 65000, MOST_SEGMENTS = 64 }; /* for the kernel to cut */

/* With the length of the segments, which the kernel is to cut it into. */
static size_t add_segment(char *control, size_t len, uint16_t segment) {
  const struct cmsg_row *row = cmsg_named("UDP_SEGMENT");
  struct cmsg_value v;
  char bytes[CMSG_ENCODED];
  struct cmsg_item item;
  int n;
  memset(&v, 0, sizeof v);
  v.number = segment;
  n = row != NULL ? cmsg_encode(row, &v, bytes) : -EINVAL;
  if (n < 0)
    return len;
  item.level = row->level;
  item.type = row->type;
  item.data = bytes;
  item.len = (size_t)n;
  cmsg_put(control, &len, &item);
  return len;
}

/* How much goes next, of what is left. */
static size_t chunk(const struct msgsock *s, size_t left, size_t segment) {
  size_t most = MOST_BYTES / segment;
  if (most > MOST_SEGMENTS)
    most = MOST_SEGMENTS;
  if (s->whole || most == 0)
    most = 1;
  return left < most * segment ? left : most * segment;
}

/* The kernel, or the device, does not know how to cut. */
static bool cannot_cut(int err) {
  return err == -EINVAL || err == -EIO || err == -EOPNOTSUPP ||
         err == -ENOPROTOOPT || err == -EMSGSIZE;
}

static ssize_t send_chunk(struct msgsock *s, struct sock_msg *m,
                          const char *given, size_t givenlen, size_t segment) {
  _Alignas(16) char control[LMSG_CONTROL + 64];
  ssize_t n;
  m->control = (void *)given;
  m->controllen = givenlen;
  if (segment == 0 || m->iov->iov_len <= segment)
    return msgsock_send(s, m);
  memset(control, 0, sizeof control);
  if (givenlen > 0)
    memcpy(control, given, givenlen);
  m->control = control;
  m->controllen = add_segment(control, givenlen, (uint16_t)segment);
  n = msgsock_send(s, m);
  if (n < 0 && cannot_cut((int)n)) {
    bool toolong = n == -EMSGSIZE; /* these segments are, not all */
    m->iov->iov_len = segment;
    m->control = (void *)given;
    m->controllen = givenlen;
    n = msgsock_send(s, m);
    s->whole = !toolong && (n >= 0 || n == -EAGAIN);
  }
  return n;
}

/* Its segments went out, or the whole. */
static int sendmsg_failed(lua_State *L, struct msgsock *s, int err,
                          const struct addr *to, const struct wait *w) {
  int n = failed(L, s, err, "sendmsg", to);
  if (w->progress == 0)
    return n;
  lua_pushinteger(L, (lua_Integer)w->progress);
  return n + 1;
}

/* As many datagrams as it was cut into. */
static int sent_segments(lua_State *L, struct msgsock *s, struct addr *to,
                         size_t segment) {
  size_t len, at;
  const char *data = lua_tolstring(L, SLOT_DATA, &len);
  int values = to->len > 0 ? lmsg_pushaddr(L, s, to) : 0;
  for (at = 0; at < len; at += segment) {
    size_t n = len - at < segment ? len - at : segment;
    s->sent++;
    s->sentbytes += n;
    if (s->tapped) {
      int i;
      lua_pushlstring(L, data + at, n);
      for (i = 1; i <= values; i++)
        lua_pushvalue(L, SLOT_DATA + i);
      lmsg_tell(L, s, "out", values);
      lua_settop(L, SLOT_DATA + values);
    }
  }
  lua_settop(L, 1);
  return 1;
}

static int sendmsg_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  size_t len, alen, clen, segment = (size_t)lua_tointeger(L, SLOT_SEGMENT);
  const char *data = lua_tolstring(L, SLOT_DATA, &len);
  const char *address = lua_tolstring(L, SLOT_ADDR, &alen);
  const char *control = lua_tolstring(L, SLOT_CONTROL, &clen);
  struct iovec iov;
  struct sock_msg m = {.iov = &iov, .niov = 1, .addr.len = 0};
  int err = lmsg_writing(L, c, w, s, "sendmsg");
  if (err != 0)
    return err;
  if (address != NULL)
    addr_raw(&m.addr, address, alen);
  do {
    size_t left = len - w->progress;
    ssize_t n;
    iov.iov_base = (void *)(data + w->progress);
    iov.iov_len = segment > 0 ? chunk(s, left, segment) : left;
    n = send_chunk(s, &m, control, control != NULL ? clen : 0, segment);
    if (n == -EAGAIN && !must_retry(s, address != NULL ? &m.addr : NULL))
      return lmsg_awaitout(L, c, w, s, "sendmsg");
    if (n < 0)
      return sendmsg_failed(L, s, (int)n, &m.addr, w);
    w->progress += iov.iov_len;
  } while (w->progress < len);
  lua_settop(L, SLOT_DATA);
  if (segment > 0 && len > segment)
    return sent_segments(L, s, &m.addr, segment);
  return sent(L, s, len, address != NULL ? lmsg_pushaddr(L, s, &m.addr) : 0);
}

static int begin_sendmsg(lua_State *L, bool once) {
  static const struct op op = {"sendmsg", sendmsg_step, NULL};
  struct msgsock *s = lmsg_open(L);
  int err;
  if (s == NULL)
    return 3;
  luaL_checktype(L, 2, LUA_TSTRING);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  err = lmsg_prepare(L, s);
  if (!once && (err == LMSG_ISNAME ||
                (s->kind == MSGSOCK_UNIX && !lua_isnil(L, SLOT_ADDR)))) {
    if (err == 0) { /* as it was given */
      lua_replace(L, SLOT_ADDR);
      lua_settop(L, SLOT_ADDR);
    }
    return lmsg_slow(L, "sendmsg");
  }
  if (err == 0 && lua_isnil(L, SLOT_CONTROL))
    lmsg_checkempty(L, s, SLOT_DATA);
  if (err == LMSG_ISNAME)
    return luaL_argerror(L, 3, "'ip' is not a numeric address");
  if (err == -ENODEV) {
    lua_getfield(L, 3, "interface");
    return neap_failf(L, err, "sendmsg by %s", luaL_tolstring(L, -1, NULL));
  }
  if (err < 0)
    return neap_fail(L, err, "sendmsg");
  return neap_opon(L, lmsg_core(s), &op, s, s->timeout);
}

static int l_sendmsg(lua_State *L) {
  return begin_sendmsg(L, false);
}

/* message_sendmsg(sock, data, info): as message_sendto. */
int lmsg_sendmsg_once(lua_State *L) {
  return begin_sendmsg(L, true);
}

const luaL_Reg lmsgsend_methods[] = {
  {"send",    l_send   },
  {"sendto",  l_sendto },
  {"sendmsg", l_sendmsg},
  {NULL,      NULL     }
};
