/* SPDX-License-Identifier: MIT
 * Linux's epoll: edges, so that a descriptor is registered once and never
 * touched again until it is closed. */
#include "sys/poller.h"

#ifdef __linux__

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/util.h"
#include "sys/clock.h"

enum { MAX_EVENTS = 256 };

struct epoller {
  struct poller base;
  int fd;
  struct epoll_event events[MAX_EVENTS];
};

static uint32_t to_epoll(unsigned want) {
  uint32_t events = EPOLLET;
  if (want & POLLER_IN)
    events |= EPOLLIN | EPOLLRDHUP | EPOLLPRI;
  if (want & POLLER_ERR)
    events |= EPOLLPRI;
  if (want & POLLER_OUT)
    events |= EPOLLOUT;
  if (want & POLLER_ONCE)
    events |= EPOLLONESHOT;
  if (want & (POLLER_ONCE | POLLER_LEVEL))
    events &= ~(uint32_t)EPOLLET;
  return events;
}

static unsigned from_epoll(uint32_t events) {
  unsigned e = 0;
  if (events & EPOLLIN)
    e |= POLLER_IN;
  if (events & EPOLLOUT)
    e |= POLLER_OUT;
  if (events & EPOLLPRI)
    e |= POLLER_PRI;
  if (events & (EPOLLRDHUP | EPOLLHUP))
    e |= POLLER_HUP;
  if (events & EPOLLERR)
    e |= POLLER_ERR;
  return e;
}

/* A descriptor that is not ours may have been closed, or kept, behind our
 * back: then the other call is the right one. */
static int arm(struct poller *p, int fd, uint64_t token, unsigned want,
               unsigned had) {
  struct epoller *e = container_of(p, struct epoller, base);
  bool exactly = want & (POLLER_ONCE | POLLER_LEVEL);
  unsigned both = exactly ? want : want | had;
  struct epoll_event ev = {.events = to_epoll(both), .data.u64 = token};
  int op = had ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (both == had && !(want & POLLER_ONCE))
    return (int)had;
  if (epoll_ctl(e->fd, op, fd, &ev) == 0)
    return (int)both;
  if (errno == ENOENT || errno == EEXIST) {
    op = op == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(e->fd, op, fd, &ev) == 0)
      return (int)both;
  }
  return -errno;
}

static void drop(struct poller *p, int fd, int closing) {
  struct epoller *e = container_of(p, struct epoller, base);
  struct epoll_event unused = {0};
  if (!closing)
    epoll_ctl(e->fd, EPOLL_CTL_DEL, fd, &unused);
}

static int milliseconds(int64_t ns) {
  if (ns == SYS_FOREVER)
    return -1;
  return ns >= 1000000000000000 ? 1000000000 : (int)((ns + 999999) / 1000000);
}

static int wait_events(struct poller *p, int64_t timeout,
                       struct poller_event *out, int max) {
  struct epoller *e = container_of(p, struct epoller, base);
  int i, n;
  if (max > MAX_EVENTS)
    max = MAX_EVENTS;
  n = epoll_wait(e->fd, e->events, max, milliseconds(timeout));
  if (n == -1)
    return -errno;
  for (i = 0; i < n; i++) {
    out[i].token = e->events[i].data.u64;
    out[i].events = from_epoll(e->events[i].events);
  }
  return n;
}

static int pollfd(struct poller *p) {
  return container_of(p, struct epoller, base)->fd;
}

static void close_epoll(struct poller *p) {
  struct epoller *e = container_of(p, struct epoller, base);
  close(e->fd);
  free(e);
}

static const struct poller_ops ops = {
  .name = "epoll",
  .edges = true,
  .arm = arm,
  .drop = drop,
  .wait = wait_events,
  .fd = pollfd,
  .close = close_epoll,
};

struct poller *poller_open_epoll(int *err) {
  struct epoller *e = malloc(sizeof *e);
  if (e == NULL) {
    *err = -ENOMEM;
    return NULL;
  }
  e->base.ops = &ops;
  e->fd = epoll_create1(EPOLL_CLOEXEC);
  if (e->fd == -1) {
    *err = -errno;
    free(e);
    return NULL;
  }
  return &e->base;
}

#else

#include <errno.h>

struct poller *poller_open_epoll(int *err) {
  *err = -ENOSYS;
  return NULL;
}

#endif
