/* SPDX-License-Identifier: MIT
 * One network interface: its number and name, and what it can be told without
 * another program. Each call returns >= 0 or -errno: -ENODEV if there is none
 * of this name, -EPERM, -ENOTSUP where the system has no such call. */
#ifndef NEAP_SYS_IFACE_H
#define NEAP_SYS_IFACE_H

#include <stdbool.h>
#include <stddef.h>

#include "sys/addr.h"
#include "sys/ifaddr.h"

/* Its number, over 0. -EINVAL for what cannot be a name. */
int iface_index(const char *name, size_t len);

int iface_name(unsigned index, char name[IF_NAMELEN]);

/* ARPHRD_..., the kind of its link layer. */
int iface_linktype(unsigned index);

/* How many bytes it has: 0 for none. */
int iface_mac(unsigned index, unsigned char mac[IF_MACLEN]);

/* The size of its largest packet. */
int iface_mtu(unsigned index);

int iface_setup(const char *name, bool up);

/* -EINVAL for a size that it does not take. */
int iface_setmtu(const char *name, int mtu);

/* An address with the length of its network's prefix. peer: NULL, or the
 * address at the other end, whose network it is then. -EEXIST, -EINVAL. */
int iface_addaddr(const char *name, const struct addr *a, int prefix,
                  const struct addr *peer);

/* -EADDRNOTAVAIL if it has no such address. */
int iface_deladdr(const char *name, const struct addr *a, int prefix,
                  const struct addr *peer);

#endif
