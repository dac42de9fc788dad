/* SPDX-License-Identifier: MIT
 * The associations of ends: which there are, of those that have many. */
#ifndef NEAP_USRSCTP_LINK_H
#define NEAP_USRSCTP_LINK_H

#include "usrsctp/end.h"

struct sockaddr_conn;

/* The peer's port as usrsctp names it. */
void us_end_name(struct sockaddr_conn *name, const struct us_peer *p,
                 uint16_t remote);

/* Whether it has no association any more. */
bool us_end_isover(struct us_end *e);

/* Of an end for many: the association with that peer's port holds the peer.
 * NULL: no memory. */
struct us_link *us_link_add(struct us_end *e, struct us_peer *p,
                            uint16_t remote);

/* Those whose association is over go; one that begins with whom the network
 * does not reach is given up. */
void us_link_sweep(struct us_end *e);

/* Each is asked to end, and no other begins. */
void us_link_finish(struct us_end *e);

void us_link_free(struct us_end *e);

#endif
