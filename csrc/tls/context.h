/* SPDX-License-Identifier: MIT
 * What many sessions share: certificates, trust, limits, and the sessions that
 * clients may resume. Immutable once it is used. */
#ifndef NEAP_TLS_CONTEXT_H
#define NEAP_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_KEPT = 64, TLS_MAXPINS = 8, TLS_PINLEN = 32 };

struct tls_kept {
  char *name;
  SSL_SESSION *session;
};

/* A server's names: the context for "a.example" or "*.b.example". */
struct tls_names {
  struct tls_names *next;
  const struct tls_context *of; /* kept by who made this one */
  SSL_CTX *ctx;
  char name[];
};

struct tls_context {
  SSL_CTX *ctx;
  bool verifies;       /* clients: the server's certificate */
  bool verifies_name;  /* and that it is for the name */
  int asks;            /* servers: SSL_VERIFY_... */
  unsigned char *alpn; /* as it goes over the wire */
  size_t alpnlen;
  struct tls_names *names;
  int ocsp;                   /* clients: TLS_OCSP_... */
  struct tls_staple *staples; /* servers */
  unsigned char pins[TLS_MAXPINS][TLS_PINLEN];
  int npins;
  bool ktls;                      /* the kernel may encrypt */
  uint32_t maxearly;              /* servers: bytes of early data */
  struct tls_kept kept[TLS_KEPT]; /* the oldest is overwritten */
  unsigned oldest;
};

/* All but open: 0, or -1, then tls_error() says why. */
int tls_context_open(struct tls_context *c);
void tls_context_close(struct tls_context *c);

/* PEM: a certificate with its chain, and its key. why: set if the passphrase
 * is what is wrong, else NULL. */
int tls_context_certificate(struct tls_context *c, const char *pem, size_t len);
int tls_context_key(struct tls_context *c, const char *pem, size_t len,
                    const char *passphrase, const char **why);

/* Trust: the system's, a directory, PEM text; and lists of what is revoked. */
int tls_context_systemtrust(struct tls_context *c);
int tls_context_trust(struct tls_context *c, const char *pem, size_t len,
                      bool asks);
int tls_context_trustdir(struct tls_context *c, const char *path);
int tls_context_crl(struct tls_context *c, const char *pem, size_t len);

int tls_context_versions(struct tls_context *c, int min, int max);
int tls_context_alpn(struct tls_context *c, const void *wire, size_t len);

/* ---- kept.c: what clients may resume ---- */

void tls_kept_setup(struct tls_context *c);
void tls_kept_close(struct tls_context *c);

/* A client's session for a name, to be resumed, or NULL. */
SSL_SESSION *tls_context_resumable(struct tls_context *c, const char *name);
void tls_context_keep(struct tls_context *c, const char *name,
                      SSL_SESSION *session);

/* ---- names.c: servers of several names ---- */

int tls_context_name(struct tls_context *c, const char *name, size_t len,
                     struct tls_context *of);
void tls_names_close(struct tls_context *c);

/* A session's handshake pauses when it has the ClientHello, until `answered`
 * and `answer` say which context it is for. */
void tls_context_asknames(struct tls_context *c);

/* ---- what went wrong ---- */

/* Puts what OpenSSL reports last into text, and empties its queue. */
const char *tls_error(char *text, size_t len);

/* "X509_V_ERR_CERT_HAS_EXPIRED" of its number. */
const char *tls_verifyname(long number);

#endif
