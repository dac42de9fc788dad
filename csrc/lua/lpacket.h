/* SPDX-License-Identifier: MIT
 * Packet sockets: what the methods of all message sockets ask of them. */
#ifndef NEAP_LUA_LPACKET_H
#define NEAP_LUA_LPACKET_H

#include "lua/lmsg.h"
#include "sys/packet.h"

/* The next packet of the ring, in place. Returns its length, -EAGAIN or
 * -errno. */
ssize_t lpacket_recv(struct msgsock *s, struct sock_msg *m,
                     struct ring_packet *p);

/* As sock_recvmany, but that the bytes are in the ring until the next call. */
int lpacket_recvmany(struct msgsock *s, struct sock_one *ones, int n);

/* Sets what the ring says of a packet in the table on top. */
void lpacket_setring(lua_State *L, const struct ring_packet *p);

extern const luaL_Reg lpacket_methods[];

#endif
