/* SPDX-License-Identifier: MIT
 * Ancillary data: the items of a control buffer, and what is in those that
 * are known. */
#ifndef NEAP_SYS_CMSG_H
#define NEAP_SYS_CMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/addr.h"
#include "sys/fd.h"

enum cmsg_kind {
  CMSG_KIND_BYTES,   /* of no kind that is known, or of no fields */
  CMSG_KIND_FDS,     /* ints, which are descriptors */
  CMSG_KIND_CRED,    /* cred */
  CMSG_KIND_INT,     /* number */
  CMSG_KIND_BYTE,    /* number; may be an int, and is sent as one */
  CMSG_KIND_UINT,    /* number */
  CMSG_KIND_SHORT,   /* number, of 16 bits */
  CMSG_KIND_LONG,    /* number, of 64 bits */
  CMSG_KIND_TIME,    /* seconds, nanoseconds */
  CMSG_KIND_TIMES,   /* the same for software; hardware's in raw */
  CMSG_KIND_PKTINFO, /* ifindex, addr; local, the source to send from */
  CMSG_KIND_ADDR,    /* addr */
  CMSG_KIND_ERROR,   /* number, origin, etype, ecode, info; addr: offender */
  CMSG_KIND_MTU,     /* number; addr: whose path it is */
  CMSG_KIND_AUXDATA  /* number: status; length, snaplen, vlan, vlan_tpid */
};

struct cmsg_row {
  const char *name;
  int level, type;
  enum cmsg_kind kind;
};

struct cmsg_item {
  int level, type;
  const void *data;
  size_t len;
};

struct cmsg_value {
  int64_t number, seconds, nanoseconds;
  int64_t rawseconds, rawnanoseconds;
  struct sys_cred cred;
  struct addr addr, local; /* len 0: none */
  unsigned ifindex;
  int origin, etype, ecode;
  int64_t info;
  int64_t length, snaplen; /* of a packet, and of what there is of it */
  int vlan, vlan_tpid;     /* -1: none */
};

/* The next item of a control buffer, *at being 0 at first. */
bool cmsg_next(const void *control, size_t len, size_t *at,
               struct cmsg_item *item);

/* How much room an item of so many bytes takes. */
size_t cmsg_room(size_t len);

/* Adds an item at *at, which moves. The buffer has the room, is all zero and
 * is aligned as malloc's memory is. */
void cmsg_put(void *control, size_t *at, const struct cmsg_item *item);

/* The row of this level and type, or of this name; or NULL. */
const struct cmsg_row *cmsg_find(int level, int type);
const struct cmsg_row *cmsg_named(const char *name);

/* What is in an item of this row. Returns false if it is too short. */
bool cmsg_decode(const struct cmsg_row *row, const struct cmsg_item *item,
                 struct cmsg_value *v);

/* The bytes of a value, at most CMSG_ENCODED of them. Returns their number,
 * or -EINVAL for a kind that cannot be sent. */
enum { CMSG_ENCODED = 64 };
int cmsg_encode(const struct cmsg_row *row, const struct cmsg_value *v,
                void *bytes);

#endif
