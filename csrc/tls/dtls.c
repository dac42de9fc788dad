/* SPDX-License-Identifier: MIT */
#include "tls/dtls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "tls/dtlsbio.h"

enum {
  SLOWEST = 60 * 1000000, /* microseconds between two tries, at most */
  PATIENCE = 3,           /* tries after which the path is thought narrow */
  NARROW = 548            /* what every path of IPv4 can carry */
};

/* Where things are in a record that begins a ClientHello. */
enum {
  EPOCH_AT = 3,
  TYPE_AT = 13,
  OFFSET_AT = 19,
  RANDOM_AT = 27,
  RANDOM = 32
};

/* ---- cookies ---- */

int dtls_cookies_rotate(struct dtls_cookies *k) {
  memcpy(k->secrets[1], k->secrets[0], DTLS_SECRET);
  return RAND_bytes(k->secrets[0], DTLS_SECRET) == 1 ? 0 : -1;
}

static struct dtls *dtls_of(SSL *ssl) {
  return (struct dtls *)(void *)SSL_get_app_data(ssl); /* session is first */
}

static bool make_cookie(const struct dtls *d, int which,
                        unsigned char cookie[EVP_MAX_MD_SIZE], unsigned *len) {
  return d->cookies != NULL &&
         HMAC(EVP_sha256(), d->cookies->secrets[which], DTLS_SECRET, d->addr,
              d->addrlen, cookie, len) != NULL;
}

static int give_cookie(SSL *ssl, unsigned char *cookie, unsigned *len) {
  return make_cookie(dtls_of(ssl), 0, cookie, len);
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, unsigned len) {
  unsigned char good[EVP_MAX_MD_SIZE];
  unsigned goodlen;
  int i;
  for (i = 0; i < 2; i++)
    if (make_cookie(dtls_of(ssl), i, good, &goodlen) && goodlen == len &&
        CRYPTO_memcmp(good, cookie, len) == 0)
      return 1;
  return 0;
}

void dtls_context_setup(SSL_CTX *ctx) {
  SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU);
  SSL_CTX_set_cookie_generate_cb(ctx, give_cookie);
  SSL_CTX_set_cookie_verify_cb(ctx, check_cookie);
}

/* ---- opening ---- */

static unsigned next_timeout(SSL *ssl, unsigned before) {
  if (before == 0)
    return dtls_of(ssl)->first;
  return before > SLOWEST / 2 ? SLOWEST : before * 2;
}

int dtls_open(struct dtls *d, struct tls_context *c, bool server,
              const char *name, const char *sni, unsigned mtu, unsigned first,
              const char **why) {
  BIO *bio;
  memset(d, 0, sizeof *d);
  d->first = first;
  bio = dtls_bio_new(d);
  *why = "OpenSSL failed";
  if (bio == NULL ||
      tls_session_over(&d->session, c, bio, server, name, sni, why) < 0)
    return -1;
  DTLS_set_timer_cb(d->session.ssl, next_timeout);
  dtls_shrink(d, mtu);
  return 0;
}

void dtls_close(struct dtls *d) {
  tls_session_close(&d->session);
  free(d->out);
  d->out = NULL;
  d->outat = d->outlen = d->outroom = 0;
}

void dtls_shrink(struct dtls *d, unsigned mtu) {
  if (d->session.ssl == NULL || (d->mtu != 0 && mtu >= d->mtu))
    return;
  d->mtu = mtu < DTLS_MINMTU ? DTLS_MINMTU : mtu;
  SSL_set_mtu(d->session.ssl, (long)d->mtu);
}

/* ---- what comes ---- */

void dtls_feed(struct dtls *d, const char *in, size_t len) {
  d->in = len > 0 ? in : NULL; /* an empty one is nothing */
  d->inlen = len;
}

/* A handshake record of epoch 0 with the first message there is, or its first
 * fragment. */
bool dtls_ishello(const char *in, size_t len, const char **random) {
  const unsigned char *p = (const unsigned char *)in;
  if (len < RANDOM_AT + RANDOM || p[0] != 22 || p[1] != 0xfe ||
      memcmp(p + EPOCH_AT, "\0", 2) != 0 || p[TYPE_AT] != 1 ||
      memcmp(p + OFFSET_AT, "\0\0", 3) != 0)
    return false;
  *random = in + RANDOM_AT;
  return true;
}

bool dtls_listen(struct dtls *d, struct dtls_cookies *k, const void *addr,
                 size_t addrlen, const char *in, size_t len) {
  BIO_ADDR *from = BIO_ADDR_new(); /* which we know better */
  int r = 0;
  d->cookies = k;
  d->addrlen = addrlen < sizeof d->addr ? addrlen : sizeof d->addr;
  memcpy(d->addr, addr, d->addrlen);
  dtls_feed(d, in, len);
  ERR_clear_error();
  if (from != NULL)
    r = DTLSv1_listen(d->session.ssl, from);
  BIO_ADDR_free(from);
  d->peeks = false;
  ERR_clear_error();
  if (r == 1)
    dtls_handshake(d);
  d->in = NULL;
  return r == 1;
}

/* A datagram that is damaged may come to nothing, without any error. */
static int outcome(struct tls_session *s, int result) {
  if (!s->raised && SSL_get_error(s->ssl, result) == SSL_ERROR_SYSCALL &&
      ERR_peek_error() == 0)
    return -EAGAIN;
  return tls_session_outcome(s, result);
}

int dtls_handshake(struct dtls *d) {
  struct tls_session *s = &d->session;
  int r;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  if (s->done)
    return 0;
  if (s->code != NULL) /* it failed before */
    return CHANNEL_FAILED;
  ERR_clear_error();
  r = SSL_do_handshake(s->ssl);
  s->done = r == 1;
  r = r == 1 && !s->raised ? 0 : outcome(s, r);
  if (r == 0)
    d->timeouts = 0;
  return r;
}

ssize_t dtls_read(struct dtls *d, char buf[DTLS_RECORD]) {
  struct tls_session *s = &d->session;
  size_t n;
  int r;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  if (s->ended)
    return CHANNEL_EOF;
  ERR_clear_error();
  r = SSL_read_ex(s->ssl, buf, DTLS_RECORD, &n);
  return r == 1 ? (ssize_t)n : outcome(s, r);
}

/* ---- what goes ---- */

size_t dtls_most(const struct dtls *d) {
  size_t most = DTLS_get_data_mtu(d->session.ssl);
  return most < DTLS_RECORD ? most : DTLS_RECORD;
}

int dtls_write(struct dtls *d, const char *data, size_t len) {
  struct tls_session *s = &d->session;
  size_t n;
  int r;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  if (len > dtls_most(d))
    return -EMSGSIZE;
  ERR_clear_error();
  r = SSL_write_ex(s->ssl, data, len, &n);
  return r == 1 ? 0 : tls_session_outcome(s, r);
}

void dtls_end(struct dtls *d) {
  struct tls_session *s = &d->session;
  if (s->ssl == NULL || s->told || !s->done)
    return;
  ERR_clear_error();
  SSL_shutdown(s->ssl);
  ERR_clear_error();
  s->told = true;
}

const char *dtls_take(struct dtls *d, size_t *len) {
  const char *at;
  if (d->outat == d->outlen) {
    free(d->out);
    d->out = NULL;
    d->outat = d->outlen = d->outroom = 0;
    return NULL;
  }
  memcpy(len, d->out + d->outat, sizeof *len);
  at = d->out + d->outat + sizeof *len;
  d->outat += sizeof *len + *len;
  return at;
}

/* ---- time ---- */

int64_t dtls_due(const struct dtls *d) {
  struct timeval left;
  if (d->session.ssl == NULL || DTLSv1_get_timeout(d->session.ssl, &left) != 1)
    return -1;
  return (int64_t)left.tv_sec * 1000000 + left.tv_usec;
}

/* What is lost again and again may be too long for the path (RFC 9147 section
 * 4.4). */
int dtls_expire(struct dtls *d) {
  struct tls_session *s = &d->session;
  int r;
  if (s->ssl == NULL)
    return CHANNEL_CLOSED;
  if (++d->timeouts >= PATIENCE)
    dtls_shrink(d, NARROW);
  ERR_clear_error();
  r = (int)DTLSv1_handle_timeout(s->ssl);
  if (r >= 0)
    return 0;
  ERR_clear_error();
  return -ETIMEDOUT;
}
