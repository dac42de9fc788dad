/* SPDX-License-Identifier: MIT
 * What many sessions share: certificates, trust, limits, and the sessions that
 * clients may resume. Immutable once it is used. */
#ifndef NEAP_TLS_CONTEXT_H
#define NEAP_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_KEPT = 128, TLS_SCOPELEN = 32, TLS_MAXPINS = 8, TLS_PINLEN = 32 };
enum { TLS_BUSY = 64 }; /* sessions that keep their buffers (busy.c) */

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

/* Of who made the context; called inside a handshake. Each returns < 0, and a
 * text, if it fails: the handshake does then. */
struct tls_functions {
  void *arg;
  /* The key of a client, of TLS_MAXPSK bytes at most: its length, 0: none. */
  int (*psk)(void *arg, const char *identity, size_t len, unsigned char *key,
             char *text, size_t room);
  int (*keylog)(void *arg, const char *line, char *text, size_t room);
};

struct tls_session;

struct tls_context {
  SSL_CTX *ctx;
  bool datagrams;      /* for DTLS */
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
  bool ktls;             /* the kernel may encrypt */
  uint32_t maxearly;     /* servers: bytes of early data */
  struct tls_kept *kept; /* the oldest first, TLS_KEPT at most */
  int nkept;
  struct tls_tickets *tickets; /* NULL: nothing is resumed */
  unsigned char scope[TLS_SCOPELEN];
  struct tls_psk *psk; /* clients, or NULL */
  struct tls_functions functions;
  struct tls_session *busy[TLS_BUSY]; /* or NULL */
  unsigned nextbusy;
};

/* What a session has now: a name may have chosen another than it began with. */
struct tls_context *tls_context_of(const SSL *ssl);

/* All but open: 0, or -1, then tls_error() says why. */
int tls_context_open(struct tls_context *c, bool datagrams);
void tls_context_close(struct tls_context *c);

/* By the numbers of TLS, of DTLS, too; 0: any. */
int tls_context_versions(struct tls_context *c, int min, int max);
int tls_context_alpn(struct tls_context *c, const void *wire, size_t len);

/* ---- files.c, p12.c: what it is told in files ---- */

/* In *why, where it is known better than to OpenSSL, what is wrong; else it is
 * NULL. One of these, if it is the passphrase. */
extern const char tls_locked[], tls_wrong[];

/* PEM: a certificate with its chain; then its key. */
int tls_context_certificate(struct tls_context *c, const char *pem, size_t len,
                            const char **why);
int tls_context_key(struct tls_context *c, const char *pem, size_t len,
                    const char *passphrase, const char **why);

/* All of these in one, in DER. */
int tls_context_pkcs12(struct tls_context *c, const void *der, size_t len,
                       const char *passphrase, const char **why);

/* Trust: the system's, PEM text, a directory; and lists of what is revoked. */
int tls_context_systemtrust(struct tls_context *c);
int tls_context_trust(struct tls_context *c, const char *pem, size_t len,
                      bool asks, const char **why);
int tls_context_trustdir(struct tls_context *c, const char *path, bool asks,
                         const char **why);
int tls_context_crl(struct tls_context *c, const char *pem, size_t len,
                    const char **why);

/* ---- keylog.c ---- */

/* From now on its function gets to know the secrets. */
void tls_context_keylog(struct tls_context *c);

/* ---- kept.c: what clients may resume ---- */

void tls_kept_setup(struct tls_context *c);
void tls_kept_close(struct tls_context *c);

/* A client's session is to be resumed, if there is one for this name. */
void tls_kept_offer(struct tls_context *c, SSL *ssl, const char *name);

/* ---- names.c: servers of several names ---- */

void tls_names_setup(struct tls_context *c);
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
