/* SPDX-License-Identifier: MIT */
#include "sys/packet.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "sys/sock.h"

static const char *const types[] = {"host", "broadcast", "multicast",
                                    "otherhost", "outgoing"};

const char *packet_typename(unsigned type) {
  return type < countof(types) ? types[type] : NULL;
}

static int digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int packet_mac(const char *text, size_t len, unsigned char mac[PACKET_MACLEN]) {
  size_t i, n = (len + 1) / 3;
  if (len % 3 != 2 || n > PACKET_MACLEN)
    return -EINVAL;
  for (i = 0; i < n; i++) {
    int high = digit(text[3 * i]), low = digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i + 1 < n && text[3 * i + 2] != ':'))
      return -EINVAL;
    mac[i] = (unsigned char)(high << 4 | low);
  }
  return (int)n;
}

#ifdef __linux__

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

_Static_assert(PACKET_EVERY == ETH_P_ALL, "the protocol of every packet");

int packet_family(void) {
  return AF_PACKET;
}

int packet_open(bool cooked) {
  return sock_open(AF_PACKET, cooked ? SOCK_DGRAM : SOCK_RAW, 0);
}

int packet_bind(int fd, unsigned ifindex, uint16_t protocol) {
  struct addr a;
  packet_addr(&a, ifindex, protocol, NULL, 0);
  return sock_bind(fd, &a);
}

int packet_addr(struct addr *a, unsigned ifindex, uint16_t protocol,
                const unsigned char *mac, size_t maclen) {
  struct sockaddr_ll ll;
  if (maclen > sizeof ll.sll_addr)
    return -EINVAL;
  memset(&ll, 0, sizeof ll);
  ll.sll_family = AF_PACKET;
  ll.sll_ifindex = (int)ifindex;
  ll.sll_protocol = htons(protocol);
  ll.sll_halen = (unsigned char)maclen;
  if (maclen > 0)
    memcpy(ll.sll_addr, mac, maclen);
  return addr_raw(a, &ll, sizeof ll);
}

/* A MAC that is longer than there is room for here counts as none. */
bool packet_from(const struct addr *a, struct packet_from *from) {
  struct sockaddr_ll ll;
  size_t n = a->len < sizeof ll ? a->len : sizeof ll;
  memset(from, 0, sizeof *from);
  if (addr_family(a) != AF_PACKET)
    return false;
  memset(&ll, 0, sizeof ll);
  memcpy(&ll, &a->u, n);
  from->ifindex = (unsigned)ll.sll_ifindex;
  from->protocol = ntohs(ll.sll_protocol);
  from->hatype = ll.sll_hatype;
  from->type = ll.sll_pkttype;
  from->maclen = ll.sll_halen <= PACKET_MACLEN ? ll.sll_halen : 0;
  memcpy(from->mac, ll.sll_addr, from->maclen);
  return true;
}

static int set(int fd, int option, const void *value, size_t len) {
  return setsockopt(fd, SOL_PACKET, option, value, (socklen_t)len) == 0
           ? 0
           : -errno;
}

int packet_promiscuous(int fd, unsigned ifindex, bool on) {
  struct packet_mreq m = {.mr_ifindex = (int)ifindex,
                          .mr_type = PACKET_MR_PROMISC};
  return set(fd, on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP, &m,
             sizeof m);
}

int packet_fanout(int fd, uint16_t group, int mode, int flags) {
  uint32_t value = (uint32_t)(mode | flags) << 16 | group;
  return set(fd, PACKET_FANOUT, &value, sizeof value);
}

int packet_fanoutmode(const char *name) {
  static const struct {
    const char *name;
    int mode;
  } modes[] = {
    {"hash",     PACKET_FANOUT_HASH    },
    {"lb",       PACKET_FANOUT_LB      },
    {"cpu",      PACKET_FANOUT_CPU     },
    {"rollover", PACKET_FANOUT_ROLLOVER},
    {"random",   PACKET_FANOUT_RND     },
    {"queue",    PACKET_FANOUT_QM      },
  };
  size_t i;
  for (i = 0; i < countof(modes); i++)
    if (strcmp(modes[i].name, name) == 0)
      return modes[i].mode;
  return -EINVAL;
}

/* Only a ring of version 3 has the third number. */
int packet_statistics(int fd, struct packet_stats *s) {
  struct tpacket_stats_v3 stats;
  socklen_t len = sizeof stats;
  memset(&stats, 0, sizeof stats);
  if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == -1)
    return -errno;
  s->packets = stats.tp_packets;
  s->drops = stats.tp_drops;
  s->freezes = stats.tp_freeze_q_cnt;
  return 0;
}

#else

int packet_family(void) {
  return -EAFNOSUPPORT;
}

int packet_open(bool cooked) {
  (void)cooked;
  return -ENOTSUP;
}

int packet_bind(int fd, unsigned ifindex, uint16_t protocol) {
  (void)fd;
  (void)ifindex;
  (void)protocol;
  return -ENOTSUP;
}

int packet_addr(struct addr *a, unsigned ifindex, uint16_t protocol,
                const unsigned char *mac, size_t maclen) {
  (void)ifindex;
  (void)protocol;
  (void)mac;
  (void)maclen;
  a->len = 0;
  return -ENOTSUP;
}

bool packet_from(const struct addr *a, struct packet_from *from) {
  (void)a;
  memset(from, 0, sizeof *from);
  return false;
}

int packet_promiscuous(int fd, unsigned ifindex, bool on) {
  (void)fd;
  (void)ifindex;
  (void)on;
  return -ENOTSUP;
}

int packet_fanout(int fd, uint16_t group, int mode, int flags) {
  (void)fd;
  (void)group;
  (void)mode;
  (void)flags;
  return -ENOTSUP;
}

int packet_fanoutmode(const char *name) {
  (void)name;
  return -EINVAL;
}

int packet_statistics(int fd, struct packet_stats *s) {
  (void)fd;
  (void)s;
  return -ENOTSUP;
}

#endif
