/* SPDX-License-Identifier: MIT
 * usrsctp is one stack for the whole process. Here is what stands around it:
 * one lock, its beginning and its end, its time, and the homes: each Lua state
 * has one, which is told of what happens to its sockets. */
#ifndef NEAP_USRSCTP_STACK_H
#define NEAP_USRSCTP_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

/* What a Lua state has: used by its thread, and marked by others. */
struct us_home {
  struct list marked;   /* sockets to which something happened */
  struct list carriers; /* all of this state's */
  int bell[2];          /* an eventfd or a pipe: readable when it is to look */
  unsigned peers;       /* of its carriers: while there are any, time passes */
  unsigned quiet;       /* milliseconds in which nothing was sent or came */
  bool rung;
  bool arrived; /* a listener has somebody to be accepted */
  bool emptied; /* a carrier has no socket any more */
};

/* Failures beside -errno. */
enum { US_FORKED = -20001 }; /* the stack is the parent's */

/* Once per process, before anything else. Returns 0 or -errno. */
int us_setup(void);

/* All below is called between these two, but for what is said to lock itself.
 * False in a child after fork, whose stack is the parent's: nothing is locked
 * then. */
bool us_enter(struct us_home *h);
void us_leave(void);

/* One user more: a carrier. The first begins it. Returns 0 or -errno. */
int us_begin(void);
void us_end(void);

/* Whoever asks is that home: it need not be rung. */
bool us_is_current(const struct us_home *h);
void us_ring(struct us_home *h);

/* Something was sent or came: time passes in small steps. */
void us_busy(void);

/* Lets the time pass that has passed. Returns the milliseconds. */
unsigned us_tick(void);

/* Some time passes. */
void us_pause(void);

/* Milliseconds, monotonic. */
int64_t us_now(void);

/* A number that nobody can foretell of these bytes, the same each time. */
uint64_t us_digest(const void *bytes, size_t len);

/* Room for what is received: US_BATCH blocks of US_DATAGRAM bytes. */
enum { US_BATCH = 32, US_DATAGRAM = 64 * 1024 };
extern char *us_room;

/* Both lock by themselves. */
int us_home_open(struct us_home *h); /* 0 or -errno */
void us_home_close(struct us_home *h);

#endif
