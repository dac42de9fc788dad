/* SPDX-License-Identifier: MIT
 * What usrsctp notifies of. */
#ifndef NEAP_USRSCTP_NOTICE_H
#define NEAP_USRSCTP_NOTICE_H

#include "io/record.h"
#include "usrsctp/end.h"

/* A notification, or a part of one, of n bytes, with recvv's flags. Returns
 * whether it was asked for, and then fills r in (NULL: none is). */
bool us_notified(struct us_end *e, char *bytes, ssize_t n, int flags,
                 struct record *r);

#endif
