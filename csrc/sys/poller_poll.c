/* SPDX-License-Identifier: MIT
 * poll(2), for every other system and to test against: a table of what is
 * armed, from which each report takes away what it reported. */
#include "sys/poller.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "sys/clock.h"

struct ppoller {
  struct poller base;
  struct pollfd *fds;
  uint64_t *tokens;
  bool *once;
  int count, room;
  int next;   /* where the next scan begins, so that all get their turn */
  int *where; /* fd -> index + 1 */
  int nwhere;
};

#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

static short to_poll(unsigned want) {
  int events = 0;
  if (want & POLLER_IN)
    events |= POLLIN | POLLRDHUP | POLLPRI;
  if (want & POLLER_ERR)
    events |= POLLPRI;
  if (want & POLLER_OUT)
    events |= POLLOUT;
  return (short)events;
}

static unsigned from_poll(short events) {
  unsigned e = 0;
  if (events & POLLIN)
    e |= POLLER_IN;
  if (events & POLLOUT)
    e |= POLLER_OUT;
  if (events & POLLPRI)
    e |= POLLER_PRI;
  if (events & (POLLHUP | POLLRDHUP))
    e |= POLLER_HUP;
  if (events & (POLLERR | POLLNVAL))
    e |= POLLER_ERR;
  return e;
}

static int grow_where(struct ppoller *p, int fd) {
  int n = p->nwhere ? p->nwhere : 64;
  int *where;
  if (fd < p->nwhere)
    return 0;
  while (n <= fd)
    n *= 2;
  where = realloc(p->where, (size_t)n * sizeof *where);
  if (where == NULL)
    return -ENOMEM;
  memset(where + p->nwhere, 0, (size_t)(n - p->nwhere) * sizeof *where);
  p->where = where;
  p->nwhere = n;
  return 0;
}

static int grow_fds(struct ppoller *p) {
  size_t n = p->room ? (size_t)p->room * 2 : 32;
  void *fds, *tokens, *once;
  if (p->count < p->room)
    return 0;
  if ((fds = realloc(p->fds, n * sizeof *p->fds)) != NULL)
    p->fds = fds;
  if ((tokens = realloc(p->tokens, n * sizeof *p->tokens)) != NULL)
    p->tokens = tokens;
  if ((once = realloc(p->once, n * sizeof *p->once)) != NULL)
    p->once = once;
  if (fds == NULL || tokens == NULL || once == NULL)
    return -ENOMEM;
  p->room = (int)n;
  return 0;
}

/* As epoll does: a regular file cannot be waited for. */
static int check_new(int fd) {
  struct stat st;
  if (fstat(fd, &st) == -1)
    return -errno;
  return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : 0;
}

static int arm(struct poller *base, int fd, uint64_t token, unsigned want,
               unsigned had) {
  struct ppoller *p = container_of(base, struct ppoller, base);
  int at, err;
  (void)had;
  if (fd < 0)
    return -EBADF;
  if ((err = grow_where(p, fd)) < 0)
    return err;
  at = p->where[fd] - 1;
  if (at < 0) {
    if ((err = check_new(fd)) < 0 || (err = grow_fds(p)) < 0)
      return err;
    at = p->count++;
    p->where[fd] = at + 1;
    p->fds[at].fd = fd;
    p->fds[at].events = 0;
  }
  p->tokens[at] = token;
  p->once[at] = (want & POLLER_ONCE) != 0;
  p->fds[at].events = (short)(p->fds[at].events | to_poll(want));
  return (int)want;
}

static void drop(struct poller *base, int fd, int closing) {
  struct ppoller *p = container_of(base, struct ppoller, base);
  int at = fd >= 0 && fd < p->nwhere ? p->where[fd] - 1 : -1;
  int last = p->count - 1;
  (void)closing;
  if (at < 0)
    return;
  p->where[fd] = 0;
  p->count--;
  if (at == last)
    return;
  p->fds[at] = p->fds[last];
  p->tokens[at] = p->tokens[last];
  p->once[at] = p->once[last];
  p->where[p->fds[at].fd] = at + 1;
}

static int milliseconds(int64_t ns) {
  if (ns == SYS_FOREVER)
    return -1;
  return ns >= 1000000000000000 ? 1000000000 : (int)((ns + 999999) / 1000000);
}

/* What was reported is no longer asked for; nor is a hang-up, which poll
 * would report for ever: such a one is asked for nothing (a negative fd). */
static void reported(struct ppoller *p, int at) {
  struct pollfd *f = &p->fds[at];
  int told = f->revents;
  if (told & (POLLIN | POLLPRI | POLLRDHUP))
    told |= POLLIN | POLLPRI | POLLRDHUP;
  if (told & (POLLHUP | POLLERR | POLLNVAL) || p->once[at])
    f->events = 0;
  else
    f->events = (short)(f->events & ~told);
}

static int collect(struct ppoller *p, int found, struct poller_event *out,
                   int max) {
  int i, n = 0;
  for (i = 0; i < p->count && n < max && n < found; i++) {
    int at = (p->next + i) % p->count;
    if (p->fds[at].revents == 0)
      continue;
    out[n].token = p->tokens[at];
    out[n++].events = from_poll(p->fds[at].revents);
    reported(p, at);
  }
  if (p->count > 0)
    p->next = (p->next + i) % p->count;
  return n;
}

/* Entries that ask for nothing are hidden from poll(2), which would report
 * their hang-ups; ~fd is negative for every fd, and its own inverse. */
static void hide_idle(struct ppoller *p) {
  int i;
  for (i = 0; i < p->count; i++)
    if (p->fds[i].events == 0)
      p->fds[i].fd = ~p->fds[i].fd;
}

static void show_idle(struct ppoller *p) {
  int i;
  for (i = 0; i < p->count; i++)
    if (p->fds[i].fd < 0)
      p->fds[i].fd = ~p->fds[i].fd;
}

static int wait_events(struct poller *base, int64_t timeout,
                       struct poller_event *out, int max) {
  struct ppoller *p = container_of(base, struct ppoller, base);
  int n;
  hide_idle(p);
  n = poll(p->fds, (nfds_t)p->count, milliseconds(timeout));
  if (n == -1)
    n = -errno;
  show_idle(p);
  return n <= 0 ? n : collect(p, n, out, max);
}

static int no_fd(struct poller *p) {
  (void)p;
  return -ENOTSUP;
}

static void close_poll(struct poller *base) {
  struct ppoller *p = container_of(base, struct ppoller, base);
  free(p->fds);
  free(p->tokens);
  free(p->once);
  free(p->where);
  free(p);
}

static const struct poller_ops ops = {
  .name = "poll",
  .arm = arm,
  .drop = drop,
  .wait = wait_events,
  .fd = no_fd,
  .close = close_poll,
};

struct poller *poller_open_poll(int *err) {
  struct ppoller *p = calloc(1, sizeof *p);
  if (p == NULL) {
    *err = -ENOMEM;
    return NULL;
  }
  p->base.ops = &ops;
  return &p->base;
}
