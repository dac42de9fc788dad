/* SPDX-License-Identifier: MIT
 * What came with a message, as a table. */
#include <string.h>

#include "lua/lmsg.h"

/* ---- received ---- */

static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_true(lua_State *L, const char *name) {
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}

static void set_ip(lua_State *L, const char *name, struct addr *a) {
  char ip[ADDR_IPLEN];
  int n;
  addr_unmap(a);
  n = a->len > 0 ? addr_iptext(a, ip) : -1;
  if (n < 0)
    return;
  lua_pushlstring(L, ip, (size_t)n);
  lua_setfield(L, -2, name);
}

static void set_interface(lua_State *L, struct msgsock *s, unsigned ifindex) {
  set_integer(L, "ifindex", ifindex);
  lmsg_pushinterface(L, lmsg_core(s), ifindex);
  lua_setfield(L, -2, "interface");
}

/* Ours to answer from is no group's address. */
static void set_pktinfo(lua_State *L, struct msgsock *s, struct cmsg_value *v) {
  const struct in6_addr *in6 = &v->addr.u.in6.sin6_addr;
  set_interface(L, s, v->ifindex);
  if (addr_family(&v->addr) == AF_INET6 && !IN6_IS_ADDR_MULTICAST(in6) &&
      !IN6_IS_ADDR_V4MAPPED(in6)) /* of which IP_PKTINFO tells */
    v->local = v->addr;
  set_ip(L, "local_ip", &v->local);
  set_ip(L, "destination", &v->addr);
}

static void set_times(lua_State *L, const struct cmsg_value *v) {
  if (v->seconds != 0 || v->nanoseconds != 0)
    set_integer(L, "timestamp", v->seconds * 1000000000 + v->nanoseconds);
  if (v->rawseconds != 0 || v->rawnanoseconds != 0)
    set_integer(L, "hwtimestamp",
                v->rawseconds * 1000000000 + v->rawnanoseconds);
}

static void set_fds(lua_State *L, const struct cmsg_item *item,
                    const char *name) {
  size_t i, n = item->len / sizeof(int);
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    int fd;
    memcpy(&fd, (const char *)item->data + i * sizeof fd, sizeof fd);
    lua_pushinteger(L, fd);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, name);
}

static void set_cred(lua_State *L, const struct cmsg_value *v) {
  lua_createtable(L, 0, 3);
  set_integer(L, "pid", v->cred.pid);
  set_integer(L, "uid", v->cred.uid);
  set_integer(L, "gid", v->cred.gid);
  lua_setfield(L, -2, "credentials");
}

static void set_auxdata(lua_State *L, const struct cmsg_value *v) {
  set_integer(L, "length", v->length);
  if (v->snaplen < v->length)
    set_true(L, "truncated");
  if (v->vlan >= 0)
    set_integer(L, "vlan", v->vlan);
  if (v->vlan_tpid >= 0)
    set_integer(L, "vlan_tpid", v->vlan_tpid);
}

static const char *const plain[][2] = {
  {"IP_TTL",            "ttl"     },
  {"IPV6_HOPLIMIT",     "ttl"     },
  {"SO_RXQ_OVFL",       "drops"   },
  {"UDP_GRO",           "segment" },
  {"IP_RECVFRAGSIZE",   "fragment"},
  {"IPV6_RECVFRAGSIZE", "fragment"},
};

static void set_plain(lua_State *L, const struct cmsg_row *row,
                      const struct cmsg_value *v) {
  size_t i;
  if (strcmp(row->name, "IP_TOS") == 0 ||
      strcmp(row->name, "IPV6_TCLASS") == 0) {
    set_integer(L, "tos", v->number);
    set_integer(L, "ecn", v->number & 3);
    return;
  }
  for (i = 0; i < countof(plain); i++)
    if (strcmp(row->name, plain[i][0]) == 0)
      set_integer(L, plain[i][1], v->number);
}

static void set_item(lua_State *L, struct msgsock *s,
                     const struct cmsg_item *item) {
  const struct cmsg_row *row = cmsg_find(item->level, item->type);
  struct cmsg_value v;
  if (row == NULL || !cmsg_decode(row, item, &v))
    return;
  switch (row->kind) {
  case CMSG_KIND_FDS:
    set_fds(L, item,
            item->type == SCM_RIGHTS ? "fds" : "pidfds"); /* both may come */
    break;
  case CMSG_KIND_CRED:
    set_cred(L, &v);
    break;
  case CMSG_KIND_TIME:
  case CMSG_KIND_TIMES:
    set_times(L, &v);
    break;
  case CMSG_KIND_PKTINFO:
    set_pktinfo(L, s, &v);
    break;
  case CMSG_KIND_AUXDATA:
    set_auxdata(L, &v);
    break;
  default:
    set_plain(L, row, &v);
    break;
  }
}

static void set_sender(lua_State *L, struct msgsock *s, struct addr *a) {
  static const char *const names[][2] = {
    [MSGSOCK_UDP] = {"ip",   "port"},
    [MSGSOCK_UNIX] = {"path", NULL  },
    [MSGSOCK_RAW] = {"ip",   NULL  },
    [MSGSOCK_TUN] = {NULL,   NULL  },
  };
  int n;
  if (s->kind == MSGSOCK_PACKET) {
    lmsg_setpacket(L, s, a);
    return;
  }
  n = lmsg_pushaddr(L, s, a);
  for (; n > 0; n--)
    lua_setfield(L, -n - 1, names[s->kind][n - 1]);
}

void lmsg_pushinfo(lua_State *L, struct msgsock *s, struct sock_msg *m,
                   size_t length, size_t have) {
  struct cmsg_item item;
  size_t at = 0;
  lua_createtable(L, 0, 10);
  set_sender(L, s, &m->addr);
  set_integer(L, "length", (int64_t)length);
  if (length > have)
    set_true(L, "truncated");
  if (m->flags & MSG_CTRUNC)
    set_true(L, "control_truncated");
  while (cmsg_next(m->control, m->controllen, &at, &item))
    set_item(L, s, &item);
}
