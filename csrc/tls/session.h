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
  char *name;    /* clients: what is verified, and sessions are kept by */
  int err;       /* what the channel under it failed with, or 0 */
  bool verifies; /* the peer must have a certificate that is believed */
  bool done;     /* the handshake is */
  bool ended;    /* close_notify came */
  bool told;     /* and went */
  bool answered; /* servers: whom the ClientHello is for was decided */
  struct tls_context *answer; /* NULL: refused; kept by who answered */
  char *asked;                /* the name in the ClientHello, or NULL */
  struct tls_early *early;    /* or NULL */
  bool vouched;               /* a stapled OCSP response says that it is good */
  const char *code;
  char text[TLS_TEXTLEN];
};

/* A client's, or a server's, over what base.under will be. name: NULL, or
 * what the certificate must be for (SNI too, unless it is an address; sni
 * overrides that). Returns 0, or -1 and *why. */
int tls_session_open(struct tls_session *s, struct tls_context *c, bool server,
                     const char *name, const char *sni, const char **why);

/* Idempotent. */
void tls_session_close(struct tls_session *s);

#endif
