/* SPDX-License-Identifier: MIT */
#include "sys/iface.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#endif

#include "base/util.h"
#include "sys/fd.h"
#include "sys/sock.h"

int iface_index(const char *name, size_t len) {
  char text[IF_NAMELEN];
  unsigned index;
  if (len == 0 || len >= sizeof text || memchr(name, '\0', len) != NULL)
    return -EINVAL;
  memcpy(text, name, len);
  text[len] = '\0';
  index = if_nametoindex(text);
  return index > 0 ? (int)index : -ENODEV;
}

int iface_name(unsigned index, char name[IF_NAMELEN]) {
  char text[IF_NAMESIZE];
  if (if_indextoname(index, text) == NULL)
    return -ENODEV;
  memcpy(name, text, strnlen(text, IF_NAMELEN - 1) + 1);
  name[IF_NAMELEN - 1] = '\0';
  return 0;
}

/* ---- what it is ---- */

static int ask(unsigned index, unsigned long request, struct ifreq *r) {
  char name[IF_NAMELEN];
  int fd, err = iface_name(index, name);
  if (err < 0)
    return err;
  fd = sock_open(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0)
    return fd;
  memset(r, 0, sizeof *r);
  memcpy(r->ifr_name, name, strlen(name));
  err = ioctl(fd, request, r) == -1 ? -errno : 0;
  sys_close(fd);
  return err;
}

int iface_mtu(unsigned index) {
  struct ifreq r;
  int err = ask(index, SIOCGIFMTU, &r);
  return err < 0 ? err : r.ifr_mtu;
}

#ifdef __linux__

int iface_linktype(unsigned index) {
  struct ifreq r;
  int err = ask(index, SIOCGIFHWADDR, &r);
  return err < 0 ? err : r.ifr_hwaddr.sa_family;
}

/* The call does not tell the length: of the kinds that have an address which
 * fits it is Ethernet's. */
int iface_mac(unsigned index, unsigned char mac[IF_MACLEN]) {
  enum { LENGTH = 6 };
  struct ifreq r;
  int err = ask(index, SIOCGIFHWADDR, &r);
  if (err < 0)
    return err;
  switch (r.ifr_hwaddr.sa_family) {
  case ARPHRD_ETHER:
  case ARPHRD_LOOPBACK:
  case ARPHRD_IEEE802:
  case ARPHRD_IEEE80211:
  case ARPHRD_IEEE80211_PRISM:
  case ARPHRD_IEEE80211_RADIOTAP:
    memcpy(mac, r.ifr_hwaddr.sa_data, LENGTH);
    return LENGTH;
  default:
    return 0;
  }
}

/* ---- what it is told, by rtnetlink(7) ---- */

struct request {
  struct nlmsghdr head;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg addr;
  } u;
  unsigned char attributes[64]; /* two addresses, or an MTU */
};

static void add(struct request *q, int type, const void *data, size_t len) {
  struct rtattr a = {.rta_len = (unsigned short)RTA_LENGTH(len),
                     .rta_type = (unsigned short)type};
  unsigned char *at = (unsigned char *)q + NLMSG_ALIGN(q->head.nlmsg_len);
  memcpy(at, &a, sizeof a);
  memcpy(at + RTA_LENGTH(0), data, len);
  q->head.nlmsg_len =
    NLMSG_ALIGN(q->head.nlmsg_len) + (uint32_t)RTA_ALIGN(a.rta_len);
}

/* The kernel answers before sendto(2) returns. */
static int answer(int fd) {
  _Alignas(struct nlmsghdr) char bytes[1024];
  struct nlmsghdr head;
  struct nlmsgerr e;
  ssize_t n = sys_recv(fd, bytes, sizeof bytes);
  if (n < 0)
    return (int)n;
  if ((size_t)n < NLMSG_LENGTH(sizeof e))
    return -EBADMSG;
  memcpy(&head, bytes, sizeof head);
  memcpy(&e, bytes + NLMSG_LENGTH(0), sizeof e);
  return head.nlmsg_type == NLMSG_ERROR ? e.error : -EBADMSG;
}

static int tell(struct request *q) {
  ssize_t n;
  int err, fd = sock_open(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (fd < 0)
    return fd;
  q->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  n = sys_send(fd, q, q->head.nlmsg_len);
  err = n < 0 ? (int)n : answer(fd);
  sys_close(fd);
  return err;
}

static void begin(struct request *q, int type, size_t len) {
  memset(q, 0, sizeof *q);
  q->head.nlmsg_type = (unsigned short)type;
  q->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
}

static int begin_link(struct request *q, const char *name) {
  int index = iface_index(name, strlen(name));
  begin(q, RTM_NEWLINK, sizeof q->u.link);
  q->u.link.ifi_family = AF_UNSPEC;
  q->u.link.ifi_index = index;
  return index;
}

int iface_setup(const char *name, bool up) {
  struct request q;
  int err = begin_link(&q, name);
  q.u.link.ifi_flags = up ? IFF_UP : 0;
  q.u.link.ifi_change = IFF_UP;
  return err < 0 ? err : tell(&q);
}

int iface_setmtu(const char *name, int mtu) {
  struct request q;
  int err = begin_link(&q, name);
  if (err < 0)
    return err;
  if (mtu < 0)
    return -EINVAL;
  add(&q, IFLA_MTU, &mtu, sizeof mtu);
  return tell(&q);
}

static void add_addr(struct request *q, int type, const struct addr *a) {
  if (addr_family(a) == AF_INET)
    add(q, type, &a->u.in.sin_addr, sizeof a->u.in.sin_addr);
  else
    add(q, type, &a->u.in6.sin6_addr, sizeof a->u.in6.sin6_addr);
}

static int change_addr(int type, int flags, const char *name,
                       const struct addr *a, int prefix,
                       const struct addr *peer) {
  struct request q;
  int family = addr_family(a), index = iface_index(name, strlen(name));
  int most = family == AF_INET ? 32 : 128;
  if (index < 0)
    return index;
  if ((family != AF_INET && family != AF_INET6) || prefix < 0 ||
      prefix > most || (peer != NULL && addr_family(peer) != family))
    return -EINVAL;
  begin(&q, type, sizeof q.u.addr);
  q.head.nlmsg_flags = (unsigned short)flags;
  q.u.addr.ifa_family = (unsigned char)family;
  q.u.addr.ifa_prefixlen = (unsigned char)prefix;
  q.u.addr.ifa_index = (unsigned)index;
  add_addr(&q, IFA_LOCAL, a);
  add_addr(&q, IFA_ADDRESS, peer != NULL ? peer : a);
  return tell(&q);
}

int iface_addaddr(const char *name, const struct addr *a, int prefix,
                  const struct addr *peer) {
  return change_addr(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, name, a, prefix,
                     peer);
}

int iface_deladdr(const char *name, const struct addr *a, int prefix,
                  const struct addr *peer) {
  return change_addr(RTM_DELADDR, 0, name, a, prefix, peer);
}

#else

int iface_linktype(unsigned index) {
  (void)index;
  return -ENOTSUP;
}

int iface_mac(unsigned index, unsigned char mac[IF_MACLEN]) {
  (void)index;
  (void)mac;
  return -ENOTSUP;
}

int iface_setup(const char *name, bool up) {
  (void)name;
  (void)up;
  return -ENOTSUP;
}

int iface_setmtu(const char *name, int mtu) {
  (void)name;
  (void)mtu;
  return -ENOTSUP;
}

int iface_addaddr(const char *name, const struct addr *a, int prefix,
                  const struct addr *peer) {
  (void)name;
  (void)a;
  (void)prefix;
  (void)peer;
  return -ENOTSUP;
}

int iface_deladdr(const char *name, const struct addr *a, int prefix,
                  const struct addr *peer) {
  (void)name;
  (void)a;
  (void)prefix;
  (void)peer;
  return -ENOTSUP;
}

#endif
