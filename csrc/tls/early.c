/* SPDX-License-Identifier: MIT */
#include "tls/early.h"

#include <stdlib.h>
#include <string.h>

/* OpenSSL lets a ticket be used once only where it keeps the session itself. A
 * ticket says how much there may be with it; what comes with one that we do not
 * know, of a context before this one, is passed over: no less than by default.
 */
int tls_context_early(struct tls_context *c, uint32_t most) {
  uint32_t passed =
    most > SSL3_RT_MAX_PLAIN_LENGTH ? most : SSL3_RT_MAX_PLAIN_LENGTH;
  c->maxearly = most;
  SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_SERVER);
  return SSL_CTX_set_max_early_data(c->ctx, most) == 1 &&
             SSL_CTX_set_recv_max_early_data(c->ctx, passed) == 1
           ? 0
           : -1;
}

static int make(struct tls_session *s, size_t room) {
  s->early = calloc(1, sizeof *s->early + room);
  if (s->early == NULL)
    return -1;
  s->early->room = room;
  return 0;
}

int tls_early_accept(struct tls_session *s) {
  return make(s, (size_t)s->context->maxearly + 1); /* never asked for none */
}

int tls_early_send(struct tls_session *s, const char *data, size_t len) {
  SSL_SESSION *old = SSL_get_session(s->ssl);
  if (old == NULL || SSL_SESSION_get_max_early_data(old) < len)
    return 0;
  if (make(s, len) < 0)
    return -1;
  memcpy(s->early->data, data, len);
  s->early->len = len;
  return 0;
}

bool tls_early_due(const struct tls_session *s) {
  return s->early != NULL && !s->early->over;
}

static int send_step(struct tls_session *s, struct tls_early *e) {
  while (e->at < e->len) {
    size_t n;
    if (SSL_write_early_data(s->ssl, e->data + e->at, e->len - e->at, &n) != 1)
      return -1;
    e->at += n;
  }
  e->over = true;
  return 1;
}

static int accept_step(struct tls_session *s, struct tls_early *e) {
  for (;;) {
    size_t n = 0;
    switch (
      SSL_read_early_data(s->ssl, e->data + e->len, e->room - e->len, &n)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
      e->len += n;
      break;
    case SSL_READ_EARLY_DATA_FINISH:
      e->over = true;
      return 1;
    default:
      return -1;
    }
  }
}

/* What is over needs no more room than it has taken. */
static void shrink(struct tls_session *s) {
  struct tls_early *less = realloc(s->early, sizeof *less + s->early->len);
  if (less != NULL)
    s->early = less;
}

int tls_early_step(struct tls_session *s) {
  int r =
    SSL_is_server(s->ssl) ? accept_step(s, s->early) : send_step(s, s->early);
  if (r == 1)
    shrink(s);
  return r;
}
