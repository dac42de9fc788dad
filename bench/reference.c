/* The C programs that neap and its peers are measured against:
 * `reference ROLE SIZE PORT` serves (port 0: any, printed) or connects.
 * SPDX-License-Identifier: MIT */
#include "common.h"
#include "reference.h"

enum { BUFFER = 128 * 1024, LINE_BUFFER = 64 * 1024 };
enum { CLOSED = EPOLLRDHUP | EPOLLHUP | EPOLLERR };

static char buffer[BUFFER];

/* Sends what it can and keeps the rest until the socket is writable. */
static int send_or_keep(int poller, struct conn *conn, size_t size) {
  ssize_t n = send(conn->fd, buffer, size, MSG_NOSIGNAL);
  if (n == (ssize_t)size)
    return 1;
  if (n < 0 && errno != EAGAIN)
    return 0;
  if (n < 0)
    n = 0;
  conn->rest = allocate(size - (size_t)n);
  memcpy(conn->rest, buffer + n, size - (size_t)n);
  conn->rest_begin = 0;
  conn->rest_end = (uint32_t)(size - (size_t)n);
  watch(poller, EPOLL_CTL_MOD, conn->fd,
        EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, conn);
  return 1;
}

/* Sends more of the kept rest; true once nothing is left, -1 on failure. */
static int send_rest(int poller, struct conn *conn) {
  size_t size = conn->rest_end - conn->rest_begin;
  ssize_t n = send(conn->fd, conn->rest + conn->rest_begin, size, MSG_NOSIGNAL);
  if (n < 0)
    return errno == EAGAIN ? 0 : -1;
  conn->rest_begin += (uint32_t)n;
  if (conn->rest_begin < conn->rest_end)
    return 0;
  free(conn->rest);
  conn->rest = NULL;
  watch(poller, EPOLL_CTL_MOD, conn->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, conn);
  return 1;
}

/* One receive and one send for each message: a short receive says that the
 * socket is drained, unless the peer has closed. */
static int echo(int poller, struct conn *conn, uint32_t events) {
  if (conn->rest) {
    int sent = send_rest(poller, conn);
    if (sent <= 0)
      return sent == 0;
  }
  while (!conn->rest) {
    ssize_t n = recv(conn->fd, buffer, BUFFER, 0);
    if (n <= 0)
      return n < 0 && errno == EAGAIN;
    if (!send_or_keep(poller, conn, (size_t)n))
      return 0;
    if (n < BUFFER && !(events & CLOSED))
      break;
  }
  return 1;
}

/* Receives and forgets. */
static int sink(int poller, struct conn *conn, uint32_t events) {
  (void)poller;
  for (;;) {
    ssize_t n = recv(conn->fd, buffer, BUFFER, 0);
    if (n <= 0)
      return n < 0 && errno == EAGAIN;
    if (n < BUFFER && !(events & CLOSED))
      return 1;
  }
}

/* Answers one message and closes. */
static int exchange(int poller, struct conn *conn, uint32_t events) {
  (void)poller, (void)events;
  ssize_t n = recv(conn->fd, buffer, BUFFER, 0);
  if (n < 0 && errno == EAGAIN)
    return 1;
  if (n > 0)
    (void)!send(conn->fd, buffer, (size_t)n, MSG_NOSIGNAL);
  return 0;
}

static void drop(struct conn *conn) {
  close(conn->fd);
  free(conn->rest);
  free(conn);
}

/* The first message has often arrived already: it is tried for before the
 * connection costs a call to epoll_ctl, which is how accepting is fastest. */
static void accept_all(int poller, int listener, conn_handler *handle) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
         0) {
    struct conn *conn = allocate(sizeof *conn);
    conn->fd = fd;
    if (handle == exchange && !handle(poller, conn, 0))
      drop(conn);
    else
      watch(poller, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, conn);
  }
  if (errno != EAGAIN)
    die("accept");
}

void serve_conns(conn_handler *handle, int port) {
  int listener = listen_loopback(&port);
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  struct epoll_event events[EVENTS];
  set_nonblocking(listener);
  watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN | EPOLLET, NULL);
  printf("%d\n", port);
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct conn *conn = events[i].data.ptr;
      if (!conn)
        accept_all(poller, listener, handle);
      else if (!handle(poller, conn, events[i].events))
        drop(conn);
    }
  }
}

/* One message out, the same message back, until the server closes. */
static void pingpong(size_t size, int port) {
  int fd = connect_loopback(1, port);
  memset(buffer, 'x', size);
  while (send(fd, buffer, size, MSG_NOSIGNAL) == (ssize_t)size)
    for (size_t got = 0; got < size;) {
      ssize_t n = recv(fd, buffer, size - got, 0);
      if (n <= 0)
        return;
      got += (size_t)n;
    }
}

/* Splits what arrives into lines, and looks at each of their bytes. */
static void lines(int port) {
  int fd = connect_loopback(1, port);
  size_t have = 0;
  uint64_t sum = 0;
  ssize_t n;
  while ((n = recv(fd, buffer + have, LINE_BUFFER - have, 0)) > 0) {
    char *line = buffer, *end = buffer + have + n, *stop;
    while ((stop = memchr(line, '\n', (size_t)(end - line)))) {
      while (line < stop)
        sum += (unsigned char)*line++;
      line++;
    }
    have = (size_t)(end - line);
    memmove(buffer, line, have);
  }
  fprintf(stderr, "%s", sum ? "" : "no lines\n");
}

int main(int argc, char **argv) {
  if (argc != 4)
    return fprintf(stderr, "usage: reference ROLE SIZE PORT\n"), 2;
  const char *role = argv[1];
  size_t size = strtoul(argv[2], NULL, 10);
  int port = atoi(argv[3]);
  if (size > BUFFER)
    return fprintf(stderr, "size too large\n"), 2;
  if (!strcmp(role, "echo"))
    serve_conns(echo, port);
  if (!strcmp(role, "sink"))
    serve_conns(sink, port);
  if (!strcmp(role, "exchange"))
    serve_conns(exchange, port);
  if (!strcmp(role, "pingpong"))
    return pingpong(size, port), 0;
  if (!strcmp(role, "lines"))
    return lines(port), 0;
  if (message_role(role, size, port) || http_role(role, port))
    return 0;
#ifdef BENCH_TLS
  if (tls_role(role, size, port))
    return 0;
#endif
#ifdef BENCH_SCTP
  if (sctp_role(role, size, port))
    return 0;
#endif
  return fprintf(stderr, "no role %s\n", role), 2;
}
