/* SPDX-License-Identifier: MIT */
#include "loop/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/util.h"
#include "sys/fd.h"

enum { QUEUED, RUNNING, CANCELLED, DONE, TAKEN };

/* Lives until the owner, each thread and each lookup have let it go. */
struct resolver {
  pthread_mutex_t lock;
  pthread_cond_t work;              /* there is some, or it is closed */
  struct list queue, running, done; /* of lookups */
  unsigned refs;                    /* the owner, threads, lookups */
  unsigned threads, idle, stuck;    /* threads: idle and at work */
  unsigned queued;
  int pair[2]; /* an eventfd twice, or a pipe: resolver_fd is the first */
  int pid;
  bool closed;
  bool forked; /* this is a child's copy, and there are no threads */
  bool torn;   /* and a thread was at work on it when the process forked */
  resolver_call *call;
};

static void free_lookup(struct lookup *q) {
  names_free(&q->answer);
  free((char *)q->query.host);
  free((char *)q->query.service);
  free(q);
}

/* With the lock held, which it lets go of. A condition variable that counts
 * the waiting threads of another process could not be destroyed. */
static void unlock_unref(struct resolver *r) {
  bool last = --r->refs == 0;
  pthread_mutex_unlock(&r->lock);
  if (!last)
    return;
  if (!r->forked) {
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
  }
  free(r);
}

static void close_fds(struct resolver *r) {
  if (r->pair[0] >= 0)
    sys_close(r->pair[0]);
  if (r->pair[1] != r->pair[0])
    sys_close(r->pair[1]);
  r->pair[0] = r->pair[1] = -1;
}

/* In a child the threads are gone, with whatever they held. */
static void drop_threads(struct resolver *r) {
  r->refs -= r->threads + r->stuck;
  r->threads = r->idle = r->stuck = 0;
  while (!list_empty(&r->running)) {
    struct lookup *q = container_of(r->running.next, struct lookup, node);
    list_remove(&q->node);
    if (q->state == CANCELLED)
      free_lookup(q);
    else
      q->state = TAKEN;
  }
}

/* Takes the lock; false if nothing here may be touched: in a child whose copy
 * is torn. Such a copy is left where it is. */
static bool enter(struct resolver *r) {
  if (r->pid == sys_pid()) {
    pthread_mutex_lock(&r->lock);
    return true;
  }
  if (!r->forked) {
    r->forked = r->closed = true;
    close_fds(r);
    r->torn = pthread_mutex_trylock(&r->lock) != 0;
    if (!r->torn)
      drop_threads(r);
  } else if (!r->torn) {
    pthread_mutex_lock(&r->lock);
  }
  return !r->torn;
}

/* One byte is enough for any number of them; so a full pipe is no failure. */
static void ring(struct resolver *r) {
  uint64_t one = 1;
  struct iovec iov = {&one, sizeof one};
  if (!r->closed)
    sys_writev(r->pair[1], &iov, 1);
}

static void finish(struct resolver *r, struct lookup *q, int result) {
  q->result = result;
  q->state = DONE;
  list_append(&r->done, &q->node);
  ring(r);
}

static void fail_queue(struct resolver *r, int err) {
  while (!list_empty(&r->queue)) {
    struct lookup *q = container_of(r->queue.next, struct lookup, node);
    list_remove(&q->node);
    finish(r, q, err);
  }
  r->queued = 0;
}

/* Waits for a lookup to work on; NULL after a long idle time or at the end. */
static struct lookup *next(struct resolver *r) {
  struct lookup *q;
  struct timespec until;
  int err = 0;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += RESOLVER_IDLE;
  while (!r->closed && list_empty(&r->queue) && err == 0)
    err = pthread_cond_timedwait(&r->work, &r->lock, &until);
  if (r->closed || list_empty(&r->queue))
    return NULL;
  q = container_of(r->queue.next, struct lookup, node);
  list_remove(&q->node);
  r->queued--;
  return q;
}

/* A thread that was stuck is one of the others again. */
static void serve(struct resolver *r, struct lookup *q) {
  resolver_call *call = r->call;
  int result;
  q->state = RUNNING;
  r->idle--;
  list_append(&r->running, &q->node);
  pthread_mutex_unlock(&r->lock);
  result = call(&q->query, &q->answer);
  pthread_mutex_lock(&r->lock);
  list_remove(&q->node);
  r->idle++;
  if (q->state == RUNNING) {
    finish(r, q, result);
    return;
  }
  r->stuck--;
  r->threads++;
  free_lookup(q);
}

static void *work(void *arg) {
  struct resolver *r = arg;
  struct lookup *q;
  pthread_mutex_lock(&r->lock);
  while (r->threads <= RESOLVER_THREADS && (q = next(r)) != NULL)
    serve(r, q);
  r->threads--;
  r->idle--;
  unlock_unref(r);
  return NULL;
}

/* The new thread inherits its mask of signals: all are blocked. */
static int start(struct resolver *r) {
  pthread_attr_t attr;
  pthread_t thread;
  sigset_t all, old;
  int err = pthread_attr_init(&attr);
  if (err != 0)
    return -err;
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, RESOLVER_STACK);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  err = pthread_create(&thread, &attr, work, r);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  if (err != 0)
    return -err;
  r->threads++;
  r->idle++;
  r->refs++;
  return 0;
}

/* Sees to it that what is queued is worked on. A failure to start a thread
 * is one only if there is no other. */
static int staff(struct resolver *r) {
  int err = 0;
  pthread_cond_signal(&r->work);
  while (err == 0 && r->queued > r->idle && r->threads < RESOLVER_THREADS &&
         r->threads + r->stuck < RESOLVER_STUCK)
    err = start(r);
  return r->threads > 0 ? 0 : err;
}

static int init_locks(struct resolver *r) {
  pthread_condattr_t attr;
  int err = pthread_condattr_init(&attr);
  if (err != 0)
    return -err;
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  err = pthread_cond_init(&r->work, &attr);
  pthread_condattr_destroy(&attr);
  if (err != 0)
    return -err;
  err = pthread_mutex_init(&r->lock, NULL);
  if (err != 0)
    pthread_cond_destroy(&r->work);
  return -err;
}

struct resolver *resolver_open(int *err) {
  struct resolver *r = calloc(1, sizeof *r);
  *err = r != NULL ? sys_eventfd(r->pair) : -ENOMEM;
  if (*err == 0 && (*err = init_locks(r)) < 0)
    close_fds(r);
  if (*err < 0) {
    free(r);
    return NULL;
  }
  list_init(&r->queue);
  list_init(&r->running);
  list_init(&r->done);
  r->refs = 1;
  r->pid = sys_pid();
  r->call = names_ask;
  return r;
}

void resolver_close(struct resolver *r) {
  if (!enter(r))
    return;
  r->closed = true;
  close_fds(r);
  if (!r->forked)
    pthread_cond_broadcast(&r->work);
  unlock_unref(r);
}

int resolver_fd(const struct resolver *r) {
  return r->pair[0];
}

void resolver_calls(struct resolver *r, resolver_call *call) {
  if (!enter(r))
    return;
  r->call = call;
  pthread_mutex_unlock(&r->lock);
}

static bool copy_text(const char **to, const char *from) {
  *to = from != NULL ? strdup(from) : NULL;
  return from == NULL || *to != NULL;
}

static struct lookup *new_lookup(struct resolver *r,
                                 const struct names_query *what) {
  struct lookup *q = calloc(1, sizeof *q);
  if (q == NULL)
    return NULL;
  q->owner = r;
  q->query = *what;
  q->query.host = q->query.service = NULL;
  list_init(&q->node);
  if (copy_text(&q->query.host, what->host) &&
      copy_text(&q->query.service, what->service))
    return q;
  free_lookup(q);
  return NULL;
}

/* Puts it into the queue, or takes it out again if nobody could serve it. */
static int enqueue(struct resolver *r, struct lookup *q) {
  int err;
  if (r->closed)
    return -ECHILD;
  if (r->stuck >= RESOLVER_STUCK)
    return ERR_EAI_AGAIN;
  list_append(&r->queue, &q->node);
  r->queued++;
  err = staff(r);
  if (err < 0) {
    list_remove(&q->node);
    r->queued--;
    return err;
  }
  r->refs++;
  return 0;
}

int resolver_ask(struct resolver *r, const struct names_query *what,
                 struct lookup **q) {
  int err;
  struct lookup *new = new_lookup(r, what);
  if (new == NULL)
    return ERR_EAI_MEMORY;
  err = -ECHILD;
  if (enter(r)) {
    err = enqueue(r, new);
    pthread_mutex_unlock(&r->lock);
  }
  if (err < 0) {
    free_lookup(new);
    return err;
  }
  *q = new;
  return 0;
}

/* They ring under the lock: after this drain none can have been missed. */
struct lookup *resolver_done(struct resolver *r) {
  struct lookup *q = NULL;
  if (!enter(r))
    return NULL;
  if (!list_empty(&r->done)) {
    q = container_of(r->done.next, struct lookup, node);
    list_remove(&q->node);
    q->state = TAKEN;
  } else if (!r->closed) {
    sys_drain(r->pair[0]);
  }
  pthread_mutex_unlock(&r->lock);
  return q;
}

/* Its thread is stuck from now on, and another may take its place. */
static void strand(struct resolver *r, struct lookup *q) {
  int err;
  q->state = CANCELLED;
  r->threads--;
  r->stuck++;
  if (r->stuck >= RESOLVER_STUCK)
    fail_queue(r, ERR_EAI_AGAIN);
  else if (!r->closed && r->queued > 0 && (err = staff(r)) < 0)
    fail_queue(r, err);
}

void lookup_cancel(struct lookup *q) {
  struct resolver *r = q->owner;
  if (!enter(r))
    return;
  if (q->state == RUNNING) {
    strand(r, q);
  } else {
    if (q->state == QUEUED)
      r->queued--;
    list_remove(&q->node);
    free_lookup(q);
  }
  unlock_unref(r);
}
