/* SPDX-License-Identifier: MIT */
#include "sys/mcast.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"

static int set(int fd, int level, int option, const void *value, size_t len) {
  return setsockopt(fd, level, option, value, (socklen_t)len) == 0 ? 0 : -errno;
}

#ifdef MCAST_JOIN_GROUP

static bool is_group(const struct addr *a) {
  if (addr_family(a) == AF_INET)
    return IN_MULTICAST(ntohl(a->u.in.sin_addr.s_addr));
  return addr_family(a) == AF_INET6 &&
         IN6_IS_ADDR_MULTICAST(&a->u.in6.sin6_addr);
}

/* By enum mcast_op: without a source, and with one. */
static const struct {
  int any, one;
} options[] = {
  [MCAST_JOIN] = {MCAST_JOIN_GROUP,  MCAST_JOIN_SOURCE_GROUP },
  [MCAST_LEAVE] = {MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP},
  [MCAST_BLOCK] = {-1,                MCAST_BLOCK_SOURCE      },
  [MCAST_UNBLOCK] = {-1,                MCAST_UNBLOCK_SOURCE    },
};

int mcast_change(int fd, enum mcast_op op, unsigned ifindex,
                 const struct addr *group, const struct addr *source) {
  int level = addr_family(group) == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
  bool one = source != NULL && source->len > 0;
  struct group_source_req r;
  struct group_req q;
  if ((size_t)op >= countof(options) || !is_group(group) ||
      (one && addr_family(source) != addr_family(group)) ||
      (!one && options[op].any == -1))
    return -EINVAL;
  if (ifindex == 0)
    ifindex = addr_scope(group);
  if (!one) {
    memset(&q, 0, sizeof q);
    q.gr_interface = ifindex;
    memcpy(&q.gr_group, &group->u, group->len);
    return set(fd, level, options[op].any, &q, sizeof q);
  }
  memset(&r, 0, sizeof r);
  r.gsr_interface = ifindex;
  memcpy(&r.gsr_group, &group->u, group->len);
  memcpy(&r.gsr_source, &source->u, source->len);
  return set(fd, level, options[op].one, &r, sizeof r);
}

#else

int mcast_change(int fd, enum mcast_op op, unsigned ifindex,
                 const struct addr *group, const struct addr *source) {
  (void)fd;
  (void)op;
  (void)ifindex;
  (void)group;
  (void)source;
  return -ENOTSUP;
}

#endif

static int sendby4(int fd, unsigned ifindex) {
#ifdef __linux__
  struct ip_mreqn m;
  memset(&m, 0, sizeof m);
  m.imr_ifindex = (int)ifindex;
  return set(fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m);
#else
  (void)fd;
  (void)ifindex;
  return -ENOTSUP;
#endif
}

int mcast_sendby(int fd, int family, unsigned ifindex) {
  if (family == AF_INET)
    return sendby4(fd, ifindex);
  if (family != AF_INET6)
    return -EAFNOSUPPORT;
  return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &ifindex, sizeof ifindex);
}
