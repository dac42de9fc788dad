/* SPDX-License-Identifier: MIT
 * Whose certificate is believed, and for which name (RFC 9525). */
#ifndef NEAP_TLS_VERIFY_H
#define NEAP_TLS_VERIFY_H

#include <openssl/ssl.h>

#include "tls/context.h"

/* The peer's certificate must be for this host or IP address: by its
 * subjectAltName alone, wildcards for a whole label alone. Returns 0, or -1
 * for a name that cannot be verified. */
int tls_verify_name(SSL *ssl, const char *name);

/* Once for each context: a session's text says then what was wrong with whose
 * certificate. */
void tls_verify_setup(struct tls_context *c);

/* Whether a session asks its peer for a certificate, and insists; and whether
 * it asks for an OCSP response: by its role. */
struct tls_session;
void tls_verify_role(struct tls_session *s, bool server);

/* The session's text says then what is wrong with this certificate. */
void tls_verify_tell(struct tls_session *s, const char *what, X509 *cert);

#endif
