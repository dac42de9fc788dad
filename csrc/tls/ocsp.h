/* SPDX-License-Identifier: MIT
 * Stapled OCSP responses (RFC 6066 section 8): served, and checked. */
#ifndef NEAP_TLS_OCSP_H
#define NEAP_TLS_OCSP_H

#include <stddef.h>

#include "tls/context.h"

struct tls_session;

/* What a client does about its server's response. */
enum { TLS_OCSP_ASKS, TLS_OCSP_SILENT, TLS_OCSP_REQUIRES };

/* Once for each context. */
void tls_ocsp_setup(struct tls_context *c);
void tls_ocsp_close(struct tls_context *c);

/* A server's response, in DER, for one of the certificates that the context
 * has. Returns 0, or -1 and *why. */
int tls_ocsp_staple(struct tls_context *c, const void *der, size_t len,
                    const char **why);

/* A client that verifies asks for one, unless it was told not to. */
void tls_ocsp_ask(struct tls_session *s);

#endif
