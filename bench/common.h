/* What the reference programs and the load generator share: loopback sockets,
 * clocks, and failing with a message.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256 };

_Noreturn static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/* The result of a call that must not fail. */
static inline int must(int result, const char *what) {
  if (result < 0)
    die(what);
  return result;
}

static inline void *allocate(size_t size) {
  void *p = calloc(1, size);
  if (!p)
    die("memory");
  return p;
}

static inline int64_t clock_ns(clockid_t clock) {
  struct timespec t;
  must(clock_gettime(clock, &t), "clock");
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static inline struct sockaddr_in loopback(unsigned host, int port) {
  return (struct sockaddr_in){
    .sin_family = AF_INET,
    .sin_port = htons((uint16_t)port),
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host),
  };
}

static inline void set(int fd, int level, int option, int value) {
  must(setsockopt(fd, level, option, &value, sizeof value), "setsockopt");
}

static inline void set_nonblocking(int fd) {
  must(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), "O_NONBLOCK");
}

/* A listening socket on a free port; what it accepts has TCP_NODELAY too. */
static inline int listen_loopback(int *port) {
  int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  struct sockaddr_in address = loopback(1, *port);
  socklen_t size = sizeof address;
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  must(bind(fd, (struct sockaddr *)&address, size), "bind");
  must(listen(fd, SOMAXCONN), "listen");
  must(getsockname(fd, (struct sockaddr *)&address, &size), "getsockname");
  *port = ntohs(address.sin_port);
  return fd;
}

/* A blocking connection from 127.0.0.<host>, so that ports do not run out. */
static inline int connect_loopback(unsigned host, int port) {
  int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  struct sockaddr_in from = loopback(host, 0), to = loopback(1, port);
  set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  must(bind(fd, (struct sockaddr *)&from, sizeof from), "bind");
  must(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
  return fd;
}

static inline void watch(int poller, int operation, int fd, uint32_t events,
                         void *data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  must(epoll_ctl(poller, operation, fd, &event), "epoll_ctl");
}

#endif
