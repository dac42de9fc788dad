/* The C programs of TLS, by OpenSSL: buffers are let go while a connection is
 * idle, and one receive takes a whole record.
 * SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#include "common.h"
#include "reference.h"

enum { BUFFER = 128 * 1024 };

/* One connection; `rest` is allocated only while the peer does not read. */
struct session {
  SSL *ssl;
  int fd;
  uint32_t awaited; /* of epoll */
  uint32_t rest_begin, rest_end;
  char *rest;
};

/* Goes on with a connection whose handshake is done; false closes it. */
typedef int handler(struct session *s);

static char buffer[BUFFER];
static size_t block; /* how much a source writes at once */
static int poller;

static SSL_CTX *server_context(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  const char *certificate = getenv("BENCH_CERT"), *key = getenv("BENCH_KEY");
  if (!context || !certificate || !key ||
      SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    exit(1);
  }
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return context;
}

/* Waits for the other readiness only where OpenSSL asks for it. */
static int await(struct session *s, int result) {
  int error = SSL_get_error(s->ssl, result);
  uint32_t events = error == SSL_ERROR_WANT_READ    ? EPOLLIN
                    : error == SSL_ERROR_WANT_WRITE ? EPOLLOUT
                                                    : 0;
  if (!events)
    ERR_clear_error();
  if (events && events != s->awaited)
    watch(poller, EPOLL_CTL_MOD, s->fd, s->awaited = events, s);
  return events != 0;
}

/* Sends what it can and keeps the rest until the socket is writable. */
static int send_or_keep(struct session *s, size_t size) {
  size_t sent = 0;
  while (sent < size) {
    int n = SSL_write(s->ssl, buffer + sent, (int)(size - sent));
    if (n > 0) {
      sent += (size_t)n;
      continue;
    }
    if (!await(s, n))
      return 0;
    s->rest = allocate(size - sent);
    memcpy(s->rest, buffer + sent, size - sent);
    s->rest_begin = 0;
    s->rest_end = (uint32_t)(size - sent);
    return 1;
  }
  return 1;
}

/* Sends more of the kept rest; false on failure. */
static int send_rest(struct session *s) {
  while (s->rest_begin < s->rest_end) {
    int n = SSL_write(s->ssl, s->rest + s->rest_begin,
                      (int)(s->rest_end - s->rest_begin));
    if (n <= 0)
      return await(s, n);
    s->rest_begin += (uint32_t)n;
  }
  free(s->rest);
  s->rest = NULL;
  watch(poller, EPOLL_CTL_MOD, s->fd, s->awaited = EPOLLIN, s);
  return 1;
}

/* Level-triggered, so that no call is needed to see that a socket is empty. */
static int echo(struct session *s) {
  if (s->rest && !send_rest(s))
    return 0;
  while (!s->rest) {
    int n = SSL_read(s->ssl, buffer, BUFFER);
    if (n <= 0)
      return await(s, n);
    if (!send_or_keep(s, (size_t)n))
      return 0;
    if (!SSL_has_pending(s->ssl))
      break;
  }
  return 1;
}

/* Receives and forgets. */
static int sink(struct session *s) {
  do {
    int n = SSL_read(s->ssl, buffer, BUFFER);
    if (n <= 0)
      return await(s, n);
  } while (SSL_has_pending(s->ssl));
  return 1;
}

/* Sends as much as there is room for. */
static int source(struct session *s) {
  for (;;) {
    int n = SSL_write(s->ssl, buffer, (int)block);
    if (n <= 0)
      return await(s, n);
  }
}

/* There is nothing to say but that this is the end. */
static int finish(struct session *s) {
  SSL_shutdown(s->ssl);
  return 0;
}

static void drop(struct session *s) {
  SSL_free(s->ssl);
  close(s->fd);
  free(s->rest);
  free(s);
}

static void step(struct session *s, handler *handle) {
  if (!SSL_is_init_finished(s->ssl)) {
    int done = SSL_do_handshake(s->ssl);
    if (done != 1) {
      if (!await(s, done))
        drop(s);
      return;
    }
  }
  if (!handle(s))
    drop(s);
}

static void accept_all(SSL_CTX *context, int listener) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
         0) {
    struct session *s = allocate(sizeof *s);
    s->fd = fd;
    s->ssl = SSL_new(context);
    if (!s->ssl || !SSL_set_fd(s->ssl, fd))
      die("session");
    SSL_set_accept_state(s->ssl);
    watch(poller, EPOLL_CTL_ADD, fd, s->awaited = EPOLLIN, s);
  }
  if (errno != EAGAIN)
    die("accept");
}

static void serve(handler *handle, int port) {
  SSL_CTX *context = server_context();
  int listener = listen_loopback(&port);
  struct epoll_event events[EVENTS];
  poller = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  set_nonblocking(listener);
  watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN | EPOLLET, NULL);
  printf("%d\n", port);
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct session *s = events[i].data.ptr;
      if (!s)
        accept_all(context, listener);
      else
        step(s, handle);
    }
  }
}

int tls_role(const char *role, size_t size, int port) {
  static const struct {
    const char *name;
    handler *handle;
  } roles[] = {
    {"tls_echo",   echo  },
    {"tls_sink",   sink  },
    {"tls_source", source},
    {"tls_accept", finish},
  };
  signal(SIGPIPE, SIG_IGN);
  block = size;
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
    if (!strcmp(roles[i].name, role))
      serve(roles[i].handle, port);
  return 0;
}
