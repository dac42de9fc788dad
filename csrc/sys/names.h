/* SPDX-License-Identifier: MIT
 * Names to addresses and back by the system's resolver. Both may block for
 * long, so they are for the resolver's threads. */
#ifndef NEAP_SYS_NAMES_H
#define NEAP_SYS_NAMES_H

#include <netdb.h>
#include <stddef.h>

#include "sys/addr.h"

/* What is asked: getaddrinfo's hints; or, if addr.len > 0, getnameinfo. */
struct names_query {
  const char *host, *service; /* NULL: none */
  int family, socktype, protocol, flags;
  struct addr addr;
};

struct names_found {
  struct addr addr;
  int family, socktype, protocol;
};

struct names_answer {
  struct names_found *found;
  size_t count;
  char *host;    /* the canonical name if asked, or getnameinfo's; or NULL */
  char *service; /* getnameinfo's */
};

/* Asks the system. Returns 0, -errno or ERR_EAI_*; *a is empty on failure,
 * and otherwise names_free()'s to free. */
int names_ask(const struct names_query *q, struct names_answer *a);
void names_free(struct names_answer *a);

#endif
