/* SPDX-License-Identifier: MIT
 * What only packet sockets have: where a packet came from, rings, fanout,
 * statistics. */
#include "sys/packet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lua/lmsg.h"
#include "lua/lpacket.h"
#include "sys/iface.h"
#include "sys/fd.h"

/* ---- what is said of a packet ---- */

static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

void lmsg_setpacket(lua_State *L, struct msgsock *s, const struct addr *a) {
  struct packet_from from;
  const char *type;
  if (!packet_from(a, &from))
    return;
  set_integer(L, "ifindex", from.ifindex);
  lmsg_pushinterface(L, lmsg_core(s), from.ifindex);
  lua_setfield(L, -2, "interface");
  set_integer(L, "protocol", from.protocol);
  set_integer(L, "hatype", from.hatype);
  lmsg_pushmac(L, from.mac, from.maclen);
  lua_setfield(L, -2, "mac");
  type = packet_typename(from.type);
  if (type != NULL) {
    lua_pushstring(L, type);
    lua_setfield(L, -2, "type");
  }
}

void lpacket_setring(lua_State *L, const struct ring_packet *p) {
  set_integer(L, "length", (int64_t)p->length);
  if (p->snaplen < p->length) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "truncated");
  }
  set_integer(L, p->hardware ? "hwtimestamp" : "timestamp",
              p->sec * 1000000000 + p->nsec);
  if (p->has_vlan)
    set_integer(L, "vlan", p->vlan);
  if (p->has_tpid)
    set_integer(L, "vlan_tpid", p->tpid);
}

/* ---- the ring ---- */

ssize_t lpacket_recv(struct msgsock *s, struct sock_msg *m,
                     struct ring_packet *p) {
  if (!ring_next(s->ring, p)) {
    int err = sys_error(s->watch.fd);
    return err < 0 ? err : -EAGAIN;
  }
  m->iov->iov_base = (void *)p->data;
  m->iov->iov_len = p->snaplen;
  m->niov = 1;
  m->addr = p->addr;
  m->controllen = 0;
  m->flags = 0;
  return (ssize_t)p->snaplen;
}

/* In place: what is there of one block, which is given back when the first
 * packet of the next is asked for. */
int lpacket_recvmany(struct msgsock *s, struct sock_one *ones, int n) {
  struct ring_packet p;
  int i;
  for (i = 0; i < n; i++) {
    if ((i > 0 && s->ring->left == 0) || !ring_next(s->ring, &p))
      break;
    ones[i].iov.iov_base = (void *)p.data;
    ones[i].iov.iov_len = ones[i].len = p.snaplen;
    ones[i].segment = 0;
    ones[i].addr = p.addr;
  }
  if (i == 0) {
    int err = sys_error(s->watch.fd);
    return err < 0 ? err : -EAGAIN;
  }
  return i;
}

/* ---- making ---- */

/* packet(cooked, options): it receives nothing yet. */
static int l_packet(lua_State *L) {
  bool cooked = lua_toboolean(L, 1);
  struct msgsock *s = lmsg_new(L, neap_core(L), MSGSOCK_PACKET, 2);
  int fd = packet_open(cooked);
  if (fd < 0)
    return neap_fail(L, fd, "socket");
  msgsock_open(s, fd, packet_family());
  s->cooked = cooked;
  return 1;
}

static struct msgsock *check_packet(lua_State *L, const char *operation) {
  struct msgsock *s = lmsg_open(L);
  if (s != NULL && s->kind != MSGSOCK_PACKET) {
    neap_fail(L, -EOPNOTSUPP, operation);
    return NULL;
  }
  return s;
}

static lua_Integer option(lua_State *L, int at, const char *name) {
  lua_Integer n = 0;
  if (lua_getfield(L, at, name) != LUA_TNIL)
    n = neap_checkint(L, lua_gettop(L), 0, INT32_MAX);
  lua_pop(L, 1);
  return n;
}

/* packet_ring(sock, { block_size =, blocks =, timeout = }), timeout in ms */
static int l_packet_ring(lua_State *L) {
  struct msgsock *s = check_packet(L, "ring");
  struct ring_config config;
  struct ring *r;
  int err;
  if (s == NULL)
    return 3;
  luaL_checktype(L, 2, LUA_TTABLE);
  config.block_size = (size_t)option(L, 2, "block_size");
  config.blocks = (unsigned)option(L, 2, "blocks");
  config.timeout = (unsigned)option(L, 2, "timeout");
  r = calloc(1, sizeof *r);
  if (r == NULL)
    return neap_fail(L, -ENOMEM, "ring");
  err = ring_open(r, s->watch.fd, &config);
  if (err < 0) {
    free(r);
    return neap_fail(L, err, "ring");
  }
  s->ring = r;
  return neap_result(L, 0, NULL);
}

/* packet_bind(sock, interface or nil, protocol) */
static int l_packet_bind(lua_State *L) {
  struct msgsock *s = check_packet(L, "bind");
  unsigned protocol = (unsigned)neap_checkint(L, 3, 0, 65535);
  int index;
  if (s == NULL)
    return 3;
  index = lmsg_checkinterface(L, 2);
  s->protocol = (uint16_t)protocol;
  if (index < 0)
    return neap_fail(L, index, "bind");
  return neap_result(
    L, packet_bind(s->watch.fd, (unsigned)index, (uint16_t)protocol), "bind");
}

/* linktype(ifindex): the kind of its link layer, ARPHRD_... */
static int l_linktype(lua_State *L) {
  int type = iface_linktype((unsigned)neap_checkint(L, 1, 1, INT32_MAX));
  if (type < 0)
    return neap_fail(L, type, "linktype");
  lua_pushinteger(L, type);
  return 1;
}

/* packet_promiscuous(sock, interface, on) */
static int l_packet_promiscuous(lua_State *L) {
  struct msgsock *s = check_packet(L, "promiscuous");
  int index;
  if (s == NULL)
    return 3;
  index = lmsg_checkinterface(L, 2);
  if (index > 0)
    index =
      packet_promiscuous(s->watch.fd, (unsigned)index, lua_toboolean(L, 3));
  return neap_result(L, index, "promiscuous");
}

/* packet_fanout(sock, group, mode, flags) */
static int l_packet_fanout(lua_State *L) {
  struct msgsock *s = check_packet(L, "fanout");
  uint16_t group = (uint16_t)neap_checkint(L, 2, 0, 65535);
  int mode = packet_fanoutmode(luaL_checkstring(L, 3));
  int flags = (int)neap_checkint(L, 4, 0, 65535);
  luaL_argcheck(L, mode >= 0, 3, "no such mode");
  if (s == NULL)
    return 3;
  return neap_result(L, packet_fanout(s->watch.fd, group, mode, flags),
                     "fanout");
}

static int l_statistics(lua_State *L) {
  struct msgsock *s = check_packet(L, "statistics");
  struct packet_stats stats;
  int err;
  if (s == NULL)
    return 3;
  err = packet_statistics(s->watch.fd, &stats);
  if (err < 0)
    return lmsg_fail(L, s, err, "statistics");
  lua_createtable(L, 0, 3);
  set_integer(L, "packets", stats.packets);
  set_integer(L, "drops", stats.drops);
  set_integer(L, "freezes", stats.freezes);
  return 1;
}

const luaL_Reg lpacket_methods[] = {
  {"statistics", l_statistics},
  {NULL,         NULL        }
};

void neap_open_packet(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"packet",             l_packet            },
    {"packet_ring",        l_packet_ring       },
    {"packet_bind",        l_packet_bind       },
    {"packet_promiscuous", l_packet_promiscuous},
    {"packet_fanout",      l_packet_fanout     },
    {"linktype",           l_linktype          },
    {NULL,                 NULL                }
  };
  neap_setfuncs(L, functions);
}
