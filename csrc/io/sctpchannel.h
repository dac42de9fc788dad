/* SPDX-License-Identifier: MIT
 * A socket of the kernel's SCTP as a channel that keeps borders. It does not
 * own the descriptor. */
#ifndef NEAP_IO_SCTPCHANNEL_H
#define NEAP_IO_SCTPCHANNEL_H

#include "io/channel.h"
#include "sys/addr.h"

struct sctpchannel {
  struct channel base;
  int fd;
  bool many;              /* one-to-many: it has no end of its own */
  bool mute;              /* its end is not said: close(2) aborts */
  bool tells_association; /* its user asked for these notifications */
  bool tells_cuts;
  bool cut;    /* what was received of a long message is void */
  bool midway; /* in a notification that was longer than the room */
  int ended;   /* how the association did: 1 as it should, or -errno */
  char peer[ADDR_TEXTLEN];
};

/* peer: who is at the other end; NULL: the socket knows. */
void sctpchannel_init(struct sctpchannel *c, int fd, bool many,
                      const char *peer);

#endif
