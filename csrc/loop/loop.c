/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "sys/fd.h"

/* A descriptor's place in the poller's tokens. The generation tells a late
 * report for a closed descriptor from one for its successor. */
struct slot {
  struct watch *at;
  uint32_t generation;
  uint32_t nextfree;
};

enum { MAX_EVENTS = 256 };

int loop_open(struct loop *l, const char *poller) {
  int err;
  memset(l, 0, sizeof *l);
  list_init(&l->ready);
  l->mark = sys_forkmark();
  l->pid = sys_pid();
  l->poller = poller_open(poller, &err);
  l->now = sys_coarse();
  l->edges = l->poller != NULL && l->poller->ops->edges;
  if (err == 0)
    err = heap_reserve(&l->timers, 8);
  if (err < 0)
    loop_close(l);
  return err;
}

void loop_close(struct loop *l) {
  if (l->poller != NULL)
    l->poller->ops->close(l->poller);
  l->poller = NULL;
  heap_free(&l->timers);
  free(l->slots);
  l->slots = NULL;
  l->nslots = l->freeslot = 0;
  sys_forkmark_free(l->mark);
  l->mark = NULL;
}

int loop_reset(struct loop *l, const char *poller) {
  uint32_t i;
  int err;
  struct poller *fresh = poller_open(poller, &err);
  if (fresh == NULL)
    return err;
  l->poller->ops->close(l->poller);
  l->poller = fresh;
  for (i = 1; i < l->nslots; i++) {
    struct watch *at = l->slots[i].at;
    if (at == NULL)
      continue;
    at->armed = 0;
    at->ready |= POLLER_IN | POLLER_OUT;
    at->shared = true;
  }
  if (l->mark != NULL)
    *l->mark = 1;
  l->pid = sys_pid();
  return 0;
}

bool loop_forked(const struct loop *l) {
  return l->mark != NULL ? *l->mark == 0 : l->pid != sys_pid();
}

void watch_init(struct watch *at, int fd) {
  memset(at, 0, sizeof *at);
  at->fd = fd;
}

void wait_init(struct wait *w) {
  memset(w, 0, sizeof *w);
  list_init(&w->node);
}

/* Slot 0 stays unused: a watch that has it was never armed. */
static int grow_slots(struct loop *l) {
  uint32_t i, n = l->nslots ? l->nslots * 2 : 16;
  struct slot *slots = realloc(l->slots, n * sizeof *slots);
  if (slots == NULL)
    return -ENOMEM;
  memset(slots + l->nslots, 0, (n - l->nslots) * sizeof *slots);
  for (i = n - 1; i >= l->nslots && i > 0; i--) {
    slots[i].nextfree = l->freeslot;
    l->freeslot = i;
  }
  l->slots = slots;
  l->nslots = n;
  return 0;
}

static int take_slot(struct loop *l, struct watch *at) {
  struct slot *s;
  if (at->slot != 0)
    return 0;
  if (l->freeslot == 0 && grow_slots(l) < 0)
    return -ENOMEM;
  at->slot = l->freeslot;
  s = &l->slots[at->slot];
  l->freeslot = s->nextfree;
  s->at = at;
  return 0;
}

static void give_slot(struct loop *l, struct watch *at) {
  struct slot *s;
  if (at->slot == 0 || at->slot >= l->nslots)
    return;
  s = &l->slots[at->slot];
  s->at = NULL;
  s->generation++;
  s->nextfree = l->freeslot;
  l->freeslot = at->slot;
  at->slot = 0;
}

/* Tells the poller what is wanted of the descriptor. */
static int arm(struct loop *l, struct watch *at, unsigned want) {
  int armed, err;
  uint64_t token;
  if (l->poller == NULL)
    return -EBADF; /* closed */
  err = take_slot(l, at);
  if (err < 0)
    return err;
  token = (uint64_t)l->slots[at->slot].generation << 32 | at->slot;
  if (at->level)
    want |= POLLER_LEVEL;
  armed = l->poller->ops->arm(l->poller, at->fd, token, want, at->armed);
  if (armed < 0) {
    if (at->armed == 0)
      give_slot(l, at);
    at->plain = armed == -EPERM;
    return at->plain ? 0 : armed;
  }
  at->armed = (uint8_t)armed;
  return 0;
}

void loop_report(struct loop *l, struct watch *at, unsigned ready) {
  at->ready |= (uint8_t)ready;
  if (ready & POLLER_IN && at->shared)
    sys_raise(at->fd);
  if (ready & POLLER_IN && at->rd != NULL)
    loop_wake(l, at->rd, 0);
  if (ready & POLLER_OUT && at->wr != NULL)
    loop_wake(l, at->wr, 0);
}

void loop_unreport(struct watch *at) {
  if (at->hollow && at->shared)
    sys_drain(at->fd);
}

int loop_bell(struct loop *l, struct watch *at) {
  at->bell = true;
  return arm(l, at, POLLER_IN);
}

static void start(struct loop *l, struct wait *w, bool external) {
  w->state = WAIT_WAITING;
  w->external = external;
  w->result = 0;
  if (external)
    l->external++;
}

/* What somebody waits for already. */
static unsigned waited(const struct watch *at) {
  return (at->rd != NULL ? (unsigned)at->rdwant : 0) |
         (at->wr != NULL ? (unsigned)POLLER_OUT : 0);
}

int loop_wait_fd(struct loop *l, struct wait *w, struct watch *at,
                 unsigned want, bool once) {
  bool armed = at->hollow || (l->edges && !once && (at->armed & want) == want);
  int err;
  const unsigned reads = want & (POLLER_IN | POLLER_ERR);
  if ((reads && at->rd != NULL) || (want & POLLER_OUT && at->wr != NULL))
    return -EBUSY;
  err = armed ? 0 : arm(l, at, once ? want | POLLER_ONCE : want | waited(at));
  if (err < 0)
    return err;
  start(l, w, true);
  if (reads) {
    at->rd = w;
    at->rdwant = (uint8_t)reads;
  }
  if (want & POLLER_OUT)
    at->wr = w;
  w->at = at;
  if (at->plain) {
    at->ready |= (uint8_t)want;
    loop_wake(l, w, 0);
  }
  return 0;
}

void loop_park(struct loop *l, struct wait *w, struct list *queue,
               bool external) {
  start(l, w, external);
  if (queue != NULL)
    list_append(queue, &w->node);
}

/* Off whatever it waits on. */
static void detach(struct loop *l, struct wait *w) {
  if (w->at != NULL && w->at->rd == w)
    w->at->rd = NULL;
  if (w->at != NULL && w->at->wr == w)
    w->at->wr = NULL;
  w->at = NULL;
  list_remove(&w->node);
  if (w->external)
    l->external--;
  w->external = false;
}

void loop_wake(struct loop *l, struct wait *w, int result) {
  if (w->state != WAIT_WAITING)
    return;
  detach(l, w);
  w->state = WAIT_READY;
  w->result = result;
  list_append(&l->ready, &w->node);
}

void loop_wake_all(struct loop *l, struct list *queue, int result) {
  while (!list_empty(queue))
    loop_wake(l, container_of(queue->next, struct wait, node), result);
}

void loop_unlock(struct loop *l, struct lock *k, int result) {
  loop_wake_all(l, &k->queue, result);
  if (k->owner != NULL)
    k->owner->held = NULL;
  k->owner = NULL;
}

void loop_release(struct loop *l, struct wait *w) {
  struct lock *k = w->held;
  if (k == NULL)
    return;
  w->held = NULL;
  k->owner = NULL;
  if (!list_empty(&k->queue)) {
    struct wait *next = container_of(k->queue.next, struct wait, node);
    lock_take(k, next);
    loop_wake(l, next, 0);
  }
}

void loop_external(struct loop *l, struct wait *w) {
  if (!w->external)
    l->external++;
  w->external = true;
}

void loop_unwait(struct loop *l, struct wait *w) {
  detach(l, w);
  w->state = WAIT_IDLE;
}

void loop_forget(struct loop *l, struct wait *w) {
  loop_release(l, w);
  loop_unwait(l, w);
  heap_remove(&l->timers, &w->timer);
}

void loop_drop(struct loop *l, struct watch *at, bool closing, int result) {
  if (l->poller != NULL && at->armed != 0 && !loop_forked(l))
    l->poller->ops->drop(l->poller, at->fd,
                         closing && !at->shared && !at->level);
  give_slot(l, at);
  at->armed = 0;
  at->ready = 0;
  if (at->rd != NULL)
    loop_wake(l, at->rd, result);
  if (at->wr != NULL)
    loop_wake(l, at->wr, result);
}

void loop_timer(struct loop *l, struct wait *w, int64_t due) {
  if (w->timer.at == 0 || w->timer.due > due)
    heap_set(&l->timers, &w->timer, due);
}

/* What nobody waits for must not be reported again and again. */
static void quieten(struct loop *l, struct watch *at, unsigned events) {
  unsigned want = waited(at);
  unsigned told = (events & POLLER_OUT) |
                  (events & ~(unsigned)POLLER_OUT ? (unsigned)POLLER_IN : 0);
  if (want == 0) {
    l->poller->ops->drop(l->poller, at->fd, 0);
    at->armed = 0;
  } else if (told & ~want && at->armed & ~want & (POLLER_IN | POLLER_OUT)) {
    arm(l, at, want);
  }
}

static void dispatch(struct loop *l, const struct poller_event *e) {
  uint32_t slot = (uint32_t)e->token;
  struct watch *at = slot < l->nslots ? l->slots[slot].at : NULL;
  if (at == NULL || l->slots[slot].generation != (uint32_t)(e->token >> 32))
    return;
  at->ready |= (uint8_t)e->events;
  if (at->bell) {
    l->rang(l, at);
    if (at->slot == slot)
      arm(l, at, POLLER_IN);
    return;
  }
  if (at->level)
    quieten(l, at, e->events);
  if (at->rd != NULL && e->events & ~(unsigned)POLLER_OUT)
    loop_wake(l, at->rd, 0);
  if (at->wr != NULL && e->events & (POLLER_OUT | POLLER_HUP | POLLER_ERR))
    loop_wake(l, at->wr, 0);
}

/* A timer is moved lazily: what it is set to may be long past its purpose. */
static void set_right(struct loop *l, struct wait *w) {
  int64_t due = w->state == WAIT_WAITING ? l->due(w) : SYS_FOREVER;
  if (due == SYS_FOREVER)
    heap_remove(&l->timers, &w->timer);
  else
    heap_set(&l->timers, &w->timer, due);
}

static void fire_timers(struct loop *l) {
  struct timer *t = heap_nearest(&l->timers);
  int64_t now;
  if (t == NULL)
    return;
  for (now = sys_now(); t != NULL && t->due <= now;
       t = heap_nearest(&l->timers)) {
    struct wait *w = container_of(t, struct wait, timer);
    set_right(l, w);
    if (t->at != 0 && t->due <= now) {
      heap_remove(&l->timers, t);
      loop_wake(l, w, -ETIMEDOUT);
    }
  }
}

int64_t loop_exactly_due(struct loop *l) {
  struct timer *t;
  while ((t = heap_nearest(&l->timers)) != NULL) {
    int64_t due = t->due;
    set_right(l, container_of(t, struct wait, timer));
    if (t->at != 0 && t->due == due)
      break;
  }
  return loop_due(l);
}

int64_t loop_due(const struct loop *l) {
  struct timer *t = heap_nearest(&l->timers);
  int64_t now;
  if (!list_empty(&l->ready))
    return 0;
  if (t == NULL)
    return SYS_FOREVER;
  now = sys_now();
  return t->due <= now ? 0 : t->due - now;
}

int loop_turn(struct loop *l, int64_t timeout) {
  struct poller_event events[MAX_EVENTS];
  int64_t due = loop_due(l);
  int i, n;
  n = l->poller->ops->wait(l->poller, due < timeout ? due : timeout, events,
                           MAX_EVENTS);
  l->now = sys_coarse();
  l->turns++;
  l->eager = false;
  for (i = 0; i < n; i++)
    dispatch(l, &events[i]);
  fire_timers(l);
  return n < 0 ? n : 0;
}
