/* SPDX-License-Identifier: MIT */
#include "sys/ifaddr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/if_packet.h>
#endif

#include "base/util.h"

static const struct {
  const char *name;
  unsigned bit;
} flags[] = {
  {"UP",          IFF_UP         },
  {"BROADCAST",   IFF_BROADCAST  },
  {"LOOPBACK",    IFF_LOOPBACK   },
  {"POINTOPOINT", IFF_POINTOPOINT},
  {"RUNNING",     IFF_RUNNING    },
  {"NOARP",       IFF_NOARP      },
  {"PROMISC",     IFF_PROMISC    },
  {"ALLMULTI",    IFF_ALLMULTI   },
  {"MULTICAST",   IFF_MULTICAST  },
#ifdef __linux__
  {"NOTRAILERS",  IFF_NOTRAILERS },
  {"MASTER",      IFF_MASTER     },
  {"SLAVE",       IFF_SLAVE      },
  {"PORTSEL",     IFF_PORTSEL    },
  {"AUTOMEDIA",   IFF_AUTOMEDIA  },
  {"DYNAMIC",     IFF_DYNAMIC    },
#endif
};

const char *iface_flag(size_t i, unsigned *bit) {
  if (i >= countof(flags))
    return NULL;
  *bit = flags[i].bit;
  return flags[i].name;
}

static bool is_ip(const struct sockaddr *sa) {
  return sa != NULL && (sa->sa_family == AF_INET || sa->sa_family == AF_INET6);
}

static void take(struct addr *to, const struct sockaddr *sa) {
  if (is_ip(sa))
    addr_raw(to, sa,
             sa->sa_family == AF_INET ? sizeof to->u.in : sizeof to->u.in6);
}

static int count_bits(const struct sockaddr *mask) {
  struct addr a = {0};
  const unsigned char *bytes;
  size_t i, len;
  int n = 0;
  if (mask == NULL || !is_ip(mask))
    return 0;
  take(&a, mask);
  bytes = mask->sa_family == AF_INET
            ? (const unsigned char *)&a.u.in.sin_addr
            : (const unsigned char *)&a.u.in6.sin6_addr;
  len = mask->sa_family == AF_INET ? 4 : 16;
  for (i = 0; i < len; i++) {
    unsigned byte = bytes[i];
    for (; byte != 0; byte &= byte - 1)
      n++;
  }
  return n;
}

/* ifa_broadaddr and ifa_dstaddr are one field; the flags say which. */
static void add_addr(struct iface *f, const struct ifaddrs *i) {
  struct iface_addr *a = &f->addrs[f->naddrs++];
  memset(a, 0, sizeof *a);
  take(&a->addr, i->ifa_addr);
  a->prefix = count_bits(i->ifa_netmask);
  if (i->ifa_flags & IFF_POINTOPOINT)
    take(&a->peer, i->ifa_dstaddr);
  else if (i->ifa_flags & IFF_BROADCAST)
    take(&a->broadcast, i->ifa_broadaddr);
}

static void add_mac(struct iface *f, const struct ifaddrs *i) {
#ifdef AF_PACKET
  if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_PACKET) {
    struct sockaddr_ll ll;
    memcpy(&ll, i->ifa_addr, sizeof ll);
    f->maclen = ll.sll_halen <= IF_MACLEN ? ll.sll_halen : 0;
    memcpy(f->mac, ll.sll_addr, f->maclen);
  }
#else
  (void)f;
  (void)i;
#endif
}

/* An alias ("eth0:1") counts as its interface. */
static bool same_name(const char *alias, const char *name) {
  size_t n = strcspn(alias, ":");
  return strlen(name) == n && memcmp(alias, name, n) == 0;
}

static int fill(struct iface *f, const struct ifaddrs *all) {
  const struct ifaddrs *i;
  size_t n = 0;
  for (i = all; i != NULL; i = i->ifa_next)
    if (same_name(i->ifa_name, f->name))
      n++;
  if (n > 0 && (f->addrs = calloc(n, sizeof *f->addrs)) == NULL)
    return -ENOMEM;
  for (i = all; i != NULL; i = i->ifa_next) {
    if (!same_name(i->ifa_name, f->name))
      continue;
    f->flags |= i->ifa_flags;
    add_mac(f, i);
    if (is_ip(i->ifa_addr))
      add_addr(f, i);
  }
  return 0;
}

static int ask_mtu(int fd, const char *name) {
  struct ifreq r;
  memset(&r, 0, sizeof r);
  memcpy(r.ifr_name, name, strnlen(name, sizeof r.ifr_name - 1));
  return ioctl(fd, SIOCGIFMTU, &r) == -1 ? -errno : r.ifr_mtu;
}

static int fill_all(struct iface *list, size_t *count,
                    const struct if_nameindex *names,
                    const struct ifaddrs *all) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int err = fd == -1 ? -errno : 0;
  for (; err == 0 && names->if_index != 0; names++) {
    struct iface *f = &list[(*count)++];
    memcpy(f->name, names->if_name, strnlen(names->if_name, IF_NAMELEN - 1));
    f->index = names->if_index;
    f->mtu = ask_mtu(fd, f->name);
    err = fill(f, all);
  }
  if (fd != -1)
    close(fd);
  return err;
}

static int build(struct iface **list, size_t *count,
                 const struct if_nameindex *names) {
  struct ifaddrs *all;
  size_t n = 0;
  int err;
  while (names[n].if_index != 0)
    n++;
  if ((*list = calloc(n + 1, sizeof **list)) == NULL)
    return -ENOMEM;
  if (getifaddrs(&all) == -1)
    return -errno;
  err = fill_all(*list, count, names, all);
  freeifaddrs(all);
  return err;
}

static int by_index(const void *a, const void *b) {
  unsigned x = ((const struct iface *)a)->index;
  unsigned y = ((const struct iface *)b)->index;
  return (x > y) - (x < y);
}

int iface_list(struct iface **list, size_t *count) {
  struct if_nameindex *names = if_nameindex();
  int err;
  *list = NULL;
  *count = 0;
  if (names == NULL)
    return -errno;
  err = build(list, count, names);
  if_freenameindex(names);
  if (err == 0)
    qsort(*list, *count, sizeof **list, by_index);
  if (err < 0) {
    iface_free(*list, *count);
    *list = NULL;
    *count = 0;
  }
  return err;
}

void iface_free(struct iface *list, size_t count) {
  size_t i;
  for (i = 0; list != NULL && i < count; i++)
    free(list[i].addrs);
  free(list);
}
