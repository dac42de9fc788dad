/* SPDX-License-Identifier: MIT
 * One end of an association of DTLS: datagrams in, datagrams out. It has no
 * socket and never waits: who has one feeds it what comes, sends what it takes
 * from it, and calls dtls_expire when it is time. */
#ifndef NEAP_TLS_DTLS_H
#define NEAP_TLS_DTLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/session.h"

enum {
  DTLS_RECORD = 16 * 1024, /* what one record holds */
  DTLS_MINMTU = 256,
  DTLS_MAXMTU = 65507,
  DTLS_MAXOUT = 256 * 1024, /* what waits to be taken */
  DTLS_MAXADDR = 128,
  DTLS_SECRET = 32
};

/* Of a server: a ClientHello is answered with a cookie made of the sender's
 * address and a secret, and nothing is kept until the cookie comes back. What
 * was made with the secret before this one is accepted, too. */
struct dtls_cookies {
  unsigned char secrets[2][DTLS_SECRET];
};

struct dtls {
  struct tls_session session; /* it is no channel: base is not used */
  struct dtls_cookies *cookies;
  unsigned char addr[DTLS_MAXADDR]; /* of who sent the ClientHello */
  size_t addrlen;
  const char *in; /* the datagram that came, or NULL */
  size_t inlen;
  bool peeks;
  char *out; /* what goes out, each with its length before it */
  size_t outat, outlen, outroom;
  unsigned mtu;      /* the longest datagram */
  unsigned first;    /* microseconds until what was lost is sent again */
  unsigned timeouts; /* in a row */
};

/* Once, before anything else: 0 or -1. */
int dtls_setup(void);

/* For a context that was opened for datagrams. */
void dtls_context_setup(SSL_CTX *ctx);

/* A client's, or a server's end; as tls_session_open. mtu: without the headers
 * of IP and UDP. */
int dtls_open(struct dtls *d, struct tls_context *c, bool server,
              const char *name, const char *sni, unsigned mtu, unsigned first,
              const char **why);

/* Idempotent. */
void dtls_close(struct dtls *d);

/* A new secret; the one before the last is forgotten. Returns 0 or -1. */
int dtls_cookies_rotate(struct dtls_cookies *k);

/* Is this a datagram that begins with a ClientHello? Its random is at
 * *random, 32 bytes of it. */
bool dtls_ishello(const char *in, size_t len, const char **random);

/* A server's end that was just opened: what it says of a ClientHello from
 * this address is to be taken. Returns true if the cookie is good: then the
 * handshake has begun, and else it can be asked about the next one. */
bool dtls_listen(struct dtls *d, struct dtls_cookies *k, const void *addr,
                 size_t addrlen, const char *in, size_t len);

/* A datagram that came; it must stay where it is until dtls_handshake or
 * dtls_read returned -EAGAIN or failed. */
void dtls_feed(struct dtls *d, const char *in, size_t len);

/* 0, -EAGAIN, or a failure: session.code and session.text say more. */
int dtls_handshake(struct dtls *d);

/* One message's length, -EAGAIN, CHANNEL_EOF, or a failure. */
ssize_t dtls_read(struct dtls *d, char buf[DTLS_RECORD]);

/* The longest message that can be written now. */
size_t dtls_most(const struct dtls *d);

/* 0 or a failure; -EMSGSIZE: it is longer than that. */
int dtls_write(struct dtls *d, const char *data, size_t len);

/* The end, once: to be taken. */
void dtls_end(struct dtls *d);

/* The next datagram that is to be sent, or NULL; until the next call. */
const char *dtls_take(struct dtls *d, size_t *len);

/* Microseconds until dtls_expire is to be called, or -1. */
int64_t dtls_due(const struct dtls *d);

/* What got no answer is to be sent again. 0 or a failure. */
int dtls_expire(struct dtls *d);

/* From now on no datagram is longer than this. */
void dtls_shrink(struct dtls *d, unsigned mtu);

#endif
