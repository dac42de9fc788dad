/* The load of servers that speak TLS 1.3: clients that verify nothing, and
 * agree to one cipher and one group with all of them.
 * SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common.h"
#include "load.h"
#include "target.h"

enum { BLOCK = 256 * 1024, SOURCES = 8 };

struct peer {
  SSL *ssl;
  int fd;
  size_t to_receive;
};

static char block[BLOCK];
static SSL_CTX *context;
static SSL_SESSION *ticket; /* the last that a server gave */

_Noreturn static void die_tls(const char *what) {
  char text[256];
  snprintf(text, sizeof text, "ended, %s", strerror(errno));
  if (ERR_peek_error())
    ERR_error_string_n(ERR_peek_error(), text, sizeof text);
  fprintf(stderr, "%s: %s\n", what, text);
  exit(1);
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session) {
  (void)ssl;
  SSL_SESSION_free(ticket);
  ticket = session;
  return 1;
}

/* To look for its chain would make us slower than the server. */
static int believe(X509_STORE_CTX *certificate, void *arg) {
  (void)certificate, (void)arg;
  return 1;
}

static void make_context(void) {
  context = SSL_CTX_new(TLS_client_method());
  if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
      !SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") ||
      !SSL_CTX_set1_groups_list(context, "X25519"))
    die_tls("context");
  SSL_CTX_set_read_ahead(context, 1);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_ticket);
  SSL_CTX_set_cert_verify_callback(context, believe, NULL);
}

static void begin(struct peer *peer, unsigned host, int port) {
  peer->fd = steady(connect_loopback(host, port));
  peer->ssl = SSL_new(context);
  if (!peer->ssl || !SSL_set_fd(peer->ssl, peer->fd))
    die_tls("session");
  SSL_set_connect_state(peer->ssl);
}

/* A connection whose handshake is done. */
static void open_peer(struct peer *peer, unsigned host, int port) {
  begin(peer, host, port);
  if (SSL_do_handshake(peer->ssl) != 1)
    die_tls("connect");
}

static int start(void) {
  make_context();
  target_start(want.command, 0);
  return target_port();
}

/* True if OpenSSL waits for more; what has failed ends us, and so does what
 * ended, unless it may. */
static int waits(struct peer *peer, int result, int may_end) {
  if (result > 0)
    return 0;
  if (SSL_get_error(peer->ssl, result) == SSL_ERROR_WANT_READ)
    return 1;
  if (may_end && SSL_is_init_finished(peer->ssl))
    return ERR_clear_error(), 0;
  die_tls(SSL_is_init_finished(peer->ssl) ? "the server" : "handshake");
}

/* -- echo ---------------------------------------------------------------- */

static void send_message(struct peer *peer) {
  peer->to_receive = want.size;
  if (SSL_write(peer->ssl, block, (int)want.size) != (int)want.size)
    die_tls("send");
}

/* True when a whole message has come back. */
static int receive_more(struct peer *peer) {
  while (peer->to_receive) {
    int n = SSL_read(peer->ssl, block, (int)peer->to_receive);
    if (waits(peer, n, 0))
      return 0;
    peer->to_receive -= (size_t)n;
  }
  return 1;
}

void run_tls_echo(void) {
  struct peer *peers = allocate((size_t)want.count * sizeof *peers);
  struct epoll_event events[EVENTS];
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  int port = start();
  double done = 0;
  for (int i = 0; i < want.count; i++) {
    open_peer(&peers[i], 1, port);
    set_nonblocking(peers[i].fd);
    watch(poller, EPOLL_CTL_ADD, peers[i].fd, EPOLLIN, &peers[i]);
    send_message(&peers[i]);
  }
  meter_begin();
  while (!meter_over(done)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    for (int i = 0; i < n; i++)
      if (receive_more(events[i].data.ptr)) {
        done++;
        send_message(events[i].data.ptr);
      }
  }
}

/* -- HTTP ---------------------------------------------------------------- */

/* Asks once, and learns how long the answers are. */
static size_t learn_length(struct peer *peer, const char *request,
                           size_t size) {
  size_t have = 0, length = 0;
  if (SSL_write(peer->ssl, request, (int)size) != (int)size)
    die_tls("send");
  while (!length || have < length) {
    int n = SSL_read(peer->ssl, block + have, (int)(BLOCK - 1 - have));
    if (n <= 0)
      die_tls("the first answer");
    have += (size_t)n;
    length = http_length(block, have);
  }
  return length;
}

static void ask(struct peer *peer, const char *request, size_t size,
                size_t length) {
  peer->to_receive = length;
  if (SSL_write(peer->ssl, request, (int)size) != (int)size)
    die_tls("send");
}

void run_tls_http(void) {
  struct peer *peers = allocate((size_t)want.count * sizeof *peers);
  struct epoll_event events[EVENTS];
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  make_context();
  int port = start_server();
  size_t size, length = 0;
  char *request = http_requests(port, &size);
  double done = 0;
  for (int i = 0; i < want.count; i++) {
    open_peer(&peers[i], 1, port);
    length = learn_length(&peers[i], request, size);
    set_nonblocking(peers[i].fd);
    watch(poller, EPOLL_CTL_ADD, peers[i].fd, EPOLLIN, &peers[i]);
    ask(&peers[i], request, size, length);
  }
  meter_begin();
  while (!meter_over(done)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    for (int i = 0; i < n; i++)
      if (receive_more(events[i].data.ptr)) {
        done++;
        ask(events[i].data.ptr, request, size, length);
      }
  }
}

/* -- bulk ---------------------------------------------------------------- */

void run_tls_sink(void) {
  struct peer peer;
  double sent = 0;
  open_peer(&peer, 1, start());
  meter_begin();
  while (!meter_over(sent++))
    if (SSL_write(peer.ssl, block, (int)want.size) != (int)want.size)
      die_tls("send");
}

void run_tls_source(void) {
  struct peer peer;
  double received = 0;
  open_peer(&peer, 1, start());
  meter_begin();
  while (!meter_over(received / (double)want.size)) {
    int n = SSL_read(peer.ssl, block, sizeof block);
    if (n <= 0)
      die_tls("receive");
    received += n;
  }
}

/* -- handshakes ---------------------------------------------------------- */

/* OpenSSL lets a session be resumed once, servers mostly more often. */
static void resume_last(struct peer *peer) {
  SSL_SESSION *copy = SSL_SESSION_dup(ticket);
  if (!copy || !SSL_set_session(peer->ssl, copy))
    die_tls("ticket");
  SSL_SESSION_free(copy);
}

static void begin_life(int poller, struct peer *peer, int port, int resume) {
  begin(peer, 1, port);
  set_nonblocking(peer->fd);
  if (resume)
    resume_last(peer);
  watch(poller, EPOLL_CTL_ADD, peer->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, peer);
  waits(peer, SSL_do_handshake(peer->ssl), 0);
}

/* The server says the end first, and we reset: no port is left in TIME_WAIT. */
static int life_ended(struct peer *peer, int resume) {
  struct linger reset = {.l_onoff = 1};
  int n = SSL_read(peer->ssl, block, sizeof block);
  if (waits(peer, n, 1))
    return 0;
  if (SSL_session_reused(peer->ssl) != resume) {
    fprintf(stderr, "the session was %sresumed\n", resume ? "not " : "");
    exit(1);
  }
  SSL_set_shutdown(peer->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(peer->ssl);
  setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(peer->fd);
  return 1;
}

/* The first has nothing to resume. */
static void get_ticket(int port) {
  struct peer peer;
  open_peer(&peer, 1, port);
  while (!life_ended(&peer, 0))
    continue;
  if (ticket)
    return;
  fprintf(stderr, "the server gave no ticket\n");
  exit(1);
}

static void run_lives(int resume) {
  struct peer *peers = allocate((size_t)want.count * sizeof *peers);
  struct epoll_event events[EVENTS];
  int poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  int port = start();
  double done = 0;
  if (resume)
    get_ticket(port);
  for (int i = 0; i < want.count; i++)
    begin_life(poller, &peers[i], port, resume);
  meter_begin();
  while (!meter_over(done)) {
    int n = epoll_wait(poller, events, EVENTS, want.wait);
    for (int i = 0; i < n; i++)
      if (life_ended(events[i].data.ptr, resume)) {
        done++;
        begin_life(poller, events[i].data.ptr, port, resume);
      }
  }
}

void run_tls_full(void) {
  run_lives(0);
}

void run_tls_resumed(void) {
  run_lives(1);
}

/* -- memory -------------------------------------------------------------- */

/* A connection that exchanged one message and then says nothing: only the
 * server's side of it is kept. */
static void open_idle(unsigned host, int port) {
  struct timeval patience = {.tv_sec = 5};
  struct peer peer;
  open_peer(&peer, host, port);
  setsockopt(peer.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  send_message(&peer);
  if (!receive_more(&peer))
    die_tls("exchange");
  SSL_set_quiet_shutdown(peer.ssl, 1);
  SSL_free(peer.ssl);
}

void run_tls_idle(void) {
  raise_limit();
  int port = start();
  open_idle(1, port);
  usleep(100000);
  long before = target_rss();
  for (unsigned i = 0; i < (unsigned)want.count; i++)
    open_idle(2 + i % SOURCES, port);
  usleep(500000);
  printf("ops=%d rss=%ld\n", want.count, target_rss() - before);
}
