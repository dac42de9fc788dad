/* SPDX-License-Identifier: MIT */
#include "sys/entropy.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

/* No descriptor is needed, and no file of a root that may have none. */
#ifdef __linux__
static ssize_t some(void *bytes, size_t n) {
  return getrandom(bytes, n, 0);
}
#else
enum { MOST = 256 }; /* that getentropy gives at once */

static ssize_t some(void *bytes, size_t n) {
  if (n > MOST)
    n = MOST;
  return getentropy(bytes, n) == 0 ? (ssize_t)n : -1;
}
#endif

int sys_entropy(void *bytes, size_t n) {
  char *to = bytes;
  while (n > 0) {
    ssize_t got = some(to, n);
    if (got > 0) {
      to += got;
      n -= (size_t)got;
    } else if (got == 0 || errno != EINTR)
      return got == 0 ? -EIO : -errno;
  }
  return 0;
}
