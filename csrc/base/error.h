/* SPDX-License-Identifier: MIT
 * Failures as negative integers: -errno, or one of our own below. One table
 * gives each its code for programs and its text for people. */
#ifndef NEAP_BASE_ERROR_H
#define NEAP_BASE_ERROR_H

#include <stddef.h>

enum {
  ERR_EOF = -10001,     /* the end of the stream */
  ERR_CLOSED = -10002,  /* closed on our side, perhaps by another task */
  ERR_CHANNEL = -10003, /* a session's, which says what happened */
  /* getaddrinfo's failures (RFC 3493 6.1); -10100 - n in no system's order */
  ERR_EAI_AGAIN = -10101,
  ERR_EAI_BADFLAGS = -10102,
  ERR_EAI_FAIL = -10103,
  ERR_EAI_FAMILY = -10104,
  ERR_EAI_MEMORY = -10105,
  ERR_EAI_NODATA = -10106,
  ERR_EAI_NONAME = -10107,
  ERR_EAI_OVERFLOW = -10108,
  ERR_EAI_SERVICE = -10109,
  ERR_EAI_SOCKTYPE = -10110,
  ERR_EAI_ADDRFAMILY = -10111
};

enum { ERR_NAMELEN = 24, ERR_TEXTLEN = 96 };

/* The code: "ECONNREFUSED", "EAI_NONAME", "EOF", "ECLOSED"; for a number that
 * the table lacks "E<number>", written into buf. Never NULL. */
const char *err_name(int err, char buf[ERR_NAMELEN]);

/* The text: "Connection refused". Written into buf where it is not static. */
const char *err_text(int err, char buf[ERR_TEXTLEN]);

/* The table by rows, for a binding that lists it; NULL after the last.
 * `number` becomes the negative code. */
const char *err_row(size_t i, int *number);

#endif
