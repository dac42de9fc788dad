/* The C programs of datagrams and packets: each system call moves one
 * datagram, as it is mostly written; packets come through a ring.
 * SPDX-License-Identifier: MIT */
#include "reference.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "common.h"

enum { DATAGRAM = 65536, SOCKETS = 1024, LENGTHS = 65536 };

static char data[DATAGRAM];

static int bound_socket(int *port) {
  int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  struct sockaddr_in address = loopback(1, 0);
  socklen_t size = sizeof address;
  must(bind(fd, (struct sockaddr *)&address, size), "bind");
  must(getsockname(fd, (struct sockaddr *)&address, &size), "getsockname");
  *port = ntohs(address.sin_port);
  return fd;
}

/* What the load generator says by its environment. */
static double told(const char *name) {
  const char *value = getenv(name);
  return value ? atof(value) : 1;
}

void measure(double (*batch)(double n)) {
  double seconds = told("BENCH_SECONDS"), n = 1000;
  for (;;) {
    int64_t wall = clock_ns(CLOCK_MONOTONIC);
    int64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    double done = batch(n);
    double used = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9;
    double life = (double)(clock_ns(CLOCK_MONOTONIC) - wall) / 1e9;
    double spent = used > life / 2 ? used : life / 2;
    if (spent >= seconds) {
      printf("ops=%.0f wall=%.9f cpu=%.9f\n", done, life, used);
      fflush(stdout);
      return;
    }
    double more = 1.2 * seconds / (spent > 1e-4 ? spent : 1e-4);
    n *= more < 10 ? more : 10;
  }
}

/* -- echo ---------------------------------------------------------------- */

/* One receive and one send for each datagram: level-triggered, so that no
 * call is needed to see that a socket is empty. */
static void echo_datagrams(size_t size) {
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  struct epoll_event events[EVENTS];
  static int fds[SOCKETS];
  int count = (int)told("BENCH_COUNT"), port;
  for (int i = 0; i < count && i < SOCKETS; i++) {
    fds[i] = bound_socket(&port);
    set_nonblocking(fds[i]);
    watch(poller, EPOLL_CTL_ADD, fds[i], EPOLLIN, &fds[i]);
    printf("%d ", port);
  }
  printf("\n");
  fflush(stdout);
  for (;;) {
    int ready = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      int fd = *(int *)events[i].data.ptr;
      struct sockaddr_in from;
      socklen_t from_size = sizeof from;
      ssize_t n =
        recvfrom(fd, data, size, 0, (struct sockaddr *)&from, &from_size);
      if (n > 0)
        sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, from_size);
    }
  }
}

/* -- one way ------------------------------------------------------------- */

static int fd;
static size_t length;
static struct sockaddr_in to;

static double receive_datagrams(double n) {
  for (double i = 0; i < n; i++) {
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    must((int)recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from,
                       &from_size),
         "recvfrom");
  }
  return n;
}

static double send_datagrams(double n) {
  for (double i = 0; i < n; i++)
    must((int)sendto(fd, data, length, 0, (struct sockaddr *)&to, sizeof to),
         "sendto");
  return n;
}

static void receive_all(void) {
  int port;
  fd = bound_socket(&port);
  printf("%d\n", port);
  fflush(stdout);
  measure(receive_datagrams);
}

static void send_all(size_t size, int port) {
  int own;
  fd = bound_socket(&own);
  length = size;
  to = loopback(1, port);
  measure(send_datagrams);
}

/* -- capture ------------------------------------------------------------- */

/* The ring, as neap's is without being told: blocks of packets that the kernel
 * fills, and gives after 10 ms at the latest. */
enum { BLOCK_SIZE = 1 << 20, BLOCKS = 8, FRAME = 2048, PATIENCE = 10 };

static struct {
  char *map;
  unsigned at;
  uint64_t lengths[LENGTHS];
} ring;

static unsigned take_block(void) {
  struct tpacket_block_desc *block =
    (void *)(ring.map + (size_t)ring.at * BLOCK_SIZE);
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  while (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) &
           TP_STATUS_USER))
    poll(&ready, 1, -1);
  unsigned count = block->hdr.bh1.num_pkts;
  char *at = (char *)block + block->hdr.bh1.offset_to_first_pkt;
  for (unsigned i = 0; i < count; i++) {
    struct tpacket3_hdr *packet = (void *)at;
    ring.lengths[packet->tp_len % LENGTHS]++;
    at += packet->tp_next_offset;
  }
  __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL,
                   __ATOMIC_RELEASE);
  ring.at = (ring.at + 1) % BLOCKS;
  return count;
}

static double take_packets(double n) {
  double done = 0;
  while (done < n)
    done += take_block();
  return done;
}

static void capture(const char *interface) {
  struct tpacket_req3 want = {.tp_block_size = BLOCK_SIZE,
                              .tp_block_nr = BLOCKS,
                              .tp_frame_size = FRAME,
                              .tp_frame_nr = BLOCK_SIZE / FRAME * BLOCKS,
                              .tp_retire_blk_tov = PATIENCE};
  struct sockaddr_ll address = {
    .sll_family = AF_PACKET,
    .sll_protocol = htons(ETH_P_ALL),
    .sll_ifindex = (int)if_nametoindex(interface),
  };
  fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "packet socket");
  set(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V3);
  must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &want, sizeof want), "ring");
  ring.map = mmap(NULL, (size_t)BLOCK_SIZE * BLOCKS, PROT_READ | PROT_WRITE,
                  MAP_SHARED, fd, 0);
  if (ring.map == MAP_FAILED)
    die("mmap");
  must(bind(fd, (struct sockaddr *)&address, sizeof address), interface);
  printf("0\n");
  fflush(stdout);
  measure(take_packets);
}

int message_role(const char *role, size_t size, int port) {
  if (!strcmp(role, "udp_echo"))
    echo_datagrams(size);
  else if (!strcmp(role, "udp_receive") || !strcmp(role, "udp_apart"))
    receive_all();
  else if (!strcmp(role, "udp_send") || !strcmp(role, "udp_segments"))
    send_all(size, port);
  else if (!strcmp(role, "capture"))
    capture("bench1");
  else
    return 0;
  return 1;
}
