/* SPDX-License-Identifier: MIT
 * Keys that both sides have from elsewhere, in place of certificates (RFC 4279,
 * RFC 8446 section 4.2.11). */
#ifndef NEAP_TLS_PSK_H
#define NEAP_TLS_PSK_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "tls/context.h"

enum { TLS_MAXPSK = 256, TLS_MAXIDENTITY = 128 };

/* Clients: who we are, a string, and our key. 0 or -1. */
int tls_psk_client(struct tls_context *c, const char *identity, const void *key,
                   size_t len);

/* Servers: asks the context's function, which is set; the hint of TLS 1.2 may
 * be NULL. */
int tls_psk_server(struct tls_context *c, const char *hint);

/* A client has chosen this context by a name. */
void tls_psk_choose(SSL *ssl, const struct tls_context *c);

void tls_psk_close(struct tls_context *c);

/* Whose key this session is made with, *len bytes, or NULL. */
const char *tls_psk_identity(SSL *ssl, size_t *len);

/* The text of a handshake that failed also says whose key there was not. */
struct tls_session;
void tls_psk_explain(struct tls_session *s);

#endif
