/* SPDX-License-Identifier: MIT
 * The kernel's SCTP (RFC 6458): messages with what goes with them, several
 * addresses at once. Each call returns >= 0 or -errno, -ENOTSUP where the
 * system has none of it. Numbers are in host order. */
#ifndef NEAP_SYS_SCTP_H
#define NEAP_SYS_SCTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "sys/addr.h"

enum {
  PARCEL_UNORDERED = 1,
  PARCEL_ABORT = 2,     /* sent: the data is the reason */
  PARCEL_SHUTDOWN = 4,  /* sent: and nothing after it */
  PARCEL_IMMEDIATE = 8, /* sent: to be acknowledged at once */
  PARCEL_END = 16,      /* received: the message ends here */
  PARCEL_TELLS = 32     /* received: it is a notification */
};

/* In the order of RECORD_RELIABLE and the others (io/record.h). */
enum { PARCEL_POLICIES = 4 };

/* What goes with a message. All zero: what the socket's defaults say. */
struct parcel {
  uint32_t association, ppid, context, tsn, cumtsn, value;
  uint16_t stream, ssn, key;
  uint8_t flags, policy;
  struct addr addr; /* to or from whom; len 0: nobody in particular */
};

/* One-to-one, or (many) one-to-many. */
int sctp_socket(int family, bool many);

ssize_t sctp_put(int fd, const struct iovec *iov, int n,
                 const struct parcel *p);

/* 0: the end. p: NULL where only the bytes matter; *flags gets PARCEL_END and
 * PARCEL_TELLS. */
ssize_t sctp_take(int fd, void *buf, size_t len, struct parcel *p,
                  unsigned *flags);

/* What the bytes of a notification mean to who receives. */
enum sctp_news {
  NEWS_OTHER,
  NEWS_ASSOCIATION, /* it is up, or has begun anew */
  NEWS_OVER,        /* it ended as it should */
  NEWS_LOST,        /* it ended otherwise */
  NEWS_CUT          /* the rest of a long message will not come */
};
enum sctp_news sctp_news(const void *bytes, size_t len);

/* A message goes as a whole: makes room for one of so many bytes, as far as the
 * system lets us. False: there was room, or there cannot be. */
bool sctp_makeroom(int fd, size_t len);

/* To one peer at all of its packed addresses. *association gets its number,
 * also with -EINPROGRESS. */
int sctp_connectx(int fd, const void *addrs, size_t len, uint32_t *association);

/* A one-to-one socket of its own for an association of a one-to-many one. */
int sctp_peel(int fd, uint32_t association);

/* 1 once it is connected, 0 while it is not, or why it never will be. */
int sctp_connected(int fd);

#endif
