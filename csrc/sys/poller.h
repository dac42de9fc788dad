/* SPDX-License-Identifier: MIT
 * Readiness of descriptors, by whatever this system has. A descriptor is
 * armed for what is wanted; every report ends what it reported, as seen by
 * the caller, until it is armed again: epoll does so by edges, poll(2) by
 * leaving out what was reported. */
#ifndef NEAP_SYS_POLLER_H
#define NEAP_SYS_POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  POLLER_IN = 1,
  POLLER_OUT = 2,
  POLLER_PRI = 4,   /* an urgent mark */
  POLLER_HUP = 8,   /* the peer has closed its side, or both */
  POLLER_ERR = 16,  /* an error is pending, or the descriptor is not valid;
                       arm: for that alone */
  POLLER_ONCE = 32, /* arm: for one report, then for nothing (foreign fds) */
  POLLER_LEVEL = 64 /* arm: reported as long as it is so */
};

struct poller_event {
  uint64_t token;
  unsigned events;
};

struct poller; /* each implementation begins with its ops */

struct poller_ops {
  const char *name;
  bool edges; /* what is armed stays so: arming it again changes nothing */
  /* Reports `want` of fd under `token`; `had` is what it is armed for
   * already, 0 when fd is new here. Returns what it is armed for now, or
   * -errno (-EPERM: a regular file, always ready). */
  int (*arm)(struct poller *p, int fd, uint64_t token, unsigned want,
             unsigned had);
  /* Forgets fd. `closing`: the caller closes it next, and it has no
   * duplicates. */
  void (*drop)(struct poller *p, int fd, int closing);
  /* Waits at most `timeout` nanoseconds (SYS_FOREVER: for ever) and fills in
   * at most max events. Returns their number or -errno (-EINTR: a signal). */
  int (*wait)(struct poller *p, int64_t timeout, struct poller_event *events,
              int max);
  /* A descriptor that is readable when wait() would report, or -ENOTSUP. */
  int (*fd)(struct poller *p);
  void (*close)(struct poller *p);
};

struct poller {
  const struct poller_ops *ops;
};

/* Makes the one that `name` says ("epoll", "poll"), or the best if NULL.
 * Returns NULL and sets *err (-EINVAL for an unknown name). */
struct poller *poller_open(const char *name, int *err);
struct poller *poller_open_epoll(int *err); /* NULL, -ENOSYS elsewhere */
struct poller *poller_open_poll(int *err);

#endif
