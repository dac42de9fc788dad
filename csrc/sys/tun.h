/* SPDX-License-Identifier: MIT
 * Interfaces whose other end is a descriptor: what the system sends by one is
 * read from it, what is written to it arrives there. One read or write is one
 * packet (or frame). Each call returns >= 0 or -errno; -ENOTSUP where the
 * system has none. */
#ifndef NEAP_SYS_TUN_H
#define NEAP_SYS_TUN_H

#include <stdbool.h>

#include "sys/ifaddr.h"

enum {
  TUN_TAP = 1,        /* frames with an Ethernet header, not IP packets */
  TUN_MULTIQUEUE = 2, /* opened several times, they share the packets */
  TUN_EXCLUSIVE = 4   /* only a new interface */
};

/* Makes the interface of this name, or takes one that persists and that no
 * one has open. "": the system's choice; "tun%d": with a number that is free;
 * the name is filled in. No header comes before a packet. The interface goes
 * with the descriptor, which is close-on-exec and does not block, unless it
 * persists. -EBUSY if it is in use, or exclusive and there; -EINVAL for a
 * name that cannot be, or one of another mode; -ENOENT or -ENODEV if the
 * machine has no device, -EPERM. */
int tun_open(char name[IF_NAMELEN], int flags);

/* What a descriptor that was inherited belongs to, and its flags (TUN_TAP).
 * -EINVAL if headers come before its packets, or it is no such descriptor. */
int tun_name(int fd, char name[IF_NAMELEN]);

/* Whether the interface outlives its descriptor. */
int tun_persist(int fd, bool on);

/* Who may open it without privileges, once it persists. */
int tun_owner(int fd, unsigned uid);

/* Removes one that persists and that no one has open, of either mode. */
int tun_remove(const char *name);

#endif
