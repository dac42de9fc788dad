/* SPDX-License-Identifier: MIT
 * What carries SCTP's packets: a UDP socket (RFC 6951), or a raw one of IP
 * protocol 132. Each has port numbers of its own; usrsctp, which does not
 * know of carriers, sees others, so they are changed on their way. */
#ifndef NEAP_USRSCTP_CARRIER_H
#define NEAP_USRSCTP_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "usrsctp/peer.h"
#include "usrsctp/stack.h"

struct us_end;

/* A port of SCTP's on a carrier. */
struct us_port {
  struct us_port *next; /* of the same bucket */
  struct us_carrier *carrier;
  struct us_end *owner; /* who takes new associations there, or NULL */
  uint16_t wire;        /* as it stands in packets */
  uint16_t inner;       /* as usrsctp knows it: no two are the same */
  unsigned refs;
};

enum { US_PORTBUCKETS = 64 };

struct us_carrier {
  struct list node; /* in its home's */
  struct us_home *home;
  struct list ends;    /* all sockets on it */
  struct list closing; /* those of them that nobody has any more */
  uint64_t serial;     /* no other has it */
  int fd;              /* not its own */
  int family;
  bool raw;
  bool wild; /* bound to no address: each peer is answered from the one it
              * knows */
  uint16_t ephemeral;
  int batch; /* how many packets are asked for at once */
  unsigned peers, max_peers;
  unsigned sockets;
  uint64_t received, sent, dropped; /* packets; those that were malformed */
  struct us_port *ports[US_PORTBUCKETS];
};

/* The descriptor, which does not block, must stay open as long. Locks by
 * itself. Returns 0 or a failure. */
int us_carrier_open(struct us_carrier *c, struct us_home *h, int fd, int family,
                    bool raw, bool wild, unsigned max_peers);

/* Its sockets end: at once, or after `patience` milliseconds at the latest.
 * Locks by itself. */
void us_carrier_close(struct us_carrier *c, int patience);

/* Takes what the network says of packets that were sent. Returns whether there
 * was anything. */
bool us_carrier_errors(struct us_carrier *c);

/* Takes what is there and gives it to usrsctp, up to a limit. Returns whether
 * there may be more. */
bool us_carrier_pump(struct us_carrier *c);

/* The ancillary data with which packets come from this address. */
void us_carrier_from(struct us_from *from, const struct addr *local);

/* From usrsctp. wire: what the port of a stranger's packet was. p may be
 * NULL. */
void us_carrier_send(struct us_carrier *c, const struct addr *to,
                     const struct addr *local, uint16_t wire, void *bytes,
                     size_t len, struct us_peer *p);

/* The port of this number, or of a free one for 0, with one reference more.
 * NULL and *err: -EADDRINUSE, -ENOMEM. */
struct us_port *us_port_take(struct us_carrier *c, uint16_t wire, int *err);
void us_port_drop(struct us_port *p);
struct us_port *us_port_find(const struct us_carrier *c, uint16_t wire);

#endif
