/* SPDX-License-Identifier: MIT
 * Multicast groups, of either family alike (RFC 3678). Each call returns 0 or
 * -errno. */
#ifndef NEAP_SYS_MCAST_H
#define NEAP_SYS_MCAST_H

#include "sys/addr.h"

enum mcast_op {
  MCAST_JOIN, /* with a source: only what that one sends */
  MCAST_LEAVE,
  MCAST_BLOCK, /* needs a source, and a group joined without one */
  MCAST_UNBLOCK
};

/* ifindex 0: the zone of the group, or else the system chooses. source: NULL
 * or with len 0 for none. -EINVAL if the group is no multicast address, the
 * source is of another family, or is missing; -EADDRINUSE if it was joined
 * before, -EADDRNOTAVAIL if not; -ENODEV; -ENOTSUP where there is none. */
int mcast_change(int fd, enum mcast_op op, unsigned ifindex,
                 const struct addr *group, const struct addr *source);

/* The interface by which the socket sends to groups of this family; 0: the
 * system chooses. -ENODEV, -EAFNOSUPPORT. */
int mcast_sendby(int fd, int family, unsigned ifindex);

#endif
