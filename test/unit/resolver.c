/* SPDX-License-Identifier: MIT
 * The resolver's pool, with lookups that take as long as the test likes. */
#include "loop/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool is_open;
static atomic_int calls, at_once, most, signals_open;

static void set_gate(bool to) {
  pthread_mutex_lock(&gate);
  is_open = to;
  pthread_cond_broadcast(&opened);
  pthread_mutex_unlock(&gate);
}

static void note_signals(void) {
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, NULL, &now);
  if (!sigismember(&now, SIGTERM) || !sigismember(&now, SIGUSR1))
    signals_open++;
}

/* Answers with its host, once the gate is open or at once if it is "now". */
static int held(const struct names_query *q, struct names_answer *a) {
  int n = ++at_once;
  int seen = most;
  while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
    continue;
  calls++;
  note_signals();
  pthread_mutex_lock(&gate);
  while (!is_open && strcmp(q->host, "now") != 0)
    pthread_cond_wait(&opened, &gate);
  pthread_mutex_unlock(&gate);
  at_once--;
  a->host = strdup(q->host);
  return strcmp(q->host, "bad") == 0 ? ERR_EAI_NONAME : 0;
}

static struct resolver *fresh(void) {
  int err;
  struct resolver *r = resolver_open(&err);
  CHECK(r != NULL && err == 0);
  resolver_calls(r, held);
  set_gate(false);
  calls = at_once = most = 0;
  return r;
}

static struct lookup *ask(struct resolver *r, const char *host) {
  struct names_query what = {.host = host};
  struct lookup *q = NULL;
  CHECK(resolver_ask(r, &what, &q) == 0);
  return q;
}

/* The next that is done, waited for. */
static struct lookup *await(struct resolver *r) {
  struct lookup *q;
  struct pollfd p = {.fd = resolver_fd(r), .events = POLLIN};
  while ((q = resolver_done(r)) == NULL)
    CHECK(poll(&p, 1, 20000) == 1);
  return q;
}

static void wait_calls(int n) {
  while (calls < n)
    usleep(1000);
}

static void test_real(void) {
  int err;
  struct resolver *r = resolver_open(&err);
  struct names_query what = {.host = "localhost",
                             .service = "80",
                             .family = AF_INET,
                             .socktype = SOCK_STREAM};
  struct lookup *q, *done;
  char text[ADDR_TEXTLEN];
  CHECK(resolver_done(r) == NULL);
  CHECK(resolver_ask(r, &what, &q) == 0);
  done = await(r);
  CHECK(done == q && q->result == 0 && q->answer.count >= 1);
  CHECK(strcmp(addr_text(&q->answer.found[0].addr, text), "127.0.0.1:80") == 0);
  lookup_cancel(q);
  what.service = "no-such-service";
  CHECK(resolver_ask(r, &what, &q) == 0);
  CHECK(await(r)->result == ERR_EAI_SERVICE);
  lookup_cancel(q);
  memset(&what, 0, sizeof what);
  CHECK(addr_ip(&what.addr, "127.0.0.1", 9, 80) == 0);
  what.flags = NI_NUMERICHOST | NI_NUMERICSERV;
  CHECK(resolver_ask(r, &what, &q) == 0);
  CHECK(await(r)->result == 0);
  CHECK(strcmp(q->answer.host, "127.0.0.1") == 0);
  CHECK(strcmp(q->answer.service, "80") == 0);
  lookup_cancel(q);
  resolver_close(r);
}

static void test_order_and_limit(void) {
  struct resolver *r = fresh();
  struct lookup *q[40];
  int i;
  for (i = 0; i < 40; i++)
    q[i] = ask(r, i % 2 ? "bad" : "good");
  wait_calls(RESOLVER_THREADS);
  usleep(20000);
  CHECK(calls == RESOLVER_THREADS);
  set_gate(true);
  for (i = 0; i < 40; i++)
    await(r);
  for (i = 0; i < 40; i++) {
    CHECK(q[i]->result == (i % 2 ? ERR_EAI_NONAME : 0));
    CHECK(i % 2 || strcmp(q[i]->answer.host, "good") == 0);
    lookup_cancel(q[i]);
  }
  CHECK(most <= RESOLVER_THREADS && signals_open == 0);
  CHECK(resolver_done(r) == NULL);
  resolver_close(r);
}

static void test_one_thread_is_enough(void) {
  struct resolver *r = fresh();
  int i;
  for (i = 0; i < 200; i++) {
    ask(r, "now");
    lookup_cancel(await(r));
  }
  CHECK(calls == 200 && most == 1);
  resolver_close(r);
}

static void test_cancelled_frees_its_place(void) {
  struct resolver *r = fresh();
  struct lookup *q[RESOLVER_THREADS], *last, *queued;
  int i;
  for (i = 0; i < RESOLVER_THREADS; i++)
    q[i] = ask(r, "stuck");
  wait_calls(RESOLVER_THREADS);
  queued = ask(r, "never");
  last = ask(r, "now");
  lookup_cancel(queued);
  CHECK(resolver_done(r) == NULL);
  lookup_cancel(q[3]);
  CHECK(await(r) == last);
  lookup_cancel(last);
  set_gate(true);
  for (i = 0; i < RESOLVER_THREADS - 1; i++)
    lookup_cancel(await(r));
  usleep(10000);
  CHECK(resolver_done(r) == NULL);
  resolver_close(r);
}

static void test_too_many_stuck(void) {
  struct resolver *r = fresh();
  struct names_query what = {.host = "more"};
  struct lookup *q[RESOLVER_THREADS], *waiting = NULL, *none;
  int i, n;
  for (n = 0; n < RESOLVER_STUCK; n += RESOLVER_THREADS) {
    for (i = 0; i < RESOLVER_THREADS; i++)
      q[i] = ask(r, "stuck");
    wait_calls(n + RESOLVER_THREADS);
    if (n + RESOLVER_THREADS == RESOLVER_STUCK)
      waiting = ask(r, "waiting");
    for (i = 0; i < RESOLVER_THREADS; i++)
      lookup_cancel(q[i]);
  }
  CHECK(await(r) == waiting && waiting->result == ERR_EAI_AGAIN);
  lookup_cancel(waiting);
  CHECK(resolver_ask(r, &what, &none) == ERR_EAI_AGAIN);
  CHECK(most <= RESOLVER_STUCK);
  set_gate(true);
  while (resolver_ask(r, &what, &none) == ERR_EAI_AGAIN)
    usleep(1000);
  CHECK(await(r) == none && none->result == 0);
  lookup_cancel(none);
  resolver_close(r);
}

static void test_close_first(void) {
  struct resolver *r = fresh();
  struct lookup *q[20];
  int i;
  for (i = 0; i < 20; i++)
    q[i] = ask(r, "stuck");
  wait_calls(RESOLVER_THREADS);
  lookup_cancel(q[0]);
  resolver_close(r);
  for (i = 1; i < 10; i++)
    lookup_cancel(q[i]);
  set_gate(true);
  usleep(20000);
  for (; i < 20; i++)
    lookup_cancel(q[i]);
}

/* In a child: no deadlock, no answer, and the parent's lookup goes on. */
static void fork_once(struct resolver *r, struct lookup *q,
                      struct lookup *cancelled_there) {
  struct names_query what = {.host = "now"};
  struct lookup *none;
  int status;
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    if (resolver_ask(r, &what, &none) != -ECHILD || resolver_done(r) != NULL)
      _exit(1);
    lookup_cancel(cancelled_there);
    resolver_close(r);
    lookup_cancel(q);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_fork(void) {
  struct resolver *r = fresh();
  struct lookup *q = ask(r, "held"), *other;
  ask(r, "now");
  lookup_cancel(await(r));
  other = ask(r, "held");
  wait_calls(3);
  fork_once(r, q, other);
  lookup_cancel(other);
  other = ask(r, "held");
  fork_once(r, q, other);
  set_gate(true);
  lookup_cancel(await(r));
  lookup_cancel(await(r));
  resolver_close(r);
}

/* Random lookups and cancels, and closes in the middle of them. */
static void test_stress(void) {
  unsigned seed = 1;
  int round;
  for (round = 0; round < 60; round++) {
    struct resolver *r = fresh();
    struct lookup *q[64] = {0}, *d;
    int i;
    set_gate(true);
    for (i = 0; i < 300; i++) {
      int at = rand_r(&seed) % 64;
      while ((d = resolver_done(r)) != NULL)
        d->user = d;
      if (q[at] != NULL)
        lookup_cancel(q[at]);
      q[at] = ask(r, "good");
      if (rand_r(&seed) % 16 == 0)
        usleep(100);
    }
    if (round % 2)
      resolver_close(r);
    for (i = 0; i < 64; i++)
      if (q[i] != NULL)
        lookup_cancel(q[i]);
    if (round % 2 == 0)
      resolver_close(r);
  }
}

int main(void) {
  int passed = 0;
  RUN(test_real);
  RUN(test_order_and_limit);
  RUN(test_one_thread_is_enough);
  RUN(test_cancelled_frees_its_place);
  RUN(test_too_many_stuck);
  RUN(test_close_first);
  RUN(test_fork);
  RUN(test_stress);
  printf("%d passed\n", passed);
  return 0;
}
