/* SPDX-License-Identifier: MIT
 * What a session gives beside the bytes that it carries. */
#ifndef NEAP_TLS_EXTRA_H
#define NEAP_TLS_EXTRA_H

#include "tls/session.h"

enum { TLS_MAXBINDING = 64, TLS_MAXEXPORT = 4096 };

/* Keying material that both ends can make, and nobody else (RFC 5705, RFC
 * 8446 section 7.5). context: NULL for none. Returns 0 or -1. */
int tls_export(struct tls_session *s, const char *label, size_t labellen,
               const void *context, size_t contextlen, void *out, size_t len);

/* "tls-exporter" (RFC 9266), "tls-server-end-point", "tls-unique" (RFC 5929).
 * Returns the length; -1 if the connection has none of this kind, or *why. */
int tls_binding(struct tls_session *s, const char *kind,
                unsigned char out[TLS_MAXBINDING], const char **why);

/* New keys for what is sent from now on, and, if it is asked, of the peer's,
 * too (RFC 8446 section 4.6.3). Returns 0, or -1 and *why. */
int tls_rekey(struct tls_session *s, bool asks, const char **why);

#endif
