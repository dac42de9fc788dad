/* SPDX-License-Identifier: MIT
 * Who is at the other end of a carrier: an address, and for usrsctp a handle,
 * which is made of the address alone. So nothing is kept of those who only
 * say INIT, and what they say later is known again. */
#ifndef NEAP_USRSCTP_PEER_H
#define NEAP_USRSCTP_PEER_H

#include <stdbool.h>

#include "base/list.h"
#include "sys/addr.h"

struct us_carrier;
struct us_port;

/* What makes packets come from one of our addresses; len 0: nothing does. */
struct us_from {
  _Alignas(16) unsigned char bytes[64];
  size_t len;
};

struct us_peer {
  struct us_peer *next; /* of the same bucket */
  struct us_carrier *carrier;
  void *handle;
  struct addr addr;  /* the port is the carrier's: UDP's, or 0 */
  struct addr local; /* where it sends to, if we have several; or len 0 */
  struct us_from from;
  unsigned refs;    /* associations with it */
  int error;        /* the last of what the network said, or 0 */
  bool aborted;     /* we have sent it an ABORT, and why */
  struct list ends; /* sockets with an association with it alone */
};

void *us_handle(const struct us_carrier *c, const struct addr *a);

/* The peer of this handle, or NULL. */
struct us_peer *us_peer_find(const void *handle);

/* A peer of this address, made if there is none, with one reference more.
 * NULL: no memory, or the carrier has as many as it may. */
struct us_peer *us_peer_hold(struct us_carrier *c, const struct addr *a);

/* One reference less: the last one frees it. */
void us_peer_drop(struct us_peer *p);

/* What came while it is with usrsctp: from whom, to which of our addresses and
 * ports. Answers to strangers go there. */
struct us_arrival {
  void *handle;
  struct us_carrier *carrier;
  const struct addr *addr, *local;
  uint16_t wire; /* the port that it was sent to, as it stands in the packet */
};
void us_arrives(const struct us_arrival *a); /* NULL: it is over */

/* usrsctp calls this with what is to be sent. */
int us_output(void *handle, void *bytes, size_t len, uint8_t tos,
              uint8_t set_df);

#endif
