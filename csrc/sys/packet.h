/* SPDX-License-Identifier: MIT
 * Packet sockets: what passes an interface, with its link layer's addresses.
 * Each call returns >= 0 or -errno; -ENOTSUP where the system has none.
 *
 * A new one has protocol 0 and receives nothing, so that no packet of another
 * interface, or before there was a filter, slips in: filter, options and ring
 * first, then packet_bind(), last packet_promiscuous() and packet_fanout(). */
#ifndef NEAP_SYS_PACKET_H
#define NEAP_SYS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/addr.h"

enum { PACKET_MACLEN = 8, PACKET_EVERY = 3 /* the protocol ETH_P_ALL */ };

/* AF_PACKET, or -EAFNOSUPPORT. */
int packet_family(void);

/* cooked: without the header of the link layer. */
int packet_open(bool cooked);

/* From now on it receives. ifindex 0: every interface; the protocol in host
 * order: PACKET_EVERY, or that of the link layer. -ENODEV, -ENETDOWN. */
int packet_bind(int fd, unsigned ifindex, uint16_t protocol);

/* ---- addresses ---- */

/* Where a packet came from or goes to. */
struct packet_from {
  unsigned ifindex;
  uint16_t protocol; /* in host order */
  uint16_t hatype;   /* ARPHRD_... */
  uint8_t type;      /* PACKET_HOST and so on */
  uint8_t maclen;
  unsigned char mac[PACKET_MACLEN];
};

/* Returns 0, or -EINVAL for over PACKET_MACLEN bytes. */
int packet_addr(struct addr *a, unsigned ifindex, uint16_t protocol,
                const unsigned char *mac, size_t maclen);

/* False, and all 0, for the address of another family. */
bool packet_from(const struct addr *a, struct packet_from *from);

/* From "aa:bb:cc:dd:ee:ff": as many bytes as it has, which is returned, or
 * -EINVAL if that is none, or over PACKET_MACLEN. */
int packet_mac(const char *text, size_t len, unsigned char mac[PACKET_MACLEN]);

/* "host", "broadcast", "multicast", "otherhost", "outgoing"; or NULL. */
const char *packet_typename(unsigned type);

/* ---- options ---- */

/* Asks for all that passes the interface; ends with the socket. */
int packet_promiscuous(int fd, unsigned ifindex, bool on);

/* Members of a group, all of the same mode and flags, share the packets. The
 * socket is bound by then. */
int packet_fanout(int fd, uint16_t group, int mode, int flags);

/* The mode of this name ("hash", "lb", "cpu", "rollover", "random", "queue"),
 * or -EINVAL. */
int packet_fanoutmode(const char *name);

/* Since the last time it was asked. Dropped packets are among the packets;
 * freezes: how often a ring was full. */
struct packet_stats {
  uint32_t packets, drops, freezes;
};
int packet_statistics(int fd, struct packet_stats *s);

/* ---- a ring that the kernel fills (ring.c) ---- */

struct ring_config {
  size_t block_size; /* a multiple of the page; 0: 1 MiB */
  unsigned blocks;   /* 0: 8 */
  unsigned timeout;  /* ms until a block that is not full is seen; 0: 10 */
};

struct ring {
  unsigned char *map;
  size_t block_size;
  unsigned blocks, at; /* at: the block that is read, or is next */
  uint32_t left;       /* packets of it that are still to come */
  size_t offset;       /* where the next of them is, from its beginning */
  bool held;           /* it is ours, and to be given back */
};

struct ring_packet {
  const void *data; /* in the ring, until the next call */
  size_t snaplen;   /* how much of it there is */
  size_t length;    /* how long it was */
  int64_t sec, nsec;
  bool hardware; /* the time is the interface's */
  bool has_vlan, has_tpid;
  uint16_t vlan, tpid; /* the tag that the interface took out */
  uint32_t status;     /* TP_STATUS_... */
  struct addr addr;
};

/* Before the socket is bound. -EINVAL for sizes that do not fit, -ENOMEM. */
int ring_open(struct ring *r, int fd, const struct ring_config *c);

/* The next packet, false if there is none now: then nothing is held, and the
 * descriptor is readable when there is more. It also wakes with an error, as
 * -ENETDOWN, which sys_error() takes. */
bool ring_next(struct ring *r, struct ring_packet *p);

/* Whether ring_next would have one. */
bool ring_ready(const struct ring *r);

/* Idempotent. The socket is closed next: it still belongs to its ring. */
void ring_close(struct ring *r);

#endif
