/* SPDX-License-Identifier: MIT
 * The network interfaces of this machine, with their addresses. */
#ifndef NEAP_SYS_IFADDR_H
#define NEAP_SYS_IFADDR_H

#include <stddef.h>

#include "sys/addr.h"

enum { IF_NAMELEN = 16, IF_MACLEN = 8 };

struct iface_addr {
  struct addr addr, broadcast, peer; /* len 0: none */
  int prefix;
};

struct iface {
  char name[IF_NAMELEN];
  unsigned index, flags;
  int mtu; /* or -errno */
  unsigned char mac[IF_MACLEN];
  size_t maclen;
  struct iface_addr *addrs;
  size_t naddrs;
};

/* All of them, in the order of their index. Returns 0 or -errno; free it. */
int iface_list(struct iface **list, size_t *count);
void iface_free(struct iface *list, size_t count);

/* The i-th flag there is, and its bit: "UP"; NULL after the last. */
const char *iface_flag(size_t i, unsigned *bit);

#endif
