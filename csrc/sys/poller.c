/* SPDX-License-Identifier: MIT
 * Which poller: the one that was asked for, or the best that is there. */
#include "sys/poller.h"

#include <errno.h>
#include <string.h>

struct poller *poller_open(const char *name, int *err) {
  struct poller *p;
  *err = 0;
  if (name != NULL && strcmp(name, "epoll") == 0)
    return poller_open_epoll(err);
  if (name != NULL && strcmp(name, "poll") == 0)
    return poller_open_poll(err);
  if (name != NULL && *name != '\0') {
    *err = -EINVAL;
    return NULL;
  }
  p = poller_open_epoll(err);
  return p == NULL && *err == -ENOSYS ? poller_open_poll(err) : p;
}
