/* SPDX-License-Identifier: MIT
 * A stream's descriptor as a channel, for a session to go over. It does not
 * own the descriptor. */
#ifndef NEAP_IO_FDCHANNEL_H
#define NEAP_IO_FDCHANNEL_H

#include "io/channel.h"
#include "sys/fd.h"

/* NULL if there is no memory. */
struct channel *fdchannel_new(int fd, enum fd_kind kind, bool shortdrains);

#endif
