/* SPDX-License-Identifier: MIT
 * Socket options by their standard names: one table says of each where it
 * is, what it holds and what it accepts. */
#ifndef NEAP_SYS_SOCKOPT_H
#define NEAP_SYS_SOCKOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/fd.h"

enum opt_type {
  OPT_BOOL,
  OPT_INT,    /* an int of the system's */
  OPT_UINT,   /* 32 bits without a sign */
  OPT_LONG,   /* 64 bits; without a sign there, so -1 is the greatest */
  OPT_NETINT, /* 32 bits in network order */
  OPT_TIME,   /* seconds; 0 for none */
  OPT_LINGER, /* whole seconds, or off */
  OPT_STRING, /* text, without its NUL */
  OPT_BYTES,
  OPT_IP4,     /* an IPv4 address in text */
  OPT_CRED,    /* struct sys_cred; read only */
  OPT_TCPINFO, /* bytes, for tcpinfo_field(); read only */
};

enum { OPT_R = 1, OPT_W = 2, OPT_RW = 3 };

/* The families that can have it. */
enum {
  OPT_INET = 1,
  OPT_INET6 = 2,
  OPT_UNIX = 4,
  OPT_PACKET = 8,
  OPT_IP = 3,
  OPT_ANY = 15
};

enum {
  OPT_ABSENT = -1, /* the number of what the headers here do not have */
  OPT_ROOM = 512
};

struct sockopt {
  const char *name;
  int number;
  int level;
  enum opt_type type;
  uint8_t access, families;
  int64_t min, max; /* of an integer; of the length of bytes */
};

/* A value of the type that its row says. */
struct optvalue {
  bool on;        /* OPT_BOOL, OPT_LINGER */
  int64_t number; /* the integers, OPT_LINGER */
  double seconds; /* OPT_TIME */
  struct sys_cred cred;
  const char *bytes; /* OPT_STRING, OPT_BYTES, OPT_IP4, OPT_TCPINFO */
  size_t len;
  char room[OPT_ROOM]; /* where bytes points after sockopt_get */
};

/* The row of this name, or NULL. */
const struct sockopt *sockopt_find(const char *name);

/* The table by rows; NULL after the last. */
const struct sockopt *sockopt_row(size_t i);

/* Whether the row's limits allow the value. */
bool sockopt_inrange(const struct sockopt *o, const struct optvalue *v);

/* Both return 0 or -errno: -ENOPROTOOPT where the system lacks the option.
 * The caller has looked at `access` and at the range. */
int sockopt_get(int fd, const struct sockopt *o, struct optvalue *v);
int sockopt_set(int fd, const struct sockopt *o, const struct optvalue *v);

/* By numbers, as bytes. get: *len is the room, then what was filled in. */
int sockopt_getraw(int fd, int level, int number, void *buf, size_t *len);
int sockopt_setraw(int fd, int level, int number, const void *buf, size_t len);

/* The table itself, in a file of its own. */
extern const struct sockopt sockopt_rows[];
extern const size_t sockopt_count;

#endif
