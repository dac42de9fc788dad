/* SPDX-License-Identifier: MIT */
#include "tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tls/ocsp.h"
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

/* ---- protocols ---- */

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
  tls_kept_setup(c);
  SSL_CTX_set_session_id_context(c->ctx, id, sizeof id - 1);
  SSL_CTX_set_dh_auto(c->ctx, 1);
  SSL_CTX_set_tlsext_servername_callback(c->ctx, accept_name);
  tls_verify_setup(c);
  tls_ocsp_setup(c);
  return tls_context_versions(c, TLS1_2_VERSION, 0);
}

void tls_context_close(struct tls_context *c) {
  tls_kept_close(c);
  tls_names_close(c);
  tls_ocsp_close(c);
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
