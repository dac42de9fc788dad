/* SPDX-License-Identifier: MIT */
#include "tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tls/session.h"
#include "tls/verify.h"

enum { SECURITY_LEVEL = 2, DEPTH = 10 };

const char *tls_error(char *text, size_t len) {
  unsigned long e = ERR_peek_last_error();
  const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;
  if (len > 0) {
    text[0] = '\0';
    strncat(text, reason != NULL ? reason : "OpenSSL failed", len - 1);
  }
  ERR_clear_error();
  return text;
}

static int ok(int result) {
  return result == 1 ? 0 : -1;
}

/* ---- what clients may resume ---- */

SSL_SESSION *tls_context_resumable(struct tls_context *c, const char *name) {
  int i;
  for (i = 0; i < TLS_KEPT; i++)
    if (c->kept[i].name != NULL && strcmp(c->kept[i].name, name) == 0)
      return c->kept[i].session;
  return NULL;
}

static void forget(struct tls_kept *k) {
  free(k->name);
  SSL_SESSION_free(k->session);
  k->name = NULL;
  k->session = NULL;
}

void tls_context_keep(struct tls_context *c, const char *name,
                      SSL_SESSION *session) {
  struct tls_kept *k = NULL;
  int i;
  for (i = 0; i < TLS_KEPT && k == NULL; i++)
    if (c->kept[i].name != NULL && strcmp(c->kept[i].name, name) == 0)
      k = &c->kept[i];
  if (k == NULL)
    k = &c->kept[c->oldest++ % TLS_KEPT];
  forget(k);
  k->name = strdup(name);
  if (k->name == NULL)
    return;
  SSL_SESSION_up_ref(session);
  k->session = session;
}

/* OpenSSL has a ticket of the server's: returns 0, it keeps its reference. */
static int new_session(SSL *ssl, SSL_SESSION *session) {
  struct tls_session *s = SSL_get_app_data(ssl);
  if (s != NULL && s->name != NULL)
    tls_context_keep(s->context, s->name, session);
  return 0;
}

/* ---- servers: names, protocols ---- */

/* A wildcard stands for the whole left-most label. */
static bool name_matches(const char *pattern, const char *name) {
  const char *dot = strchr(name, '.');
  return pattern[0] == '*' && dot != NULL && dot != name &&
         OPENSSL_strcasecmp(pattern + 1, dot) == 0;
}

/* An exact name comes before a pattern. */
static const struct tls_names *find_name(const struct tls_context *c,
                                         const char *name) {
  const struct tls_names *n;
  for (n = c->names; n != NULL; n = n->next)
    if (OPENSSL_strcasecmp(n->name, name) == 0)
      return n;
  for (n = c->names; n != NULL; n = n->next)
    if (name_matches(n->name, name))
      return n;
  return NULL;
}

/* All that is said of clients changes with the name; and what was resumable
 * under one name is not under another (its own session id context). */
static void change_context(SSL *ssl, const struct tls_names *n) {
  size_t len = strlen(n->name);
  struct tls_session *s = SSL_get_app_data(ssl);
  SSL_set_SSL_CTX(ssl, n->ctx);
  s->verifies = n->of->asks != SSL_VERIFY_NONE;
  SSL_set_verify(ssl, n->of->asks, NULL);
  SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(n->ctx));
  SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(n->ctx));
  SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(n->ctx));
  SSL_set_session_id_context(
    ssl, (const unsigned char *)n->name,
    (unsigned)(len < SSL_MAX_SID_CTX_LENGTH ? len : SSL_MAX_SID_CTX_LENGTH));
}

/* The host name in the extension of a ClientHello (RFC 6066 section 3), into
 * a buffer that has room for any; false if there is none. */
static bool hello_name(SSL *ssl, char name[256]) {
  const unsigned char *p;
  size_t len, n;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) ||
      len < 5 || p[2] != TLSEXT_NAMETYPE_host_name)
    return false;
  n = (size_t)p[3] << 8 | p[4];
  if (n == 0 || n > 255 || n > len - 5 || memchr(p + 5, '\0', n) != NULL)
    return false;
  memcpy(name, p + 5, n);
  if (name[n - 1] == '.')
    n--;
  name[n] = '\0';
  return true;
}

/* Before anything is decided, resuming included. */
static int choose_context(SSL *ssl, int *alert, void *arg) {
  char name[256];
  const struct tls_names *n =
    hello_name(ssl, name) ? find_name(arg, name) : NULL;
  (void)alert;
  if (n != NULL)
    change_context(ssl, n);
  return SSL_CLIENT_HELLO_SUCCESS;
}

static int accept_name(SSL *ssl, int *alert, void *arg) {
  (void)ssl;
  (void)alert;
  (void)arg;
  return SSL_TLSEXT_ERR_OK;
}

/* Ours come first; nothing in common is an alert (RFC 7301 section 3.2). */
static int choose_alpn(SSL *ssl, const unsigned char **out,
                       unsigned char *outlen, const unsigned char *in,
                       unsigned inlen, void *arg) {
  struct tls_context *c = arg;
  unsigned char *chosen;
  (void)ssl;
  if (SSL_select_next_proto(&chosen, outlen, c->alpn, (unsigned)c->alpnlen, in,
                            inlen) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int tls_context_name(struct tls_context *c, const char *name, size_t len,
                     struct tls_context *of) {
  struct tls_names *n = malloc(sizeof *n + len + 1);
  if (n == NULL)
    return -1;
  memcpy(n->name, name, len);
  n->name[len] = '\0';
  n->of = of;
  n->ctx = of->ctx;
  SSL_CTX_up_ref(n->ctx);
  n->next = c->names;
  c->names = n;
  SSL_CTX_set_client_hello_cb(c->ctx, choose_context, c);
  return 0;
}

int tls_context_alpn(struct tls_context *c, const void *wire, size_t len) {
  c->alpn = malloc(len);
  if (c->alpn == NULL)
    return -1;
  memcpy(c->alpn, wire, len);
  c->alpnlen = len;
  SSL_CTX_set_alpn_select_cb(c->ctx, choose_alpn, c);
  return SSL_CTX_set_alpn_protos(c->ctx, wire, (unsigned)len) == 0 ? 0 : -1;
}

/* ---- opening ---- */

int tls_context_open(struct tls_context *c) {
  static const unsigned char id[] = "neap";
  memset(c, 0, sizeof *c);
  c->ctx = SSL_CTX_new(TLS_method());
  if (c->ctx == NULL)
    return -1;
  SSL_CTX_set_security_level(c->ctx, SECURITY_LEVEL);
  SSL_CTX_set_options(c->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                SSL_OP_CIPHER_SERVER_PREFERENCE |
                                SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                             SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(c->ctx, 1);
  SSL_CTX_set_verify_depth(c->ctx, DEPTH);
  SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_BOTH |
                                           SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(c->ctx, new_session);
  SSL_CTX_set_session_id_context(c->ctx, id, sizeof id - 1);
  SSL_CTX_set_dh_auto(c->ctx, 1);
  SSL_CTX_set_tlsext_servername_callback(c->ctx, accept_name);
  tls_verify_setup(c);
  return tls_context_versions(c, TLS1_2_VERSION, 0);
}

void tls_context_close(struct tls_context *c) {
  int i;
  for (i = 0; i < TLS_KEPT; i++)
    forget(&c->kept[i]);
  while (c->names != NULL) {
    struct tls_names *n = c->names;
    c->names = n->next;
    SSL_CTX_free(n->ctx);
    free(n);
  }
  free(c->alpn);
  c->alpn = NULL;
  SSL_CTX_free(c->ctx);
  c->ctx = NULL;
}

int tls_context_versions(struct tls_context *c, int min, int max) {
  return SSL_CTX_set_min_proto_version(c->ctx, min) == 1
           ? ok((int)SSL_CTX_set_max_proto_version(c->ctx, max))
           : -1;
}

/* ---- certificates and keys ---- */

int tls_context_certificate(struct tls_context *c, const char *pem,
                            size_t len) {
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  X509 *cert = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL);
  int r = cert != NULL ? SSL_CTX_use_certificate(c->ctx, cert) : 0;
  if (r == 1)
    SSL_CTX_clear_chain_certs(c->ctx);
  X509_free(cert);
  while (r == 1 && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
    r = (int)SSL_CTX_add0_chain_cert(c->ctx, cert);
    if (r != 1)
      X509_free(cert);
  }
  BIO_free(in);
  if (r == 1)
    ERR_clear_error(); /* there were no more */
  return ok(r);
}

struct passphrase {
  const char *text;
  bool asked;
};

static int give_passphrase(char *buf, int size, int writing, void *arg) {
  struct passphrase *p = arg;
  const char *passphrase = p->text;
  size_t len = passphrase != NULL ? strlen(passphrase) : 0;
  (void)writing;
  p->asked = true;
  if (len == 0 || len > (size_t)size)
    return -1;
  memcpy(buf, passphrase, len);
  return (int)len;
}

int tls_context_key(struct tls_context *c, const char *pem, size_t len,
                    const char *passphrase, const char **why) {
  struct passphrase p = {passphrase, false};
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, give_passphrase, &p);
  int r = key != NULL ? SSL_CTX_use_PrivateKey(c->ctx, key) : 0;
  *why = key != NULL || !p.asked ? NULL
         : passphrase == NULL    ? "it needs a passphrase"
                                 : "the passphrase is wrong";
  EVP_PKEY_free(key);
  BIO_free(in);
  return r == 1 ? ok(SSL_CTX_check_private_key(c->ctx)) : -1;
}

/* ---- trust ---- */

int tls_context_systemtrust(struct tls_context *c) {
  return ok(SSL_CTX_set_default_verify_paths(c->ctx));
}

int tls_context_trustdir(struct tls_context *c, const char *path) {
  return ok(SSL_CTX_load_verify_locations(c->ctx, NULL, path));
}

/* asks: a server names them when it asks for a certificate. */
int tls_context_trust(struct tls_context *c, const char *pem, size_t len,
                      bool asks) {
  X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  X509 *cert;
  int r = 1, n = 0;
  while (r == 1 &&
         (cert = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL)) != NULL) {
    r = X509_STORE_add_cert(store, cert);
    if (r == 1 && asks)
      r = SSL_CTX_add_client_CA(c->ctx, cert);
    X509_free(cert);
    n++;
  }
  BIO_free(in);
  if (r != 1 || n == 0)
    return -1;
  ERR_clear_error();
  return ok(X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN));
}

int tls_context_crl(struct tls_context *c, const char *pem, size_t len) {
  X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  X509_CRL *crl;
  int r = 1, n = 0;
  while (r == 1 &&
         (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL) {
    r = X509_STORE_add_crl(store, crl);
    X509_CRL_free(crl);
    n++;
  }
  BIO_free(in);
  if (r != 1 || n == 0)
    return -1;
  ERR_clear_error();
  return ok(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK |
                                          X509_V_FLAG_CRL_CHECK_ALL));
}
