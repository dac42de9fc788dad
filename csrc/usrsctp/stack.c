/* SPDX-License-Identifier: MIT */
#include "usrsctp/stack.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <usrsctp.h>

#include "sys/entropy.h"
#include "sys/fd.h"
#include "usrsctp/digest.h"
#include "usrsctp/peer.h"

enum { TICK = 10 }; /* milliseconds: usrsctp's own */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
  unsigned users;
  bool up; /* usrsctp_init was called, and usrsctp_finish has not ended it */
  bool forked; /* and that was in the parent */
  bool busy;
  int64_t ticked;
  struct us_home *current;
  uint64_t key[2];
} stack;

char *us_room;

/* ---- the process ---- */

/* No other thread is here, and one may have held the lock. */
static void in_child(void) {
  pthread_mutex_init(&lock, NULL);
  stack.current = NULL;
  stack.forked = stack.up;
}

static void setup(void) {
  pthread_atfork(NULL, NULL, in_child);
}

int us_setup(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, setup);
  return 0;
}

bool us_enter(struct us_home *h) {
  if (stack.forked)
    return false;
  pthread_mutex_lock(&lock);
  stack.current = h;
  return true;
}

void us_leave(void) {
  stack.current = NULL;
  pthread_mutex_unlock(&lock);
}

/* ---- beginning and end ---- */

static void say_nothing(const char *format, ...) {
  (void)format;
}

/* usrsctp starts a thread, for changes of addresses, which idles: it is to see
 * no signal. ECN is off, since the carrier does not pass it on; sums are made
 * and checked by the carrier, which changes ports. */
static void init(void) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  usrsctp_init_nothreads(0, us_output, say_nothing);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  usrsctp_enable_crc32c_offload();
  usrsctp_sysctl_set_sctp_ecn_enable(0);
  usrsctp_sysctl_set_sctp_asconf_enable(0);
  usrsctp_sysctl_set_sctp_auto_asconf(0);
  usrsctp_sysctl_set_sctp_rto_initial_default(1000);
  usrsctp_sysctl_set_sctp_init_rto_max_default(5000);
  stack.ticked = us_now();
}

static int make_key(void) {
  return stack.key[0] == 0 ? sys_entropy(stack.key, sizeof stack.key) : 0;
}

int us_begin(void) {
  int err = make_key();
  if (err < 0)
    return err;
  if (us_room == NULL)
    us_room = malloc((size_t)US_BATCH * US_DATAGRAM);
  if (us_room == NULL)
    return -ENOMEM;
  if (!stack.up)
    init();
  stack.up = true;
  stack.users++;
  return 0;
}

/* usrsctp itself stays: after a second usrsctp_init its thread is missing, so
 * that it keeps something of each peer that there ever was (seen with 0.9.5).
 */
void us_end(void) {
  if (--stack.users > 0)
    return;
  free(us_room);
  us_room = NULL;
}

/* ---- time ---- */

int64_t us_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void us_pause(void) {
  struct timespec t = {0, 1000000};
  nanosleep(&t, NULL);
}

void us_busy(void) {
  stack.busy = true;
}

unsigned us_tick(void) {
  int64_t now = us_now(), passed = now - stack.ticked;
  if (passed < TICK || !stack.up)
    return 0;
  stack.ticked = now;
  usrsctp_handle_timers((uint32_t)passed);
  if (stack.current != NULL) {
    struct us_home *h = stack.current;
    h->quiet = stack.busy ? 0 : h->quiet + (unsigned)(passed & 0xffff);
    stack.busy = false;
  }
  return (unsigned)passed;
}

uint64_t us_digest(const void *bytes, size_t len) {
  return us_siphash(stack.key, bytes, len);
}

/* ---- homes ---- */

bool us_is_current(const struct us_home *h) {
  return stack.current == h;
}

void us_ring(struct us_home *h) {
  if (!h->rung)
    sys_raise(h->bell[1]);
  h->rung = true;
}

int us_home_open(struct us_home *h) {
  int err = us_setup();
  memset(h, 0, sizeof *h);
  list_init(&h->marked);
  list_init(&h->carriers);
  h->bell[0] = h->bell[1] = -1;
  return err < 0 ? err : sys_eventfd(h->bell);
}

void us_home_close(struct us_home *h) {
  if (h->bell[0] >= 0)
    sys_close(h->bell[0]);
  if (h->bell[1] >= 0 && h->bell[1] != h->bell[0])
    sys_close(h->bell[1]);
  h->bell[0] = h->bell[1] = -1;
}
