/* SPDX-License-Identifier: MIT
 * What OpenSSL reads from and writes to for DTLS: one datagram in, and those
 * that are to go out. */
#ifndef NEAP_TLS_DTLSBIO_H
#define NEAP_TLS_DTLSBIO_H

#include <openssl/bio.h>

#include "tls/dtls.h"

/* NULL if there is no memory. */
BIO *dtls_bio_new(struct dtls *d);

#endif
