/* SPDX-License-Identifier: MIT
 * Packet sockets and their ring on the loopback of a new network namespace:
 * needs root. */
#include "sys/packet.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#include "check.h"
#include "sys/fd.h"
#include "sys/iface.h"
#include "sys/sock.h"

enum { SKIPPED = 77, IP = 0x0800, MANY = 2000, SIZE = 300 };

#ifdef __linux__

static unsigned lo;
static int from, to; /* UDP, connected to each other */
static struct addr target;

static void make_udp(void) {
  CHECK(addr_ip(&target, "127.0.0.1", 9, 0) == 0);
  to = sock_open(AF_INET, SOCK_DGRAM, 0);
  from = sock_open(AF_INET, SOCK_DGRAM, 0);
  CHECK(sock_bind(to, &target) == 0 && sock_name(to, &target) == 0);
  CHECK(sock_connect(from, &target) == 0);
}

static void send_one(unsigned number) {
  unsigned char data[SIZE] = {0};
  memcpy(data, &number, sizeof number);
  CHECK(sys_send(from, data, sizeof data) == SIZE);
}

static int waits(int fd, int ms) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, ms);
}

static ssize_t receive(int fd, void *bytes, size_t len, struct addr *a) {
  a->len = sizeof a->u;
  return recvfrom(fd, bytes, len, 0, &a->u.sa, &a->len);
}

/* Nothing before the bind; then each datagram is seen leave and arrive. */
static void test_plain(void) {
  unsigned char bytes[2048];
  struct addr a;
  struct packet_from p;
  struct packet_stats s;
  int fd = packet_open(false);
  CHECK(fd >= 0);
  send_one(1);
  CHECK(waits(fd, 20) == 0);
  CHECK(packet_bind(fd, lo, IP) == 0);
  CHECK(waits(fd, 20) == 0);
  send_one(2);
  CHECK(waits(fd, 1000) == 1);
  CHECK(receive(fd, bytes, sizeof bytes, &a) == 14 + 20 + 8 + SIZE);
  CHECK(packet_from(&a, &p) && p.ifindex == lo && p.protocol == IP);
  CHECK(p.hatype == (unsigned)iface_linktype(lo));
  CHECK(p.maclen == 6 && strcmp(packet_typename(p.type), "host") == 0);
  CHECK(packet_statistics(fd, &s) == 0 && s.packets == 1 && s.drops == 0);
  CHECK(packet_statistics(fd, &s) == 0 && s.packets == 0);
  CHECK(packet_promiscuous(fd, lo, true) == 0);
  CHECK(packet_promiscuous(fd, lo, false) == 0);
  CHECK(packet_promiscuous(fd, 1 << 30, true) == -ENODEV);
  CHECK(packet_bind(fd, 1 << 30, IP) == -ENODEV);
  close(fd);
}

static void test_fanout(void) {
  int a = packet_open(true), b = packet_open(true);
  CHECK(packet_bind(a, lo, IP) == 0 && packet_bind(b, lo, IP) == 0);
  CHECK(packet_fanout(a, 77, packet_fanoutmode("lb"), 0) == 0);
  CHECK(packet_fanout(b, 77, packet_fanoutmode("hash"), 0) == -EINVAL);
  CHECK(packet_fanout(b, 77, packet_fanoutmode("lb"), 0) == 0);
  send_one(1);
  send_one(2);
  CHECK(waits(a, 1000) == 1 && waits(b, 1000) == 1);
  close(a);
  close(b);
}

/* As many as the ring holds, each whole and in order. */
static void test_many(void) {
  struct ring_config c = {.block_size = 1 << 16, .blocks = 32};
  struct ring r;
  struct ring_packet p;
  struct packet_stats s;
  unsigned number, want;
  int fd = packet_open(true);
  CHECK(ring_open(&r, fd, &c) == 0 && packet_bind(fd, lo, IP) == 0);
  CHECK(!ring_ready(&r) && !ring_next(&r, &p));
  for (want = 0; want < MANY; want++)
    send_one(want);
  for (want = 0; want < MANY;) {
    CHECK(waits(fd, 1000) == 1);
    while (ring_next(&r, &p)) {
      CHECK(p.length == 28 + SIZE && p.snaplen == p.length && p.sec > 0);
      memcpy(&number, (const char *)p.data + 28, sizeof number);
      CHECK(number == want++);
    }
  }
  CHECK(waits(fd, 30) == 0 && !ring_ready(&r));
  CHECK(packet_statistics(fd, &s) == 0 && s.packets == MANY && s.drops == 0);
  ring_close(&r);
  ring_close(&r);
  close(fd);
}

/* A ring that no one reads is full some time, counts what it drops, and goes
 * on when it is read. */
static void test_full(void) {
  struct ring_config c = {.block_size = 4096, .blocks = 2};
  struct ring r;
  struct ring_packet p;
  struct packet_stats s;
  unsigned i, n = 0;
  int fd = packet_open(true);
  CHECK(ring_open(&r, fd, &c) == 0 && packet_bind(fd, lo, IP) == 0);
  for (i = 0; i < 100; i++)
    send_one(i);
  while (ring_next(&r, &p))
    n++;
  CHECK(n > 0 && n < 100);
  CHECK(packet_statistics(fd, &s) == 0 && s.packets == 100);
  CHECK(s.drops > 0 && s.freezes > 0);
  send_one(1);
  CHECK(waits(fd, 1000) == 1 && ring_next(&r, &p));
  ring_close(&r);
  close(fd);
}

static void test_refused(void) {
  struct ring r;
  struct ring_config c = {.block_size = 1000};
  int fd = packet_open(true);
  CHECK(ring_open(&r, fd, &c) == -EINVAL && r.map == NULL);
  c.block_size = 1 << 30;
  c.blocks = 1 << 30;
  CHECK(ring_open(&r, fd, &c) == -EINVAL);
  CHECK(ring_open(&r, -1, &(struct ring_config){0}) == -EBADF);
  close(fd);
}

int main(void) {
  int passed = 0;
  if (unshare(CLONE_NEWNET) == -1 || iface_setup("lo", true) < 0) {
    printf("needs root\n");
    return SKIPPED;
  }
  lo = (unsigned)iface_index("lo", 2);
  make_udp();
  RUN(test_plain);
  RUN(test_fanout);
  RUN(test_many);
  RUN(test_full);
  RUN(test_refused);
  printf("%d passed\n", passed);
  return 0;
}

#else

int main(void) {
  printf("needs Linux\n");
  return SKIPPED;
}

#endif
