/* SPDX-License-Identifier: MIT
 * Groups: joined and left, and what is refused. */
#include "sys/mcast.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "sys/iface.h"

static unsigned lo;

static struct addr ip(const char *text) {
  struct addr a;
  CHECK(addr_ip(&a, text, strlen(text), 0) == 0);
  return a;
}

/* Returns what the change does on a new socket for every step of the list. */
static int change(int fd, enum mcast_op op, const char *group,
                  const char *source) {
  struct addr g = ip(group), s = {.len = 0};
  if (source != NULL)
    s = ip(source);
  return mcast_change(fd, op, lo, &g, source != NULL ? &s : NULL);
}

static void family(int af, const char *group, const char *source) {
  int fd = socket(af, SOCK_DGRAM, 0);
  if (fd == -1 && errno == EAFNOSUPPORT)
    return;
  CHECK(change(fd, MCAST_JOIN, group, NULL) == 0);
  CHECK(change(fd, MCAST_JOIN, group, NULL) == -EADDRINUSE);
  CHECK(change(fd, MCAST_BLOCK, group, source) == 0);
  CHECK(change(fd, MCAST_UNBLOCK, group, source) == 0);
  CHECK(change(fd, MCAST_UNBLOCK, group, source) == -EADDRNOTAVAIL);
  CHECK(change(fd, MCAST_LEAVE, group, NULL) == 0);
  CHECK(change(fd, MCAST_LEAVE, group, NULL) == -EADDRNOTAVAIL);
  CHECK(change(fd, MCAST_JOIN, group, source) == 0);
  CHECK(change(fd, MCAST_LEAVE, group, source) == 0);
  CHECK(mcast_sendby(fd, af, lo) == 0 && mcast_sendby(fd, af, 0) == 0);
  CHECK(mcast_sendby(fd, af, 1 << 30) < 0);
  close(fd);
}

static void test_families(void) {
  family(AF_INET, "239.1.2.3", "127.0.0.1");
  family(AF_INET6, "ff15::1", "::1");
}

static void test_refused(void) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(change(fd, MCAST_JOIN, "127.0.0.1", NULL) == -EINVAL);
  CHECK(change(fd, MCAST_JOIN, "fe80::1", NULL) == -EINVAL);
  CHECK(change(fd, MCAST_JOIN, "239.1.2.3", "::1") == -EINVAL);
  CHECK(change(fd, MCAST_BLOCK, "239.1.2.3", NULL) == -EINVAL);
  CHECK(change(fd, (enum mcast_op)9, "239.1.2.3", NULL) == -EINVAL);
  CHECK(mcast_sendby(fd, AF_UNIX, 0) == -EAFNOSUPPORT);
  close(fd);
  CHECK(change(-1, MCAST_JOIN, "239.1.2.3", NULL) == -EBADF);
}

int main(void) {
  int passed = 0;
  lo = (unsigned)iface_index("lo", 2);
  RUN(test_families);
  RUN(test_refused);
  printf("%d passed\n", passed);
  return 0;
}
