/* The load of programs that exchange datagrams or packets.
 * SPDX-License-Identifier: MIT */
#include <linux/if_packet.h>
#include <linux/udp.h>
#include <net/ethernet.h>
#include <net/if.h>

#include "common.h"
#include "load.h"
#include "target.h"

enum { BURST = 64, CHECK = 64, LONGEST = 65507, SOL_OF_UDP = 17 };

static char block[65536];

static int udp_socket(void) {
  return must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
}

static int udp_connected(int port) {
  int fd = udp_socket();
  struct sockaddr_in to = loopback(1, port);
  must(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
  set_nonblocking(fd);
  return fd;
}

/* -- echo ---------------------------------------------------------------- */

enum { LOST = 100000000 }; /* ns after which one that is not back is lost */

struct flight {
  int fd, open; /* open: one is on its way */
};

static void launch(struct flight *flight) {
  flight->open = 1;
  if (send(flight->fd, block, want.size, 0) < 0 && errno != EAGAIN)
    die("send");
}

/* Sends again what seems to be lost, as nothing comes back for a while. */
static void launch_again(struct flight *flights, int64_t *since) {
  int64_t now = clock_ns(CLOCK_MONOTONIC);
  if (*since == 0)
    *since = now;
  if (now - *since < LOST)
    return;
  *since = 0;
  for (int i = 0; i < want.count; i++)
    if (flights[i].open)
      launch(&flights[i]);
}

/* Keeps one datagram on its way on each socket, until the window is over, or,
 * with a quota, until that many have come back. */
static void echo_datagrams(int poller, struct flight *flights, long quota) {
  struct epoll_event events[EVENTS];
  int64_t nothing = 0; /* since when nothing has come */
  long done = 0;
  for (int i = 0; i < want.count; i++)
    launch(&flights[i]);
  while (quota ? done < quota : !meter_over((double)done)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    if (n > 0)
      nothing = 0;
    else
      launch_again(flights, &nothing);
    for (int i = 0; i < n; i++) {
      struct flight *flight = events[i].data.ptr;
      flight->open = 0;
      if (recv(flight->fd, block, sizeof block, 0) >= 0)
        done++;
      else if (errno != EAGAIN)
        die("receive");
      launch(flight);
    }
  }
}

void run_datagrams(void) {
  struct flight *flights = allocate((size_t)want.count * sizeof *flights);
  int *ports = allocate((size_t)want.count * sizeof *ports);
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  target_start(want.command, 0);
  target_ports(ports, want.count);
  for (int i = 0; i < want.count; i++) {
    flights[i].fd = udp_connected(ports[i]);
    watch(poller, EPOLL_CTL_ADD, flights[i].fd, EPOLLIN, &flights[i]);
  }
  if (!want.trace) {
    meter_begin();
    echo_datagrams(poller, flights, 0);
    return;
  }
  echo_datagrams(poller, flights, 4L * want.count);
  target_trace(want.trace);
  echo_datagrams(poller, flights, (long)TRACED * want.count);
  long calls = target_untrace(want.trace);
  if (calls < 0)
    die(want.trace);
  printf("ops=%ld calls=%ld\n", (long)TRACED * want.count, calls);
}

/* -- one way ------------------------------------------------------------- */

static void profile_begin(void) {
  if (want.profile)
    target_profile(want.profile);
}

/* Passes on what the program measured of itself. */
static void profile_end(void) {
  if (want.profile)
    target_unprofile();
  target_report();
}

/* Sends more than can be received, many with one call where the kernel cuts
 * them apart, until the program has measured enough. What does not fit in its
 * queue is dropped. */
void run_flood(void) {
  target_start(want.command, 0);
  int fd = udp_connected(target_port()), segment = (int)want.size;
  size_t size = want.size * BURST < LONGEST ? want.size * BURST
                                            : LONGEST / want.size * want.size;
  if (setsockopt(fd, SOL_OF_UDP, UDP_SEGMENT, &segment, sizeof segment))
    size = want.size;
  profile_begin();
  do {
    for (int i = 0; i < CHECK; i++)
      if (send(fd, block, size, 0) < 0 && errno != EAGAIN &&
          errno != ECONNREFUSED)
        die("send");
  } while (!target_reports());
  profile_end();
}

/* Takes what comes without looking at it, and without ever sleeping: the
 * program does not pay for waking us, nor for cutting apart what it sent as
 * one. */
void run_drain(void) {
  int fd = udp_socket();
  struct sockaddr_in address = loopback(1, 0);
  socklen_t size = sizeof address;
  set(fd, SOL_OF_UDP, UDP_GRO, 1);
  must(bind(fd, (struct sockaddr *)&address, size), "bind");
  must(getsockname(fd, (struct sockaddr *)&address, &size), "getsockname");
  target_start(want.command, ntohs(address.sin_port));
  profile_begin();
  do {
    for (int i = 0; i < CHECK * BURST; i++)
      (void)!recv(fd, block, 1, MSG_DONTWAIT | MSG_TRUNC);
  } while (!target_reports());
  profile_end();
}

void run_against(void) {
  target_start(want.command, target_other(want.other));
  profile_begin();
  profile_end();
}

/* -- frames -------------------------------------------------------------- */

enum { SMALL = 60, MIDDLE = 590, LARGE = 1514 };

static int wire_socket(const char *interface) {
  struct sockaddr_ll address = {
    .sll_family = AF_PACKET,
    .sll_ifindex = (int)if_nametoindex(interface),
  };
  int fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "packet socket");
  set(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  must(bind(fd, (struct sockaddr *)&address, sizeof address), interface);
  return fd;
}

/* Of 12 frames 7 are small and 1 is large, as they are mixed in the net. No
 * protocol knows their type, so nobody else takes them. */
static void mix_frames(struct mmsghdr *messages, struct iovec *parts) {
  memset(block, 0xff, 2 * ETH_ALEN);
  block[12] = (char)0x88, block[13] = (char)0xb5;
  for (int i = 0; i < BURST; i++) {
    int kind = i % 12;
    parts[i].iov_base = block;
    parts[i].iov_len = kind == 6 ? LARGE : kind % 3 == 1 ? MIDDLE : SMALL;
    messages[i].msg_hdr =
      (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
}

/* Sends frames on one end of a wire, of which the program holds the other,
 * until it has measured enough. */
void run_frames(void) {
  static struct mmsghdr messages[BURST];
  static struct iovec parts[BURST];
  if (!want.isolated) {
    fprintf(stderr, "needs a network namespace of its own\n");
    exit(1);
  }
  if (system("PATH=$PATH:/usr/sbin:/sbin; "
             "ip link add bench0 type veth peer name bench1 && "
             "ip link set bench0 up && ip link set bench1 up")) {
    fprintf(stderr, "ip cannot make a veth pair\n");
    exit(1);
  }
  int fd = wire_socket("bench0");
  mix_frames(messages, parts);
  target_start(want.command, 0);
  target_port();
  profile_begin();
  do {
    for (int i = 0; i < CHECK; i++)
      (void)!sendmmsg(fd, messages, BURST, 0);
  } while (!target_reports());
  profile_end();
}
