/* SPDX-License-Identifier: MIT
 * What the files over certificates share with each other. */
#ifndef NEAP_TLS_X509IN_H
#define NEAP_TLS_X509IN_H

#include <openssl/x509v3.h>

#include "tls/x509.h"

/* Whether a text is DER, of 128 bytes or more, rather than PEM. */
bool cert_isder(const char *text, size_t len);

/* What a memory BIO holds. */
void cert_putbio(struct cert_out *o, BIO *bio);
void cert_puthex(struct cert_out *o, const unsigned char *bytes, size_t n);

/* "serverAuth", or the numbers of one without a name. */
void cert_putobject(struct cert_out *o, const ASN1_OBJECT *object);

/* The base64 of the SHA-256 of a public key. */
int cert_putpin(struct cert_out *o, const X509_PUBKEY *key);
int cert_putdetails(struct cert_out *o, const X509_PUBKEY *key);

/* A distinguished name as text, as rows; alternative names as rows. */
void cert_putname(struct cert_out *o, const X509_NAME *name);
void cert_putentries(struct cert_out *o, const X509_NAME *name);
void cert_putnames(struct cert_out *o, const GENERAL_NAMES *names);

/* For PEM_read_bio: nobody is asked. */
int cert_nopass(char *to, int room, int writes, void *arg);

#endif
