/* SPDX-License-Identifier: MIT
 * Name lookups on a small pool of threads, in the order in which they were
 * asked. No thread is started before the first lookup; an idle one ends
 * after a while. Only the owner's thread calls what is declared here.
 *
 * A lookup that is cancelled while the system works on it frees its place;
 * its thread counts as stuck until the system returns. */
#ifndef NEAP_LOOP_RESOLVER_H
#define NEAP_LOOP_RESOLVER_H

#include "base/list.h"
#include "sys/names.h"

enum {
  RESOLVER_THREADS = 8, /* that work at once */
  RESOLVER_STUCK = 32,  /* threads in all; so many stuck: ERR_EAI_AGAIN */
  RESOLVER_IDLE = 10,   /* seconds until an idle thread ends */
  RESOLVER_STACK = 512 * 1024
};

struct resolver;

struct lookup {
  int result; /* when it is done: 0, -errno or ERR_EAI_* */
  struct names_answer answer;
  void *user; /* the asker's own */

  struct list node; /* from here on the resolver's */
  struct resolver *owner;
  struct names_query query;
  int state;
};

/* Returns NULL and sets *err. */
struct resolver *resolver_open(int *err);

/* Never blocks: threads that still work end when the system lets them. The
 * lookups stay valid until they are cancelled. In a child after fork it
 * touches no thread and no lock that one could hold. */
void resolver_close(struct resolver *r);

/* Readable when a lookup is done. */
int resolver_fd(const struct resolver *r);

/* Asks; the strings are copied. *q is the asker's until lookup_cancel.
 * Returns 0, ERR_EAI_AGAIN if too many threads are stuck, -ECHILD in a child
 * after fork, or -errno if not even one thread could be started. */
int resolver_ask(struct resolver *r, const struct names_query *what,
                 struct lookup **q);

/* The next lookup that is done, each once; NULL if there is none, and then
 * resolver_fd is not readable. */
struct lookup *resolver_done(struct resolver *r);

/* Gives a lookup back, done or not; its answer goes with it. */
void lookup_cancel(struct lookup *q);

/* For tests: what the threads call instead of names_ask. */
typedef int resolver_call(const struct names_query *q, struct names_answer *a);
void resolver_calls(struct resolver *r, resolver_call *call);

#endif
