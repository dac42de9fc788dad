/* SPDX-License-Identifier: MIT
 * A socket of usrsctp's on a carrier: an association, who listens for them, or
 * many of them. It outlives whoever used it for as long as the association
 * takes to end. */
#ifndef NEAP_USRSCTP_END_H
#define NEAP_USRSCTP_END_H

#include <stdbool.h>
#include <stdint.h>

#include "usrsctp/carrier.h"

struct socket; /* usrsctp's */
struct us_channel;

enum us_kind { US_STREAM, US_LISTENER, US_MANY };

/* One of the associations of an end for many: what they hold of a peer. */
struct us_link {
  struct us_link *next;
  struct us_peer *peer;
  uint16_t remote;
};

struct us_end {
  struct list of;     /* its carrier's */
  struct list marked; /* its home's */
  struct list with;   /* its peer's */
  struct list queue; /* listener: who is to be accepted; else in one of those */
  struct socket *so;
  struct us_carrier *carrier;
  struct us_port *port;
  struct us_peer *peer;      /* of an association */
  struct us_channel *face;   /* who uses it, or NULL */
  struct us_link *links;     /* US_MANY */
  unsigned waiting, backlog; /* US_LISTENER */
  enum us_kind kind;
  uint16_t remote; /* the peer's port */
  bool connecting;
  bool shut; /* nothing more is sent */
  bool full; /* US_MANY: somebody waits for room, of which usrsctp tells not */
  bool eor;  /* usrsctp is told where messages end */
  bool midway;     /* a part of a message was sent, and more is to come */
  bool cut;        /* what came of a message is void */
  bool skips;      /* the rest of a notification is to come */
  uint16_t events; /* the notifications that are wanted: 1 << type */
  uint32_t sndbuf;
  int error;        /* what the network said, or 0 */
  int64_t deadline; /* while it closes */
};

/* All are called within us_enter. Failures are -errno. */

/* A socket on this port (0: any). NULL and *err. */
struct us_end *us_end_open(struct us_carrier *c, enum us_kind kind,
                           uint16_t wire, int *err);

/* Begins an association with the peer at an address (the port is the carrier's)
 * and a port of SCTP's. 0: it goes on by itself. */
int us_end_connect(struct us_end *e, const struct addr *to, uint16_t remote);

int us_end_listen(struct us_end *e, unsigned backlog);

/* The next whose association is there, or NULL. */
struct us_end *us_end_accept(struct us_end *e);

/* An association becomes an end of its own. NULL and *err. */
struct us_end *us_end_peeloff(struct us_end *e, uint32_t association, int *err);

/* Nobody uses it any more. What was sent arrives, unless there is something
 * that nobody will receive. */
void us_end_close(struct us_end *e);

/* At once: the peer is told. */
void us_end_abort(struct us_end *e);

/* What is known of a handshake: 0, -EAGAIN, or a failure. */
int us_end_settle(struct us_end *e);

/* Which of many has this number, or NULL; and the number of the one with a
 * peer's port, or 0. */
struct us_link *us_end_link(struct us_end *e, uint32_t association);
uint32_t us_end_association(struct us_end *e, const struct us_peer *p,
                            uint16_t remote);

/* What came from a peer may have made room for who waits. */
void us_end_eases(struct us_end *e);

/* The network says that packets to this peer do not arrive. */
void us_end_trouble(struct us_peer *p, int number);

/* Whether one more can wait there to be accepted. */
bool us_end_hasroom(const struct us_end *owner);

/* A peer may have a new association with what owns a port. */
void us_end_entered(struct us_end *owner, struct us_peer *p, uint16_t remote);

/* What ended while it closed goes away, and whatever took too long. */
void us_end_sweep(struct us_carrier *c);

/* Tells those to whom something happened. */
void us_deliver(struct us_home *h);

#endif
