/* SPDX-License-Identifier: MIT
 * One thread's event loop: who waits for which descriptor, and until when.
 * What happens only marks waits as ready; whoever owns them takes them from
 * the queue. */
#ifndef NEAP_LOOP_LOOP_H
#define NEAP_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "sys/clock.h"
#include "sys/poller.h"

enum wait_state { WAIT_IDLE, WAIT_WAITING, WAIT_READY };

/* Held for a whole operation, across its waits: by one reader, by one writer.
 * It goes to the first in the queue when its owner's operation ends. */
struct lock {
  struct wait *owner;
  struct list queue;
};

/* Somebody who waits: a task, or the top level. */
struct wait {
  struct list node;   /* in the ready queue, or in a queue of waiters */
  struct timer timer; /* lazily moved: may lie before what is due */
  struct watch *at;   /* that points here, or NULL */
  int64_t until;      /* the call's end; before its first wait -1 - its
                         timeout */
  size_t progress;    /* the operation's own */
  const void *object; /* what the operation works on */
  struct lock *held;  /* until the operation ends */
  const char *what;   /* what is waited for, in words */
  int result;         /* how the last wait ended: 0 or a failure */
  uint8_t state;
  bool external; /* something outside can end it */
};

/* A descriptor as the loop sees it. */
struct watch {
  struct wait *rd, *wr; /* who waits for IN, for OUT */
  int fd;               /* -1: none */
  uint32_t slot;        /* in the loop's table; 0: never armed */
  uint8_t armed;        /* what the poller reports */
  uint8_t ready;        /* what it reported, until taken back */
  uint8_t rdwant;       /* what rd waits for: POLLER_IN or POLLER_ERR */
  bool shared;          /* was passed, duplicated, or is not ours */
  bool plain;           /* a regular file: always ready */
  bool bell;            /* nobody waits: it is for loop->rang */
  bool level;           /* reported as long as it is ready */
  bool hollow;          /* no poller knows it: loop_report tells what is ready,
                         * and the descriptor is an eventfd that follows once
                         * it is shared */
};

/* A descriptor that is reported as long as it is ready need not be asked until
 * it is empty. While messages come one by one, to find it empty would cost
 * more than the poll that comes next anyway; when they come in bursts it is
 * cheaper than to poll again for each. */
struct pace {
  uint32_t turn; /* of the loop, when one was taken last */
  uint16_t run;  /* taken in that turn */
  uint8_t until; /* so many more are taken before it is tried again */
  uint8_t every; /* how many that was last time */
  bool bursts;
};

struct loop {
  struct poller *poller;
  bool edges;     /* the poller's */
  uint32_t turns; /* how often it polled */
  int64_t now;    /* when it last polled; some milliseconds off */
  struct heap timers;
  struct list ready;  /* waits that are over */
  struct slot *slots; /* slot -> watch, with generations */
  uint32_t nslots, freeslot;
  uint32_t external; /* waits that something outside can end */
  bool eager; /* a wait began without a look at its descriptor: poll soon */
  unsigned char *mark;                  /* 1 here, 0 in a child after fork */
  int pid;                              /* where there is no such page */
  int64_t (*due)(const struct wait *w); /* when it must be woken, really */
  void (*rang)(struct loop *l, struct watch *at); /* a bell's descriptor */
};

/* Returns 0 or -errno; -EINVAL for an unknown name of a poller. */
int loop_open(struct loop *l, const char *poller);
void loop_close(struct loop *l);

/* In a child after fork: a poller of its own, in which nothing is armed yet;
 * every watch is tried before it is waited for. Returns 0 or -errno. */
int loop_reset(struct loop *l, const char *poller);

/* Is this a child of the process that made the loop? */
bool loop_forked(const struct loop *l);

void watch_init(struct watch *at, int fd);
void wait_init(struct wait *w);

/* The wait becomes the watch's reader (POLLER_IN; POLLER_ERR for the queue of
 * errors alone), writer (POLLER_OUT) or both. `once`: arm it for one report
 * (descriptors that are not ours). Returns 0, or -errno if the poller refuses;
 * -EBUSY if another waits. */
int loop_wait_fd(struct loop *l, struct wait *w, struct watch *at,
                 unsigned want, bool once);

/* What was said to have become ready of a hollow watch wakes who waits. */
void loop_report(struct loop *l, struct watch *at, unsigned ready);

/* Nothing is there to be read: a hollow watch's descriptor says so, too. */
void loop_unreport(struct watch *at);

/* Calls l->rang whenever fd (an eventfd, a pipe) is readable, from loop_turn.
 * Returns 0 or -errno. */
int loop_bell(struct loop *l, struct watch *at);

/* The wait is over when someone calls loop_wake. `external`: that can come
 * from outside of those who wait here. */
void loop_park(struct loop *l, struct wait *w, struct list *queue,
               bool external);

/* Ends a wait with this result: off whatever it waited on, to the end of the
 * ready queue. Does nothing unless it is waiting. */
void loop_wake(struct loop *l, struct wait *w, int result);

static inline void lock_init(struct lock *k) {
  k->owner = NULL;
  list_init(&k->queue);
}

/* Takes the lock for this operation. Returns false if another has it. */
static inline bool lock_take(struct lock *k, struct wait *w) {
  if (k->owner == NULL) {
    k->owner = w;
    w->held = k;
  }
  return k->owner == w;
}

/* The same for all that wait in a queue. */
void loop_wake_all(struct loop *l, struct list *queue, int result);

/* What was locked goes away: whoever waits in the queue wakes with `result`,
 * and the owner, if it is still there, holds it no more. */
void loop_unlock(struct loop *l, struct lock *k, int result);

/* The operation is over: what it held goes to the next in the queue. */
void loop_release(struct loop *l, struct wait *w);

/* Someone outside can end this wait after all. */
void loop_external(struct loop *l, struct wait *w);

/* One was taken: IN stays ready only if more are to be expected, or it is time
 * to find out. */
void pace_took(struct pace *p, struct watch *at, struct loop *l);

/* None was there. */
void pace_empty(struct pace *p, struct watch *at);

/* Ends a wait without a result: nobody will take it from the ready queue. */
void loop_unwait(struct loop *l, struct wait *w);

/* Takes a wait off everything, the ready queue too. */
void loop_forget(struct loop *l, struct wait *w);

/* The descriptor leaves the loop; who waits on it wakes with `result`. */
void loop_drop(struct loop *l, struct watch *at, bool closing, int result);

/* Moves the wait's timer nearer if it is due after `due`. */
void loop_timer(struct loop *l, struct wait *w, int64_t due);

/* Polls once, for at most `timeout` nanoseconds, less if a timer is due or
 * something is ready. Returns 0 or -errno (-EINTR: a signal came). */
int loop_turn(struct loop *l, int64_t timeout);

/* Nanoseconds until the nearest timer; 0 if one is due or a wait is ready;
 * SYS_FOREVER if there is none. */
int64_t loop_due(const struct loop *l);

/* The same, but not too early: timers that were left behind are put right. */
int64_t loop_exactly_due(struct loop *l);

#endif
