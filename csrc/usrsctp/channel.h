/* SPDX-License-Identifier: MIT
 * An association, or many, as a channel. Its functions lock by themselves. */
#ifndef NEAP_USRSCTP_CHANNEL_H
#define NEAP_USRSCTP_CHANNEL_H

#include "io/channel.h"
#include "usrsctp/end.h"

struct us_channel {
  struct channel base;
  struct us_end *end; /* NULL: closed */
  struct us_home *home;
  char peer[ADDR_TEXTLEN];
};

/* Over nothing yet. */
void us_channel_init(struct us_channel *c, struct us_home *h);

/* Within us_enter. */
void us_channel_take(struct us_channel *c, struct us_end *e);

/* As its ops do. */
void us_channel_close(struct us_channel *c);

#endif
