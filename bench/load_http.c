/* The load of programs that speak HTTP or WebSocket: what is sent is always
 * the same, and so is the length of what comes back.
 * SPDX-License-Identifier: MIT */
#include "common.h"
#include "load.h"
#include "target.h"

enum { BLOCK = 256 * 1024, TRIES = 500 };

struct conn {
  int fd;
  size_t to_send, to_receive;
};

/* What is sent at once on a connection, and how much comes back for it. */
static struct {
  char *bytes;
  size_t size, answer;
} turn;

static char block[BLOCK];

int start_server(void) {
  int port = 0, fd = listen_loopback(&port);
  close(fd);
  target_start(want.command, port);
  port = target_port();
  struct sockaddr_in to = loopback(1, port);
  for (int i = 0; i < TRIES; i++) {
    fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    int failed = connect(fd, (struct sockaddr *)&to, sizeof to);
    close(fd);
    if (!failed)
      return port;
    usleep(10000);
  }
  die("the server");
}

/* What arrives in a blocking way, which is something. */
static size_t receive_some(int fd, char *to, size_t size) {
  ssize_t n = recv(fd, to, size, 0);
  if (!n)
    errno = ECONNRESET;
  if (n <= 0)
    die("the first answer");
  return (size_t)n;
}

/* -- servers under load -------------------------------------------------- */

static void send_more(struct conn *conn) {
  const char *end = turn.bytes + turn.size;
  while (conn->to_send) {
    ssize_t n =
      send(conn->fd, end - conn->to_send, conn->to_send, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
      return;
    conn->to_send -= (size_t)must((int)n, "send");
  }
}

static void begin_turn(struct conn *conn) {
  conn->to_send = turn.size;
  conn->to_receive = turn.answer;
  send_more(conn);
}

/* True when all answers are there. What is more than them is a failure, since
 * it would be taken for the next ones. */
static int receive_more(struct conn *conn) {
  while (conn->to_receive) {
    ssize_t n = recv(conn->fd, block, sizeof block, 0);
    if (n < 0 && errno == EAGAIN)
      return 0;
    if (!n)
      errno = ECONNRESET;
    if (n > (ssize_t)conn->to_receive)
      n = -1, errno = EBADMSG;
    if (n <= 0)
      die("receive");
    conn->to_receive -= (size_t)n;
  }
  return 1;
}

static void take_turns(int poller, struct conn *conns) {
  struct epoll_event events[EVENTS];
  double done = 0;
  for (int i = 0; i < want.count; i++)
    begin_turn(&conns[i]);
  meter_begin();
  while (!meter_over(done)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    for (int i = 0; i < n; i++) {
      struct conn *conn = events[i].data.ptr;
      send_more(conn);
      if (!receive_more(conn))
        continue;
      done += want.depth;
      begin_turn(conn);
    }
  }
}

/* Sends and receives in a blocking way until there is a whole head; how much
 * came, of which all is in the block. */
static size_t ask(int fd, const char *bytes, size_t size) {
  size_t have = 0;
  if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
    die("send");
  do {
    have += receive_some(fd, block + have, sizeof block - 1 - have);
    block[have] = 0;
  } while (!strstr(block, "\r\n\r\n"));
  return have;
}

/* Connects all of them, each with the first exchange that `open` makes. */
static void drive(void (*prepare)(int port), void (*open)(int fd)) {
  struct conn *conns = allocate((size_t)want.count * sizeof *conns);
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  int port = start_server();
  prepare(port);
  for (int i = 0; i < want.count; i++) {
    conns[i].fd = steady(connect_loopback(1, port));
    open(conns[i].fd);
    set_nonblocking(conns[i].fd);
    watch(poller, EPOLL_CTL_ADD, conns[i].fd, EPOLLIN | EPOLLOUT | EPOLLET,
          &conns[i]);
  }
  take_turns(poller, conns);
}

/* -- HTTP ---------------------------------------------------------------- */

char *http_requests(int port, size_t *size) {
  char one[256];
  int length =
    snprintf(one, sizeof one, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
             want.path, port);
  char *all = allocate((size_t)(length * want.depth) + 1);
  for (int i = 0; i < want.depth; i++)
    memcpy(all + i * length, one, (size_t)length);
  *size = (size_t)(length * want.depth);
  return all;
}

size_t http_length(const char *text, size_t size) {
  const char *end = memmem(text, size, "\r\n\r\n", 4);
  if (!end)
    return 0;
  const char *field = strcasestr(text, "\r\nContent-Length:");
  if (memcmp(text, "HTTP/1.1 200 ", 13) || !field || field > end) {
    fprintf(stderr, "not an answer with a length: %.*s\n",
            (int)strcspn(text, "\r"), text);
    exit(1);
  }
  return (size_t)(end + 4 - text) + strtoul(field + 17, NULL, 10);
}

static void prepare_http(int port) {
  turn.bytes = http_requests(port, &turn.size);
}

/* The first answers of each connection tell how long they are: those of all
 * that follow are as long, since only the date in them changes. */
static void open_http(int fd) {
  size_t have = ask(fd, turn.bytes, turn.size);
  size_t answer = http_length(block, have) * (size_t)want.depth;
  if (turn.answer && turn.answer != answer)
    errno = EBADMSG, die("the first answer");
  turn.answer = answer;
  while (have < answer)
    have += receive_some(fd, block, answer - have);
}

void run_http(void) {
  drive(prepare_http, open_http);
}

/* How many requests wrk made; bad answers end us. */
static double wrk_requests(const char *text) {
  const char *at = strstr(text, " requests in ");
  if (!at || strstr(text, "Non-2xx") || strstr(text, "Socket errors")) {
    fprintf(stderr, "wrk: %s\n", *text ? text : "no output");
    exit(1);
  }
  while (at > text && at[-1] != ' ')
    at--;
  return strtod(at, NULL);
}

/* wrk says how many requests it made when it ends, so warming up is a run of
 * its own. */
void run_wrk(void) {
  char url[128], connections[16], text[4096];
  char *wrk[] = {"wrk", "-t", "1", "-c", connections, "-d", "1h", url, NULL};
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", start_server(), want.path);
  snprintf(connections, sizeof connections, "%d", want.count);
  target_beside(wrk, want.before, text, sizeof text);
  if (want.profile)
    target_profile(want.profile);
  int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = target_cpu();
  target_beside(wrk, want.seconds, text, sizeof text);
  cpu = target_cpu() - cpu;
  wall = clock_ns(CLOCK_MONOTONIC) - wall;
  if (want.profile)
    target_unprofile();
  printf("ops=%.0f wall=%.9f cpu=%.9f\n", wrk_requests(text),
         (double)wall / 1e9, (double)cpu / 1e9);
}

/* -- WebSocket ----------------------------------------------------------- */

/* A frame of a client, masked, of a binary message shorter than 126 bytes. */
static char *masked_frame(char *at) {
  static const char mask[] = {0x5a, 0x13, 0x7c, 0x21};
  *at++ = (char)0x82;
  *at++ = (char)(0x80 | want.size);
  for (size_t i = 0; i < sizeof mask; i++)
    *at++ = mask[i];
  for (size_t i = 0; i < want.size; i++)
    *at++ = (char)('a' + i % 26) ^ mask[i % sizeof mask];
  return at;
}

static void prepare_websocket(int port) {
  (void)port;
  char *at = turn.bytes = allocate((want.size + 6) * (size_t)want.depth);
  for (int i = 0; i < want.depth; i++)
    at = masked_frame(at);
  turn.size = (size_t)(at - turn.bytes);
  turn.answer = (want.size + 2) * (size_t)want.depth;
}

/* The first message is sent alone, and what comes back is looked at. */
static void open_websocket(int fd) {
  static const char upgrade[] =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  char back[256];
  size_t size = want.size + 6;
  ask(fd, upgrade, sizeof upgrade - 1);
  if (memcmp(block, "HTTP/1.1 101 ", 13))
    errno = EBADMSG, die("upgrade");
  if (send(fd, turn.bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
    die("send");
  size_t awaited = 2 + want.size;
  if (recv(fd, back, awaited, MSG_WAITALL) != (ssize_t)awaited)
    die("the first message");
  for (size_t i = 0; i < want.size; i++)
    if (back[2 + i] != (char)('a' + i % 26))
      errno = EBADMSG, die("the first message");
}

void run_websocket(void) {
  drive(prepare_websocket, open_websocket);
}

/* -- clients under load -------------------------------------------------- */

/* Answers what has come on a connection: a whole request, since a client
 * sends it at once and waits. */
static int answer_request(int fd) {
  static const char baked[] =
    "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nhello, world\n";
  ssize_t n = recv(fd, block, sizeof block, 0);
  if (n <= 0)
    return close(fd), 0;
  if (n < 4 || memcmp(block + n - 4, "\r\n\r\n", 4))
    errno = EBADMSG, die("request");
  must((int)send(fd, baked, sizeof baked - 1, MSG_NOSIGNAL), "send");
  return 1;
}

/* Never sleeps, so that the client does not pay for waking it. */
void run_http_client(void) {
  struct epoll_event events[EVENTS];
  double done = 0;
  int port = 0, listener = steady(listen_loopback(&port));
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  target_start(want.command, port);
  int fd = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
  watch(poller, EPOLL_CTL_ADD, fd, EPOLLIN, (void *)(intptr_t)fd);
  watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
  meter_begin();
  while (!meter_over(done)) {
    int n = epoll_wait(poller, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
      fd = (int)(intptr_t)events[i].data.ptr;
      if (fd) {
        done += answer_request(fd);
        continue;
      }
      fd = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
      watch(poller, EPOLL_CTL_ADD, fd, EPOLLIN, (void *)(intptr_t)fd);
    }
  }
}
