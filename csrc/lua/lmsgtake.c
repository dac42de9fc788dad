/* SPDX-License-Identifier: MIT
 * Message sockets for those who make other sockets of them: what is there is
 * taken, what has room is put, and neither ever waits, not even for a turn;
 * addresses stay as the kernel has them. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lua/lmsg.h"
#include "sys/fd.h"

/* ---- taking ---- */

/* message_take(sock, whether all that is known is wanted): the next message,
 * its sender's address as bytes [, the table of receivemsg]; nothing if none
 * is there; nil, message, code. */
static int l_take(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  _Alignas(16) char control[LMSG_CONTROL];
  bool all = lua_toboolean(L, 2);
  struct iovec iov;
  struct sock_msg m = {.iov = &iov, .niov = 1};
  ssize_t n;
  if (s == NULL)
    return 3;
  m.control = control;
  m.controllen = all ? sizeof control : 0;
  iov.iov_len = s->maxmessage;
  iov.iov_base = core_room(L, lmsg_core(s), iov.iov_len);
  n = msgsock_recv(s, &m);
  if (n == -EAGAIN) {
    s->watch.ready &= (uint8_t)~POLLER_IN;
    return 0;
  }
  if (n < 0)
    return lmsg_fail(L, s, (int)n, "receive");
  s->received++;
  s->receivedbytes += (size_t)n;
  if ((size_t)n < iov.iov_len)
    iov.iov_len = (size_t)n;
  lua_pushlstring(L, iov.iov_base, iov.iov_len);
  lua_pushlstring(L, (const char *)&m.addr.u, m.addr.len);
  if (!all)
    return 2;
  lmsg_pushinfo(L, s, &m, (size_t)n, iov.iov_len);
  return 3;
}

/* message_await(sock, seconds): until there may be something to be taken. One
 * task for each socket. True, or nil, message, code. */
static int await_step(lua_State *L, struct core *c, struct wait *w) {
  struct msgsock *s = lmsg_of(w);
  int err;
  if (!msgsock_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return neap_fail(L, w->result, "receive");
  if (w->progress++ > 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  msgsock_calm(s);
  err = await_watch(c, w, &s->watch, POLLER_IN);
  return err < 0 ? neap_fail(L, err, "receive") : OP_WAIT;
}

static int l_await(lua_State *L) {
  static const struct op op = {"receive", await_step, NULL};
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  return neap_opon(L, lmsg_core(s), &op, s, neap_opttimeout(L, 2));
}

/* message_wake(sock): that task goes on. */
static int l_wake(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  if (s != NULL && s->watch.rd != NULL)
    loop_wake(s->loop, s->watch.rd, 0);
  return 0;
}

/* ---- putting ---- */

/* message_put(sock, data[, address[, control]]): true, or nil, message, code:
 * "EAGAIN" if there is no room. */
static int l_put(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  struct iovec iov;
  struct sock_msg m = {.iov = &iov, .niov = 1};
  size_t len;
  const char *address;
  ssize_t n;
  if (s == NULL)
    return 3;
  iov.iov_base = (void *)luaL_checklstring(L, 2, &iov.iov_len);
  address = luaL_optlstring(L, 3, NULL, &len);
  if (address != NULL)
    addr_raw(&m.addr, address, len);
  m.control = (void *)luaL_optlstring(L, 4, NULL, &m.controllen);
  n = msgsock_send(s, &m);
  if (n < 0)
    return lmsg_fail(L, s, (int)n, "send");
  s->sent++;
  s->sentbytes += (size_t)n;
  lua_pushboolean(L, 1);
  return 1;
}

/* message_route(sock, "", info): what sendmsg makes of such a table: address
 * and control as bytes, each nil if there is nothing; or nil, message, code. */
static int l_route(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  int err;
  if (s == NULL)
    return 3;
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  err = lmsg_prepare(L, s);
  if (err == LMSG_ISNAME)
    return luaL_argerror(L, 3, "'ip' is not a numeric address");
  if (err < 0)
    return neap_fail(L, err, "sendmsg");
  lua_settop(L, 4);
  return 2;
}

/* message_address(sock, address as bytes): as receive tells of it. */
static int l_address(lua_State *L) {
  struct msgsock *s = lmsg_check(L);
  struct addr a;
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  addr_raw(&a, bytes, len);
  return lmsg_pushaddr(L, s, &a);
}

/* ---- and for those who call back ---- */

/* unwaiting(fn, ...): as pcall, but that fn cannot wait. */
static int l_unwaiting(lua_State *L) {
  struct core *c = neap_core(L);
  bool driven = c->driving;
  int err;
  luaL_checkany(L, 1);
  c->driving = true;
  err = lua_pcall(L, lua_gettop(L) - 1, 0, 0);
  c->driving = driven;
  lua_pushboolean(L, err == LUA_OK);
  lua_insert(L, 1);
  return lua_gettop(L);
}

/* process(): a number that a child after fork has another of. */
static int l_process(lua_State *L) {
  lua_pushinteger(L, sys_pid());
  return 1;
}

const luaL_Reg lmsgtake_functions[] = {
  {"message_take",    l_take     },
  {"message_await",   l_await    },
  {"message_wake",    l_wake     },
  {"message_put",     l_put      },
  {"message_route",   l_route    },
  {"message_address", l_address  },
  {"unwaiting",       l_unwaiting},
  {"process",         l_process  },
  {NULL,              NULL       }
};
