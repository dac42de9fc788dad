/* The load generator: starts one server or client, drives it, and prints how
 * much it did and what that cost.
 * SPDX-License-Identifier: MIT */
#include <signal.h>

#include "common.h"
#include "load.h"
#include "target.h"

enum { BLOCK = 256 * 1024, SOURCES = 8, SLACK = 30 };

struct conn {
  int fd;
  size_t to_send, to_receive;
};

static char block[BLOCK];

int steady(int fd) {
  static const char plain[] = "reno";
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1);
  return fd;
}

/* -- servers under load -------------------------------------------------- */

static void send_more(struct conn *conn) {
  while (conn->to_send) {
    ssize_t n = send(conn->fd, block, conn->to_send, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
      return;
    conn->to_send -= (size_t)must((int)n, "send");
  }
}

/* True when a whole message has come back. */
static int receive_more(struct conn *conn) {
  while (conn->to_receive) {
    ssize_t n = recv(conn->fd, block, conn->to_receive, 0);
    if (n < 0 && errno == EAGAIN)
      return 0;
    if (!n)
      errno = ECONNRESET;
    if (n <= 0)
      die("receive");
    conn->to_receive -= (size_t)n;
  }
  return 1;
}

static void send_message(struct conn *conn) {
  conn->to_send = conn->to_receive = want.size;
  send_more(conn);
}

static int open_all(struct conn *conns, int port, uint32_t events) {
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int i = 0; i < want.count; i++) {
    conns[i].fd = steady(connect_loopback(1, port));
    set_nonblocking(conns[i].fd);
    watch(poller, EPOLL_CTL_ADD, conns[i].fd, events | EPOLLET, &conns[i]);
  }
  return poller;
}

/* Keeps one message in flight on each connection, until the window is over,
 * or, with a quota, until that many have come back. */
static void echo_loop(int poller, struct conn *conns, long quota) {
  struct epoll_event events[EVENTS];
  long begun = want.count, done = 0;
  for (int i = 0; i < want.count; i++)
    send_message(&conns[i]);
  while (quota ? done < quota : !meter_over((double)done)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    for (int i = 0; i < n; i++) {
      struct conn *conn = events[i].data.ptr;
      send_more(conn);
      if (!conn->to_receive || !receive_more(conn))
        continue;
      done++;
      if (!quota || begun < quota)
        begun++, send_message(conn);
    }
  }
}

static void run_echo(void) {
  struct conn *conns = allocate((size_t)want.count * sizeof *conns);
  target_start(want.command, 0);
  int poller = open_all(conns, target_port(), EPOLLIN | EPOLLOUT);
  if (!want.trace) {
    meter_begin();
    echo_loop(poller, conns, 0);
    return;
  }
  echo_loop(poller, conns, 4L * want.count);
  target_trace(want.trace);
  echo_loop(poller, conns, (long)TRACED * want.count);
  long calls = target_untrace(want.trace);
  if (calls < 0)
    die(want.trace);
  printf("ops=%ld calls=%ld\n", (long)TRACED * want.count, calls);
}

static void run_sink(void) {
  struct conn *conns = allocate((size_t)want.count * sizeof *conns);
  struct epoll_event events[EVENTS];
  double sent = 0;
  target_start(want.command, 0);
  int poller = open_all(conns, target_port(), EPOLLOUT);
  meter_begin();
  while (!meter_over(sent / (double)want.size)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    for (int i = 0; i < n; i++) {
      struct conn *conn = events[i].data.ptr;
      ssize_t sending;
      while ((sending = send(conn->fd, block, want.size, MSG_NOSIGNAL)) > 0)
        sent += (double)sending;
      if (errno != EAGAIN)
        die("send");
    }
  }
}

static void exchange_begin(int poller, struct conn *conn, int port) {
  conn->fd = steady(connect_loopback(1, port));
  set_nonblocking(conn->fd);
  send_message(conn);
  watch(poller, EPOLL_CTL_ADD, conn->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, conn);
}

/* The server closes first and we reset: no port is left in TIME_WAIT. */
static int exchange_ended(struct conn *conn) {
  char byte;
  if (conn->to_receive && !receive_more(conn))
    return 0;
  ssize_t n = recv(conn->fd, &byte, 1, 0);
  if (n < 0 && errno == EAGAIN)
    return 0;
  struct linger reset = {.l_onoff = 1};
  setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(conn->fd);
  return 1;
}

static void run_exchange(void) {
  struct conn *conns = allocate((size_t)want.count * sizeof *conns);
  struct epoll_event events[EVENTS];
  double done = 0;
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  target_start(want.command, 0);
  int port = target_port();
  for (int i = 0; i < want.count; i++)
    exchange_begin(poller, &conns[i], port);
  meter_begin();
  while (!meter_over(done)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    for (int i = 0; i < n; i++)
      if (exchange_ended(events[i].data.ptr)) {
        done++;
        exchange_begin(poller, events[i].data.ptr, port);
      }
  }
}

/* -- memory -------------------------------------------------------------- */

void raise_limit(void) {
  struct rlimit limit;
  rlim_t need = (rlim_t)want.count + 64;
  must(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  struct rlimit raised = {need, need > limit.rlim_max ? need : limit.rlim_max};
  if (!setrlimit(RLIMIT_NOFILE, &raised))
    return;
  limit.rlim_cur = limit.rlim_max;
  must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  if (limit.rlim_max < need)
    want.count = (int)limit.rlim_max - 64;
}

/* A connection that exchanged one message and then says nothing. */
static void open_idle(unsigned host, int port) {
  struct timeval patience = {.tv_sec = 5};
  int fd = connect_loopback(host, port);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (send(fd, block, want.size, MSG_NOSIGNAL) != (ssize_t)want.size ||
      recv(fd, block, want.size, MSG_WAITALL) != (ssize_t)want.size)
    die("exchange");
}

static void run_idle(void) {
  raise_limit();
  target_start(want.command, 0);
  int port = target_port();
  open_idle(1, port);
  usleep(100000);
  long before = target_rss();
  for (unsigned i = 0; i < (unsigned)want.count; i++)
    open_idle(2 + i % SOURCES, port);
  usleep(500000);
  printf("ops=%d rss=%ld\n", want.count, target_rss() - before);
}

/* -- clients under load -------------------------------------------------- */

static int serve_target(void) {
  int port = 0, listener = steady(listen_loopback(&port));
  target_start(want.command, port);
  return must(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
}

/* Echoes to the client, until the window is over. It never sleeps, so that
 * the client does not pay for waking it. */
static void run_client(void) {
  double received = 0;
  int fd = serve_target();
  meter_begin();
  while (!meter_over(received / (double)want.size)) {
    ssize_t n = recv(fd, block, BLOCK, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
      continue;
    if (n <= 0)
      die("the client left");
    received += (double)n;
    must((int)send(fd, block, (size_t)n, MSG_NOSIGNAL), "send");
  }
}

/* Fills the block with whole lines of 20 to 99 letters, all different, and
 * returns how many bytes they take. */
static size_t write_lines(size_t *lines) {
  uint32_t random = 1;
  size_t at = 0;
  for (*lines = 0;; ++*lines) {
    random = random * 1664525 + 1013904223;
    size_t length = 20 + (random >> 16) % 80;
    if (at + length + 1 > BLOCK)
      return at;
    memset(block + at, 'a' + (int)(random >> 8) % 26, length);
    int digits = snprintf(block + at, length, "%zu", *lines);
    block[at + (size_t)digits] = ' ';
    block[at + length] = '\n';
    at += length + 1;
  }
}

static void run_source(void) {
  size_t lines, size = write_lines(&lines);
  double sent = 0;
  int fd = serve_target();
  meter_begin();
  while (!meter_over(sent / (double)size * (double)lines)) {
    ssize_t n = send(fd, block, size, MSG_NOSIGNAL | MSG_WAITALL);
    if (n != (ssize_t)size)
      die("send");
    sent += (double)n;
  }
}

/* -- whole lives --------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double seconds_of(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void run_start(void) {
  double *wall = allocate((size_t)want.count * sizeof *wall);
  double *cpu = allocate((size_t)want.count * sizeof *cpu);
  struct rusage usage;
  for (int i = 0; i < want.count; i++) {
    wall[i] = (double)target_run(want.command, &usage) / 1e9;
    cpu[i] = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  qsort(wall, (size_t)want.count, sizeof *wall, by_size);
  qsort(cpu, (size_t)want.count, sizeof *cpu, by_size);
  printf("ops=1 wall=%.9f cpu=%.9f wall_min=%.9f cpu_min=%.9f\n",
         wall[want.count / 2], cpu[want.count / 2], wall[0], cpu[0]);
}

/* Passes on what a program measured of itself. */
static void run_self(void) {
  target_start(want.command, 0);
  target_report();
}

/* What its arguments have no room for. */
static void tell_target(void) {
  char text[32];
  snprintf(text, sizeof text, "%g", want.seconds);
  setenv("BENCH_SECONDS", text, 1);
  snprintf(text, sizeof text, "%d", want.count);
  setenv("BENCH_COUNT", text, 1);
}

/* -- command line -------------------------------------------------------- */

static const struct mode {
  const char *name;
  void (*run)(void);
} modes[] = {
  {"echo",        run_echo       },
  {"sink",        run_sink       },
  {"exchange",    run_exchange   },
  {"idle",        run_idle       },
  {"client",      run_client     },
  {"source",      run_source     },
  {"start",       run_start      },
  {"self",        run_self       },
  {"datagrams",   run_datagrams  },
  {"flood",       run_flood      },
  {"drain",       run_drain      },
  {"frames",      run_frames     },
  {"against",     run_against    },
  {"http",        run_http       },
  {"wrk",         run_wrk        },
  {"http-client", run_http_client},
  {"websocket",   run_websocket  },
#ifdef BENCH_TLS
  {"tls-echo",    run_tls_echo   },
  {"tls-sink",    run_tls_sink   },
  {"tls-source",  run_tls_source },
  {"tls-full",    run_tls_full   },
  {"tls-resumed", run_tls_resumed},
  {"tls-idle",    run_tls_idle   },
  {"tls-http",    run_tls_http   },
#endif
};

static const struct mode *find_mode(const char *name) {
  for (size_t i = 0; name && i < sizeof modes / sizeof *modes; i++)
    if (!strcmp(modes[i].name, name))
      return &modes[i];
  return NULL;
}

int main(int argc, char **argv) {
  const struct mode *mode = find_mode(argv[1]);
  if (mode)
    argc--, argv++;
  for (int option;
       (option = getopt(argc, argv, "+b:c:d:o:p:s:t:u:x:w:")) != -1;)
    switch (option) {
    case 'b':
      want.before = atof(optarg);
      break;
    case 'c':
      want.count = atoi(optarg);
      break;
    case 'd':
      want.depth = atoi(optarg);
      break;
    case 'o':
      want.other = optarg;
      break;
    case 's':
      want.size = strtoul(optarg, NULL, 10);
      break;
    case 't':
      want.seconds = atof(optarg);
      break;
    case 'u':
      want.path = optarg;
      break;
    case 'w':
      want.wait = atoi(optarg);
      break;
    case 'p':
      want.profile = optarg;
      break;
    case 'x':
      want.trace = optarg;
      break;
    default:
      mode = NULL;
    }
  want.command = argv + optind;
  if (!mode || optind == argc || want.size > BLOCK || want.count < 1 ||
      want.depth < 1) {
    fprintf(
      stderr,
      "usage: load MODE [-b SECONDS] [-c COUNT] [-d DEPTH] [-s SIZE] "
      "[-t SECONDS] [-u PATH] [-w WAIT] [-x TRACE] [-p PROFILE] [-o OTHER] "
      "COMMAND...\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  want.isolated = target_isolate();
  if (want.before < want.seconds / 4)
    want.before = want.seconds / 4;
  target_prepare((unsigned)(want.before + want.seconds) * 2 + SLACK);
  tell_target();
  mode->run();
  return 0;
}
