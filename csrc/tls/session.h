/* SPDX-License-Identifier: MIT
 * TLS over any channel: a channel itself. */
#ifndef NEAP_TLS_SESSION_H
#define NEAP_TLS_SESSION_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "io/channel.h"
#include "tls/context.h"

enum { TLS_TEXTLEN = 1024 };

struct tls_early; /* tls/early.h */

struct tls_session {
  struct channel base;
  SSL *ssl;                    /* NULL once it is closed */
  struct tls_context *context; /* kept by who made the session */
  char *name;     /* clients: what is verified, and sessions are kept by */
  unsigned reads; /* of the channel under it, by one call */
  int err;        /* what the channel under it failed with, or 0 */
  bool verifies;  /* the peer must have a certificate that is believed */
  bool done;      /* the handshake is */
  bool ended;     /* close_notify came */
  bool told;      /* and went */
  bool late;      /* servers: tickets are held, and not counted */
  bool answered;  /* servers: whom the ClientHello is for was decided */
  struct tls_context *answer; /* NULL: refused; kept by who answered */
  char *asked;                /* the name in the ClientHello, or NULL */
  bool heard;                 /* and by it the context was chosen */
  struct tls_early *early;    /* or NULL */
  unsigned place;             /* in context->busy, if it is */
  bool busy, used;
  bool reading;   /* OpenSSL is, into its buffer */
  bool vouched;   /* a stapled OCSP response says that it is good */
  bool inside;    /* a function of the user's runs in it */
  bool raised;    /* and has failed: text says how */
  bool doomed;    /* and has closed it */
  char *stranger; /* servers: whose key there was not, or NULL */
  const char *code;
  char *text; /* what failed, or NULL */
};

/* A client's, or a server's, over what base.under will be. name: NULL, or
 * what the certificate must be for (SNI too, unless it is an address; sni
 * overrides that). Returns 0, or -1 and *why. */
int tls_session_open(struct tls_session *s, struct tls_context *c, bool server,
                     const char *name, const char *sni, const char **why);

/* The same over a BIO, which it owns from then on; s is all zero, and maybe no
 * channel. */
int tls_session_over(struct tls_session *s, struct tls_context *c, BIO *bio,
                     bool server, const char *name, const char *sni,
                     const char **why);

/* busy.c: it was used, and may keep its buffers; it is over. */
void tls_busy_use(struct tls_session *s);
void tls_busy_end(struct tls_session *s);

/* What failed, as printf has it, TLS_TEXTLEN bytes of it at most. */
void tls_session_say(struct tls_session *s, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* What OpenSSL's last call came to: -EAGAIN, CHANNEL_EOF, or a failure. */
int tls_session_outcome(struct tls_session *s, int result);

/* Idempotent. Inside of it, when it is over. */
void tls_session_close(struct tls_session *s);

#endif
