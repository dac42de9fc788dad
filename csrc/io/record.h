/* SPDX-License-Identifier: MIT
 * What goes with a message over a channel that keeps borders: an SCTP
 * association (RFC 6458), an SPX connection. */
#ifndef NEAP_IO_RECORD_H
#define NEAP_IO_RECORD_H

#include <stdint.h>

#include "sys/addr.h"

enum record_flags {
  RECORD_END = 1,          /* of the record: on all but long ones' parts */
  RECORD_NOTIFICATION = 2, /* the bytes tell of something: `event` of
                            * csrc/lua/lover.c knows */
  RECORD_CUT = 4, /* with one: what was received of a long record is void */
  RECORD_UNORDERED = 8,
  RECORD_ABORT = 16, /* send: the association is aborted, the data says why */
  RECORD_SHUTDOWN = 32,  /* send: and nothing more after this */
  RECORD_IMMEDIATE = 64, /* send: to be acknowledged at once */
  RECORD_EMPTY = 128     /* receive: 0 bytes, and not the end */
};

/* What becomes of data that is late (RFC 3758, RFC 7496). */
enum record_policy {
  RECORD_RELIABLE,
  RECORD_LIFETIME,        /* value: milliseconds */
  RECORD_RETRANSMISSIONS, /* value: how many */
  RECORD_PRIORITY         /* value: the lower the more important */
};

struct record {
  uint32_t association;
  uint32_t ppid; /* in host order, as all here */
  uint32_t tsn, cumtsn;
  uint32_t context;
  uint32_t value; /* of the policy */
  uint16_t stream, ssn;
  uint16_t flags;
  uint16_t key; /* to authenticate with; 0: what was chosen before */
  uint8_t policy;
  uint8_t type;     /* SPX: the datastream type */
  struct addr addr; /* of whom it comes or to whom it goes; may be empty */
};

/* What of that a channel knows. */
enum record_kind { RECORD_SCTP, RECORD_SPX };

#endif
