/* SPDX-License-Identifier: MIT
 * Message sockets are bound, connected and tuned; multicast groups; filters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "lua/lfilter.h"
#include "lua/lmsg.h"
#include "lua/lsockopt.h"
#include "sys/fd.h"
#include "sys/filter.h"
#include "sys/mcast.h"

static int self(lua_State *L, struct msgsock *s, int err, const char *name,
                const struct addr *a) {
  char text[ADDR_TEXTLEN];
  if (err < 0 && a != NULL && a->len > 0)
    return neap_failf(L, err, "%s %s", name, lmsg_addrtext(a, text));
  if (err < 0)
    return lmsg_fail(L, s, err, name);
  lua_settop(L, 1);
  return 1;
}

/* ---- addresses of its own ---- */

/* bind(address...), or for a Unix path bind(path, mode) */
static int l_bind(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  struct addr a;
  int err, mode = -1;
  if (s == NULL)
    return 3;
  if (s->kind == MSGSOCK_SEQPACKET || s->kind == MSGSOCK_TUN ||
      s->kind == MSGSOCK_PACKET)
    return lmsg_fail(L, s, -EOPNOTSUPP, "bind");
  if (s->kind == MSGSOCK_UNIX && !lua_isnoneornil(L, 3))
    mode = (int)neap_checkint(L, 3, 0, 0777);
  err = lmsg_toaddr(L, s, 2, &a);
  if (err == LMSG_ISNAME)
    return lmsg_slow(L, "bind");
  if (err < 0)
    return lmsg_fail(L, s, err, "bind");
  if (s->kind != MSGSOCK_UNIX)
    return self(L, s, sock_bind(s->watch.fd, &a), "bind", &a);
  s->own = s->own != NULL ? s->own : calloc(1, sizeof *s->own);
  err = s->own != NULL ? ownpath_bind(s->own, s->watch.fd, &a, mode) : -ENOMEM;
  return self(L, s, err, "bind", &a);
}

/* connect(address...): only what comes from there is received from now on.
 * connect(): from everywhere again. No message goes over the network. */
static int l_connect(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  struct addr a;
  int err;
  if (s == NULL)
    return 3;
  if (s->kind == MSGSOCK_TUN || s->kind == MSGSOCK_PACKET)
    return lmsg_fail(L, s, -EOPNOTSUPP, "connect");
  if (lua_gettop(L) == 1 || lua_isnil(L, 2)) {
    /* Linux would never give a raw one anything again. */
    err = s->kind == MSGSOCK_RAW ? -EOPNOTSUPP : sock_disconnect(s->watch.fd);
    if (err == 0)
      s->connected = false;
    return self(L, s, err, "connect", NULL);
  }
  if (s->kind == MSGSOCK_SEQPACKET)
    err = lmsg_topath(L, 2, &a);
  else
    err = lmsg_toaddr(L, s, 2, &a);
  if (err == LMSG_ISNAME)
    return lmsg_slow(L, "connect");
  if (err == 0)
    err = sock_connect(s->watch.fd, &a);
  if (err == 0)
    s->connected = true;
  return self(L, s, err, "connect", &a);
}

static int push_name(lua_State *L, bool peer) {
  struct msgsock *s = lmsg_open(L);
  struct addr a;
  int err;
  if (s == NULL)
    return 3;
  err = s->kind == MSGSOCK_TUN ? -EOPNOTSUPP
        : peer                 ? sock_peername(s->watch.fd, &a)
                               : sock_name(s->watch.fd, &a);
  if (err < 0)
    return neap_fail(L, err, peer ? "getpeername" : "getsockname");
  if (s->kind != MSGSOCK_SEQPACKET)
    return lmsg_pushaddr(L, s, &a);
  return laddr_push(L, &a);
}

static int l_getsockname(lua_State *L) {
  return push_name(L, false);
}

static int l_getpeername(lua_State *L) {
  return push_name(L, true);
}

static int l_shutdown(lua_State *L) {
  static const char *const names[] = {"r", "w", "rw", NULL};
  int how = luaL_checkoption(L, 2, NULL, names);
  struct msgsock *s = lmsg_open(L);
  int err;
  if (s == NULL)
    return 3;
  err = sys_shutdown(s->watch.fd, how);
  if (err == 0 && how != 1 && !s->ended) {
    s->ended = true; /* the poller would report it for ever */
    s->watch.ready |= POLLER_IN;
    if (s->watch.rd != NULL)
      loop_wake(s->loop, s->watch.rd, 0);
  }
  return self(L, s, err, "shutdown", NULL);
}

/* ---- options ---- */

/* What changes how it is read. */
static void noticed(lua_State *L, struct msgsock *s) {
  const char *name = lua_tostring(L, 2);
  bool on = lua_isboolean(L, 3) ? lua_toboolean(L, 3) : lua_tointeger(L, 3);
  if (strcmp(name, "IP_RECVERR") == 0 || strcmp(name, "IPV6_RECVERR") == 0 ||
      strcmp(name, "SO_TIMESTAMPING") == 0)
    s->errqueue = s->errqueue || on;
  if (strcmp(name, "UDP_GRO") == 0) {
    s->gro = s->joined = on;
    s->apart = !on;
  }
}

static int l_setsockopt(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  int n;
  if (s == NULL)
    return 3;
  n = lsockopt_set(L, s->watch.fd, 2);
  if (n == 3)
    return n;
  noticed(L, s);
  lua_settop(L, 1);
  return 1;
}

static int l_getsockopt(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  return s == NULL ? 3 : lsockopt_get(L, s->watch.fd, 2);
}

/* ---- multicast ---- */

static int numeric(lua_State *L, int arg, struct addr *a) {
  size_t len;
  const char *ip = luaL_checklstring(L, arg, &len);
  int err = addr_ip(a, ip, len, 0);
  if (err == -EINVAL)
    luaL_argerror(L, arg, "numeric address expected");
  return err;
}

/* (group, interface, source): the interface by name or number, nil for the
 * system's choice; without a source, from any. */
static int change(lua_State *L, const char *name, enum mcast_op op) {
  struct msgsock *s = lmsg_open(L);
  struct addr group, source;
  bool from = !lua_isnoneornil(L, 4);
  int index, err;
  if (s == NULL)
    return 3;
  err = numeric(L, 2, &group);
  index = lmsg_checkinterface(L, 3);
  if (from && err == 0)
    err = numeric(L, 4, &source);
  else if (op == MCAST_BLOCK || op == MCAST_UNBLOCK)
    luaL_argerror(L, 4, "source address expected");
  if (s->family == AF_INET && addr_family(&group) == AF_INET6)
    luaL_argerror(L, 2, "the group is of another family");
  if (index < 0)
    return neap_failf(L, index, "%s %s by %s", name, lua_tostring(L, 2),
                      luaL_tolstring(L, 3, NULL));
  if (err == 0)
    err = mcast_change(s->watch.fd, op, (unsigned)index, &group,
                       from ? &source : NULL);
  return self(L, s, err, name, &group);
}

static int l_join(lua_State *L) {
  return change(L, "join", MCAST_JOIN);
}

static int l_leave(lua_State *L) {
  return change(L, "leave", MCAST_LEAVE);
}

static int l_block(lua_State *L) {
  return change(L, "block", MCAST_BLOCK);
}

static int l_unblock(lua_State *L) {
  return change(L, "unblock", MCAST_UNBLOCK);
}

/* message_multicast_interface(sock, interface): by which it sends to groups. */
int lmsg_multicast_interface(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  int err;
  if (s == NULL)
    return 3;
  err = lmsg_checkinterface(L, 2);
  if (err < 0)
    return neap_failf(L, err, "multicast_interface %s",
                      luaL_tolstring(L, 2, NULL));
  if (err >= 0)
    err = mcast_sendby(s->watch.fd, s->family, (unsigned)err);
  return self(L, s, err, "multicast_interface", NULL);
}

/* ifindex(name): an interface's number. */
int lmsg_ifindex(lua_State *L) {
  int index = lmsg_checkinterface(L, 1);
  if (index < 0)
    return neap_failf(L, index, "interface %s", lua_tostring(L, 1));
  lua_pushinteger(L, index);
  return 1;
}

/* ---- filters ---- */

/* attachfilter(program): a list of instructions, or the descriptor of one of
 * eBPF. */
static int l_attachfilter(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  const struct bpf_instr *program;
  size_t n;
  int err;
  if (s == NULL)
    return 3;
  if (lua_isinteger(L, 2)) {
    err = sys_attachbpf(s->watch.fd, (int)neap_checkint(L, 2, 0, INT32_MAX));
  } else {
    n = lfilter_read(L, 2, &program);
    err = sys_attachfilter(s->watch.fd, program, n);
  }
  return self(L, s, err, "attachfilter", NULL);
}

static int l_detachfilter(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  return self(L, s, sys_detachfilter(s->watch.fd), "detachfilter", NULL);
}

const luaL_Reg lmsgopt_methods[] = {
  {"bind",         l_bind        },
  {"connect",      l_connect     },
  {"getsockname",  l_getsockname },
  {"getpeername",  l_getpeername },
  {"shutdown",     l_shutdown    },
  {"setsockopt",   l_setsockopt  },
  {"getsockopt",   l_getsockopt  },
  {"join",         l_join        },
  {"leave",        l_leave       },
  {"block",        l_block       },
  {"unblock",      l_unblock     },
  {"attachfilter", l_attachfilter},
  {"detachfilter", l_detachfilter},
  {NULL,           NULL          }
};
