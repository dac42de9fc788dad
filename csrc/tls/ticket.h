/* SPDX-License-Identifier: MIT
 * Tickets, by which sessions are resumed: their keys follow from a secret and
 * the time, so that whoever has the secret can open them, and none for ever. */
#ifndef NEAP_TLS_TICKET_H
#define NEAP_TLS_TICKET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls/context.h"

enum {
  TLS_MAXSECRETS = 8,
  TLS_MINSECRET = 32, /* bytes of one */
  TLS_LIFETIME = 12 * 60 * 60,
  TLS_MAXLIFETIME = 7 * 24 * 60 * 60 /* RFC 8446 section 4.6.1 */
};

/* A new context: with a secret of its own, which nobody else has. */
int tls_tickets_setup(struct tls_context *c);
void tls_tickets_close(struct tls_context *c);

/* Secrets in place of its own: the first makes tickets, all open them. So many
 * blocks, of at least TLS_MINSECRET bytes each. */
struct tls_secret {
  const char *bytes;
  size_t len;
};
int tls_tickets_secrets(struct tls_context *c, const struct tls_secret *list,
                        int n);

/* The secrets of another context. */
void tls_tickets_inherit(struct tls_context *c, const struct tls_context *from);

/* How many seconds after its full handshake a session can be resumed; the keys
 * change as often. */
void tls_tickets_lifetime(struct tls_context *c, long seconds);

/* Nothing is resumed, neither as a client nor as a server. */
void tls_tickets_off(struct tls_context *c);

/* What a session is resumed under is this text, and the name by which a client
 * has chosen the context (NULL: it has not). */
int tls_tickets_scope(struct tls_context *c, const void *text, size_t len);
void tls_tickets_choose(SSL *ssl, const struct tls_context *c,
                        const char *name);

/* Notes that a session begins now, unless it is known when it did. */
void tls_ticket_date(SSL_SESSION *session);

/* The seconds that it can still be resumed for; <= 0 if it cannot. */
long tls_ticket_left(const struct tls_context *c, const SSL_SESSION *session);

#endif
