/* The C programs of SCTP, on usrsctp over UDP: one thread, one poller, each
 * system call moves one datagram.
 * SPDX-License-Identifier: MIT */
#include "reference.h"

#include <stdbool.h>
#include <sys/timerfd.h>
#include <usrsctp.h>

#include "common.h"

enum { PORT = 5001, STREAMS = 8, TICK = 10, BUFFER = 4 << 20, MTU = 1252 };

static struct {
  struct sockaddr_in to;
  int fd, poller, timer;
} wire;

static struct socket *listener, *sock;
static size_t message_size;
static bool echoes; /* what comes goes back, on the same stream; a sink's
                     * short messages do, too */
static double arrived, wanted;
static char data[65536];

/* -- the carrier --------------------------------------------------------- */

static int output(void *peer, void *bytes, size_t len, uint8_t tos,
                  uint8_t df) {
  (void)peer, (void)tos, (void)df;
  sendto(wire.fd, bytes, len, 0, (struct sockaddr *)&wire.to, sizeof wire.to);
  return 0;
}

static void quiet(const char *format, ...) {
  (void)format;
}

/* On any port, which is printed if others are to know it. */
static void open_wire(bool told) {
  struct sockaddr_in address = loopback(1, 0);
  struct itimerspec every = {
    {0, TICK * 1000000},
    {0, TICK * 1000000}
  };
  socklen_t len = sizeof address;
  int size = BUFFER;
  wire.fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  setsockopt(wire.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(wire.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  must(bind(wire.fd, (struct sockaddr *)&address, len), "bind");
  must(getsockname(wire.fd, (struct sockaddr *)&address, &len), "getsockname");
  set_nonblocking(wire.fd);
  wire.timer = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), "timerfd");
  must(timerfd_settime(wire.timer, 0, &every, NULL), "timerfd_settime");
  wire.poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  watch(wire.poller, EPOLL_CTL_ADD, wire.fd, EPOLLIN, &wire.fd);
  watch(wire.poller, EPOLL_CTL_ADD, wire.timer, EPOLLIN, &wire.timer);
  usrsctp_init_nothreads(0, output, quiet);
  usrsctp_sysctl_set_sctp_ecn_enable(0);
  usrsctp_register_address(&wire);
  if (told) {
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
  }
}

static void take_datagrams(void) {
  ssize_t n;
  socklen_t len = sizeof wire.to;
  while ((n = recvfrom(wire.fd, data, sizeof data, 0,
                       (struct sockaddr *)&wire.to, &len)) >= 0) {
    usrsctp_conninput(&wire, data, (size_t)n, 0);
    len = sizeof wire.to;
  }
}

static void pass_time(void) {
  uint64_t ticks;
  if (read(wire.timer, &ticks, sizeof ticks) == sizeof ticks)
    usrsctp_handle_timers((uint32_t)ticks * TICK);
}

/* -- sockets ------------------------------------------------------------- */

static void set_up(struct socket *s) {
  int on = 1;
  struct sctp_paddrparams path = {.spp_pathmtu = MTU,
                                  .spp_flags = SPP_PMTUD_DISABLE};
  usrsctp_set_non_blocking(s, 1);
  usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on);
  usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on);
  usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path,
                     sizeof path);
}

static struct socket *open_socket(int port, void *peer) {
  struct sockaddr_conn name = {.sconn_family = AF_CONN,
                               .sconn_port = htons((uint16_t)port),
                               .sconn_addr = peer};
  struct socket *s =
    usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
  if (s == NULL)
    exit(1);
  set_up(s);
  must(usrsctp_bind(s, (struct sockaddr *)&name, sizeof name), "bind");
  return s;
}

static bool send_on(uint16_t stream, const void *bytes, size_t len) {
  struct sctp_sndinfo info = {.snd_sid = stream};
  return usrsctp_sendv(sock, bytes, len, NULL, 0, &info, sizeof info,
                       SCTP_SENDV_SNDINFO, 0) >= 0;
}

static void take_messages(void) {
  struct sctp_rcvinfo info;
  socklen_t infolen = sizeof info;
  unsigned type;
  int flags = 0;
  ssize_t n;
  while ((n = usrsctp_recvv(sock, data, sizeof data, NULL, NULL, &info,
                            &infolen, &type, &flags)) > 0) {
    arrived++;
    if (echoes || (listener != NULL && n == 1))
      send_on(info.rcv_sid, data, (size_t)n);
    infolen = sizeof info;
    flags = 0;
  }
  if (n == 0)
    exit(0);
}

/* -- the loop ------------------------------------------------------------ */

/* The number goes down as messages are taken by the socket. */
static double send_more(double n) {
  while (n > 0 && send_on(0, data, message_size))
    n--;
  return n;
}

static void turn(void) {
  struct epoll_event events[2];
  int i, n = epoll_wait(wire.poller, events, 2, -1);
  for (i = 0; i < n; i++) {
    if (events[i].data.ptr == &wire.fd)
      take_datagrams();
    else
      pass_time();
  }
  if (listener != NULL && sock == NULL)
    sock = usrsctp_accept(listener, NULL, NULL);
  if (sock != NULL)
    take_messages();
}

/* n messages, the last of which is answered: so all have arrived. */
static double send_batch(double much) {
  double n = (double)(int64_t)much, left = n;
  while (left > 0) {
    left = send_more(left);
    if (left > 0)
      turn();
  }
  for (arrived = 0; arrived == 0;) {
    if (left == 0 && send_on(1, data, 1))
      left = -1;
    turn();
  }
  return n;
}

static double exchange_batch(double much) {
  double n = (double)(int64_t)much;
  uint16_t i;
  arrived = 0;
  wanted = n;
  for (i = 0; i < STREAMS; i++)
    send_on(i, data, message_size);
  while (arrived < wanted)
    turn();
  echoes = false;
  while (arrived < wanted + STREAMS - 1)
    turn();
  echoes = true;
  return n;
}

/* -- roles --------------------------------------------------------------- */

static void serve(bool echo) {
  open_wire(true);
  listener = open_socket(PORT, NULL);
  must(usrsctp_listen(listener, 1), "listen");
  echoes = echo;
  for (;;)
    turn();
}

static void join(int port) {
  struct sockaddr_conn name = {
    .sconn_family = AF_CONN, .sconn_port = htons(PORT), .sconn_addr = &wire};
  open_wire(false);
  wire.to = loopback(1, port);
  sock = open_socket(0, &wire);
  usrsctp_connect(sock, (struct sockaddr *)&name, sizeof name);
  while (!(usrsctp_get_events(sock) & SCTP_EVENT_WRITE))
    turn();
}

int sctp_role(const char *role, size_t size, int port) {
  message_size = size;
  if (strcmp(role, "sctp_sink") == 0 || strcmp(role, "sctp_echo") == 0) {
    serve(strcmp(role, "sctp_echo") == 0);
  } else if (strcmp(role, "sctp_source") == 0) {
    join(port);
    measure(send_batch);
  } else if (strcmp(role, "sctp_pingpong") == 0) {
    join(port);
    echoes = true;
    measure(exchange_batch);
  } else {
    return false;
  }
  usrsctp_close(sock);
  for (port = 0; port < 5; port++)
    turn();
  return true;
}
