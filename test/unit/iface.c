/* SPDX-License-Identifier: MIT
 * Interfaces, and those that end in a descriptor, in a new network namespace:
 * needs root, and /dev/net/tun. */
#include "sys/iface.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/if_arp.h>
#include <sched.h>
#endif

#include "check.h"
#include "sys/fd.h"
#include "sys/tun.h"

enum { SKIPPED = 77 };

static void test_names(void) {
  char name[IF_NAMELEN];
  int lo = iface_index("lo", 2);
  CHECK(lo > 0 && iface_name((unsigned)lo, name) == 0);
  CHECK(strcmp(name, "lo") == 0);
  CHECK(iface_index("", 0) == -EINVAL);
  CHECK(iface_index("lo\0", 3) == -EINVAL);
  CHECK(iface_index("a_name_too_long_", 16) == -EINVAL);
  CHECK(iface_index("none", 4) == -ENODEV);
  CHECK(iface_name(1 << 30, name) == -ENODEV && iface_name(0, name) < 0);
}

#ifdef __linux__

static struct addr ip(const char *text) {
  struct addr a;
  CHECK(addr_ip(&a, text, strlen(text), 0) == 0);
  return a;
}

static const struct iface *find(const struct iface *list, size_t n,
                                const char *name) {
  size_t i;
  for (i = 0; i < n; i++)
    if (strcmp(list[i].name, name) == 0)
      return &list[i];
  return NULL;
}

/* The prefix with which the interface has the address, or -1. */
static int has(const char *name, const struct addr *a) {
  struct iface *list;
  const struct iface *f;
  size_t n, i;
  int prefix = -1;
  char x[ADDR_IPLEN], y[ADDR_IPLEN];
  CHECK(iface_list(&list, &n) == 0);
  f = find(list, n, name);
  CHECK(f != NULL && addr_iptext(a, x) > 0);
  for (i = 0; i < f->naddrs; i++)
    if (addr_iptext(&f->addrs[i].addr, y) > 0 && strcmp(x, y) == 0)
      prefix = f->addrs[i].prefix;
  iface_free(list, n);
  return prefix;
}

static void test_what_it_is(void) {
  unsigned lo = (unsigned)iface_index("lo", 2);
  unsigned char mac[IF_MACLEN] = {9};
  CHECK(iface_linktype(lo) == ARPHRD_LOOPBACK);
  CHECK(iface_mac(lo, mac) == 6 && mac[0] == 0);
  CHECK(iface_mtu(lo) == 65536);
  CHECK(iface_linktype(1 << 30) == -ENODEV && iface_mac(0, mac) == -ENODEV);
}

static void test_modes(void) {
  char tun[IF_NAMELEN] = "", tap[IF_NAMELEN] = "mytap%d";
  unsigned char mac[IF_MACLEN];
  int a = tun_open(tun, 0), b = tun_open(tap, TUN_TAP);
  CHECK(a >= 0 && b >= 0);
  CHECK(strcmp(tun, "tun0") == 0 && strcmp(tap, "mytap0") == 0);
  CHECK(iface_linktype((unsigned)iface_index(tun, 4)) == ARPHRD_NONE);
  CHECK(iface_linktype((unsigned)iface_index(tap, 6)) == ARPHRD_ETHER);
  CHECK(iface_mac((unsigned)iface_index(tun, 4), mac) == 0);
  CHECK(iface_mac((unsigned)iface_index(tap, 6), mac) == 6);
  CHECK(tun_name(a, tun) == 0 && strcmp(tun, "tun0") == 0);
  CHECK(tun_name(b, tap) == TUN_TAP && strcmp(tap, "mytap0") == 0);
  CHECK(tun_name(0, tap) == -EINVAL && tun_name(-1, tap) == -EBADF);
  CHECK(tun_open(tun, 0) == -EBUSY);
  CHECK(tun_open(tun, TUN_TAP) == -EINVAL);
  close(a);
  close(b);
  CHECK(iface_index("tun0", 4) == -ENODEV);
}

static void test_persistent(void) {
  char name[IF_NAMELEN] = "stays";
  int fd = tun_open(name, TUN_TAP);
  CHECK(fd >= 0 && tun_persist(fd, true) == 0 && tun_owner(fd, 1) == 0);
  CHECK(tun_remove(name) == -EBUSY);
  close(fd);
  CHECK(iface_index("stays", 5) > 0);
  CHECK(tun_open(name, TUN_TAP | TUN_EXCLUSIVE) == -EBUSY);
  fd = tun_open(name, TUN_TAP);
  CHECK(fd >= 0);
  close(fd);
  CHECK(tun_remove(name) == 0 && iface_index("stays", 5) == -ENODEV);
  CHECK(tun_remove(name) == -ENODEV && iface_index("stays", 5) == -ENODEV);
  CHECK(tun_remove("lo") == -EINVAL);
}

static void test_configure(void) {
  char name[IF_NAMELEN] = "cfg";
  struct addr four = ip("10.1.2.3"), six = ip("fd00::1"), peer = ip("10.9.9.9");
  int fd = tun_open(name, 0);
  CHECK(iface_setup(name, true) == 0 && iface_setup(name, true) == 0);
  CHECK(iface_setmtu(name, 1400) == 0);
  CHECK(iface_mtu((unsigned)iface_index(name, 3)) == 1400);
  CHECK(iface_setmtu(name, 1) == -EINVAL && iface_setmtu(name, -1) == -EINVAL);
  CHECK(iface_addaddr(name, &four, 24, NULL) == 0 && has(name, &four) == 24);
  CHECK(iface_addaddr(name, &four, 24, NULL) == -EEXIST);
  CHECK(iface_deladdr(name, &four, 24, NULL) == 0 && has(name, &four) == -1);
  CHECK(iface_deladdr(name, &four, 24, NULL) == -EADDRNOTAVAIL);
  CHECK(iface_addaddr(name, &four, 32, &peer) == 0 && has(name, &four) == 32);
  CHECK(iface_addaddr(name, &six, 64, NULL) == 0 && has(name, &six) == 64);
  CHECK(iface_addaddr(name, &six, 64, NULL) == -EEXIST);
  CHECK(iface_deladdr(name, &six, 64, NULL) == 0 && has(name, &six) == -1);
  CHECK(iface_addaddr(name, &four, 33, NULL) == -EINVAL);
  CHECK(iface_addaddr(name, &six, 64, &peer) == -EINVAL);
  CHECK(iface_addaddr("none", &four, 24, NULL) == -ENODEV);
  CHECK(iface_setup("none", true) == -ENODEV);
  CHECK(iface_setup(name, false) == 0);
  close(fd);
}

/* What the system sends comes out whole, without a header before it. */
static void test_packet(void) {
  char name[IF_NAMELEN] = "";
  unsigned char bytes[2048];
  struct addr own = ip("10.1.2.3"), other = ip("10.1.2.4");
  struct pollfd p = {.events = POLLIN};
  ssize_t n = 0;
  int udp = socket(AF_INET, SOCK_DGRAM, 0), fd = tun_open(name, 0);
  CHECK(sys_read(fd, bytes, sizeof bytes) == -EAGAIN);
  CHECK(iface_addaddr(name, &own, 24, NULL) == 0);
  CHECK(iface_setup(name, true) == 0);
  addr_setport(&other, 7);
  CHECK(sendto(udp, "hello", 5, 0, &other.u.sa, other.len) == 5);
  p.fd = fd;
  do { /* IPv6 may look for its routers first */
    CHECK(poll(&p, 1, 1000) == 1);
    n = sys_read(fd, bytes, sizeof bytes);
  } while (n > 0 && bytes[0] >> 4 == 6);
  CHECK(n == 20 + 8 + 5 && memcmp(bytes + 28, "hello", 5) == 0);
  close(udp);
  close(fd);
}

int main(void) {
  int passed = 0;
  RUN(test_names);
  if (unshare(CLONE_NEWNET) == -1) {
    printf("needs root\n");
    return SKIPPED;
  }
  RUN(test_what_it_is);
  if (access("/dev/net/tun", R_OK | W_OK) == -1) {
    printf("needs /dev/net/tun\n");
    return SKIPPED;
  }
  RUN(test_modes);
  RUN(test_persistent);
  RUN(test_configure);
  RUN(test_packet);
  printf("%d passed\n", passed);
  return 0;
}

#else

int main(void) {
  test_names();
  printf("needs Linux\n");
  return SKIPPED;
}

#endif
