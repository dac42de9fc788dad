/* SPDX-License-Identifier: MIT */
#include "tls/session.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "tls/bio.h"
#include "tls/early.h"
#include "tls/psk.h"
#include "tls/verify.h"

enum { GATHER = 16 * 1024 }; /* what one record holds */

/* What waits to go down while we read: more than any of our records, so it is
 * answers, to a peer that takes none. */
enum { MOST_HELD = 256 * 1024 };

static struct tls_session *session_of(struct channel *c) {
  return container_of(c, struct tls_session, base);
}

/* ---- failures ---- */

void tls_session_say(struct tls_session *s, const char *format, ...) {
  char text[TLS_TEXTLEN];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  va_end(values);
  free(s->text); /* it may be one of the values */
  s->text = strdup(text);
}

static int fail(struct tls_session *s, const char *code, const char *text) {
  s->code = code;
  tls_session_say(s, "%s", text);
  ERR_clear_error();
  return CHANNEL_FAILED;
}

/* The text was written when it was found out. */
static int verify_failed(struct tls_session *s, long result) {
  s->code = tls_verifyname(result);
  ERR_clear_error();
  return CHANNEL_FAILED;
}

/* A function of the user's has failed, and said how; or it closed us. */
static int raised(struct tls_session *s) {
  ERR_clear_error();
  s->code = "ETLS";
  if (!s->doomed)
    return CHANNEL_FAILED;
  tls_session_close(s);
  return CHANNEL_CLOSED;
}

int tls_session_outcome(struct tls_session *s, int result) {
  char text[TLS_TEXTLEN];
  unsigned long e;
  long verified;
  if (s->raised)
    return raised(s);
  switch (SSL_get_error(s->ssl, result)) {
  case SSL_ERROR_WANT_CLIENT_HELLO_CB:
    return CHANNEL_PAUSED;
  case SSL_ERROR_WANT_READ:
    s->base.want = CHANNEL_IN;
    return -EAGAIN;
  case SSL_ERROR_WANT_WRITE:
    s->base.want = CHANNEL_OUT;
    return -EAGAIN;
  case SSL_ERROR_ZERO_RETURN:
    if (!s->done)
      return fail(s, "ETLS", "the peer ended during the handshake");
    s->ended = true;
    return CHANNEL_EOF;
  default:
    break;
  }
  if (s->err == -EAGAIN)
    s->err = 0;
  if (s->err != 0 && s->err != CHANNEL_EOF) {
    ERR_clear_error();
    return s->err;
  }
  e = ERR_peek_last_error();
  verified = SSL_get_verify_result(s->ssl);
  if (!s->done && verified != X509_V_OK && s->code == NULL && s->text != NULL)
    return verify_failed(s, verified);
  if (s->err == CHANNEL_EOF ||
      ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return fail(s, "ETLS",
                s->done ? "truncated: the peer ended without close_notify"
                        : "the peer ended during the handshake");
  tls_session_say(s, "%s", tls_error(text, sizeof text));
  tls_psk_explain(s);
  s->code = "ETLS";
  return CHANNEL_FAILED;
}

/* What another user of OpenSSL has left, in this thread. To ask is cheaper. */
static void forget_errors(void) {
  if (ERR_peek_error() != 0)
    ERR_clear_error();
}

/* ---- the channel ---- */

static int flush(struct channel *c) {
  struct tls_session *s = session_of(c);
  s->late = false;
  return s->ssl == NULL ? CHANNEL_CLOSED : tls_bio_flush(SSL_get_wbio(s->ssl));
}

/* A server's tickets, each of which OpenSSL would send by itself, can go with
 * what is said next: nobody waits for them. */
static int step(struct tls_session *s) {
  BIO *bio = SSL_get_wbio(s->ssl);
  int r;
  tls_bio_gather(bio, SSL_is_server(s->ssl) &&
                        SSL_get_state(s->ssl) != TLS_ST_BEFORE);
  r = SSL_do_handshake(s->ssl);
  tls_bio_gather(bio, false);
  s->late = r == 1 && !s->doomed && SSL_is_server(s->ssl) &&
            SSL_version(s->ssl) == TLS1_3_VERSION && s->base.held > 0 &&
            s->base.under->held == 0 && !s->base.direct;
  if (s->late)
    s->base.held = 0;
  return r;
}

/* What it still has to say goes first; then it may wait for the peer. */
static int handshake(struct channel *c) {
  struct tls_session *s = session_of(c);
  int r, sent;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  s->reads = 0;
  c->more = false;
  ERR_clear_error();
  r = s->done || !tls_early_due(s) ? 1 : tls_early_step(s);
  if (r == 1 && !s->done)
    r = step(s);
  s->done = r == 1;
  r = r == 1 && !s->raised ? 0 : tls_session_outcome(s, r);
  if (r == CHANNEL_PAUSED)
    return r;
  if (r < 0 && r != -EAGAIN) {
    flush(c); /* the alert */
    return r;
  }
  if (c->held == 0)
    return r;
  sent = flush(c);
  if (sent < 0)
    return sent;
  c->want = CHANNEL_IN;
  return r;
}

static ssize_t session_read(struct channel *c, void *buf, size_t len) {
  struct tls_session *s = session_of(c);
  size_t n;
  int r;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  if (s->ended)
    return 0;
  if (c->held > 0 || s->late)
    flush(c);
  if (c->held > MOST_HELD)
    return fail(s, "ETLS", "the peer asks for answers, and takes none");
  s->reads = 0;
  c->more = c->drained = false;
  forget_errors();
  s->reading = true;
  r = SSL_read_ex(s->ssl, buf, len, &n);
  s->reading = false;
  if (r == 1) {
    tls_busy_use(s);
    c->drained = c->drained && !SSL_has_pending(s->ssl);
    return (ssize_t)n;
  }
  r = tls_session_outcome(s, r);
  if (r == CHANNEL_PAUSED) { /* who shakes hands decides */
    c->want = CHANNEL_IN;
    return -EAGAIN;
  }
  return r == CHANNEL_EOF ? 0 : r;
}

/* The kernel encrypts what the descriptor gets. */
static ssize_t write_direct(struct channel *c, const struct iovec *iov, int n) {
  ssize_t sent = c->under->ops->write(c->under, iov, n);
  c->want = c->under->want;
  return sent;
}

/* Small blocks go into one record. */
static size_t gather(char *room, const struct iovec *iov, int n) {
  size_t len = 0;
  int i;
  for (i = 0; i < n && len < GATHER; i++) {
    size_t part = iov[i].iov_len;
    if (part > GATHER - len)
      part = GATHER - len;
    memcpy(room + len, iov[i].iov_base, part);
    len += part;
  }
  return len;
}

static ssize_t write_bytes(struct tls_session *s, const void *bytes,
                           size_t len) {
  size_t n;
  int r;
  forget_errors();
  r = SSL_write_ex(s->ssl, bytes, len, &n);
  if (s->late)
    flush(&s->base); /* that, too */
  if (r == 1)
    tls_busy_use(s);
  if (r == 1)
    return (ssize_t)n;
  r = tls_session_outcome(s, r);
  return r == CHANNEL_EOF ? -EPIPE : r;
}

/* Nothing is begun before all that was begun has gone down. */
static ssize_t session_write(struct channel *c, const struct iovec *iov,
                             int n) {
  struct tls_session *s = session_of(c);
  char room[GATHER];
  int r = c->held > 0 ? flush(c) : 0;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  if (s->told)
    return -EPIPE;
  if (r < 0)
    return r;
  if (c->direct)
    return write_direct(c, iov, n);
  if (n == 1 || iov[0].iov_len >= GATHER)
    return write_bytes(s, iov[0].iov_base, iov[0].iov_len);
  return write_bytes(s, room, gather(room, iov, n));
}

/* Says close_notify; the other direction goes on. */
static int say_end(struct tls_session *s) {
  int r;
  if (s->told || !s->done)
    return 0;
  ERR_clear_error();
  r = SSL_shutdown(s->ssl);
  if (r < 0) {
    r = tls_session_outcome(s, r);
    if (r == -EAGAIN)
      return r;
  }
  s->told = true;
  return r < 0 ? r : 0;
}

static int session_shutdown(struct channel *c, int how) {
  struct tls_session *s = session_of(c);
  int r;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  (void)how;
  r = say_end(s);
  if (r == 0 && c->held > 0)
    r = flush(c);
  return r == CHANNEL_EOF ? 0 : r;
}

static void session_close(struct channel *c, bool quiet) {
  struct tls_session *s = session_of(c);
  struct channel *under = c->under;
  if (s->ssl != NULL && !quiet)
    session_shutdown(c, 1);
  tls_session_close(s);
  c->held = 0;
  c->under = NULL;
  if (under != NULL)
    under->ops->close(under, quiet);
}

static const char *why(struct channel *c, const char **code) {
  struct tls_session *s = session_of(c);
  *code = s->code != NULL ? s->code : "ETLS";
  return s->text != NULL ? s->text : "not enough memory";
}

static const struct channel_ops ops = {
  .kind = "TLS",
  .read = session_read,
  .write = session_write,
  .flush = flush,
  .handshake = handshake,
  .shutdown = session_shutdown,
  .close = session_close,
  .why = why,
};

/* ---- opening ---- */

static int set_name(struct tls_session *s, const char *name, const char *sni) {
  s->name = strdup(name);
  if (s->name == NULL)
    return -1;
  if (s->context->verifies && s->context->verifies_name &&
      tls_verify_name(s->ssl, name) < 0)
    return -1;
  if (sni != NULL && SSL_set_tlsext_host_name(s->ssl, sni) != 1)
    return -1;
  tls_kept_offer(s->context, s->ssl, name);
  return 0;
}

int tls_session_over(struct tls_session *s, struct tls_context *c, BIO *bio,
                     bool server, const char *name, const char *sni,
                     const char **why_not) {
  s->context = c;
  *why_not = "OpenSSL failed";
  s->ssl = SSL_new(c->ctx);
  if (s->ssl == NULL) {
    BIO_free(bio);
    return -1;
  }
  SSL_set_bio(s->ssl, bio, bio);
  SSL_set_app_data(s->ssl, s);
  if (c->ktls) {
    SSL_set_options(s->ssl, SSL_OP_ENABLE_KTLS);
    SSL_set_read_ahead(s->ssl, 0); /* what was read ahead, no kernel decrypts */
    tls_bio_offerkernel(bio);
  }
  tls_verify_role(s, server);
  if (server)
    SSL_set_accept_state(s->ssl);
  else
    SSL_set_connect_state(s->ssl);
  if (name != NULL && set_name(s, name, sni) < 0) {
    *why_not = "this name cannot be verified";
    tls_session_close(s);
    return -1;
  }
  ERR_clear_error();
  return 0;
}

int tls_session_open(struct tls_session *s, struct tls_context *c, bool server,
                     const char *name, const char *sni, const char **why_not) {
  BIO *bio;
  memset(s, 0, sizeof *s);
  s->base.magic = CHANNEL_MAGIC;
  s->base.version = CHANNEL_VERSION;
  s->base.size = sizeof s->base;
  s->base.ops = &ops;
  *why_not = "OpenSSL failed";
  bio = tls_bio_new(&s->base, &s->err, &s->reads);
  return bio != NULL ? tls_session_over(s, c, bio, server, name, sni, why_not)
                     : -1;
}

void tls_session_close(struct tls_session *s) {
  s->doomed = s->inside;
  if (s->doomed)
    return;
  tls_busy_end(s);
  if (s->ssl != NULL && s->done)
    SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(s->ssl);
  s->ssl = NULL;
  free(s->name);
  free(s->asked);
  free(s->early);
  free(s->stranger);
  free(s->text);
  s->name = s->asked = s->stranger = s->text = NULL;
  s->early = NULL;
}
