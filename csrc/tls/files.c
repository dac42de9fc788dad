/* SPDX-License-Identifier: MIT
 * What contexts are told in files: certificates, keys, and whom to trust. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls/context.h"

const char tls_locked[] = "it needs a passphrase";
const char tls_wrong[] = "the passphrase is wrong";

static int ok(int result) {
  return result == 1 ? 0 : -1;
}

/* The last of a file was read, and not something that is damaged. */
static bool at_end(void) {
  unsigned long e = ERR_peek_last_error();
  if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
    return false;
  ERR_clear_error();
  return true;
}

/* ---- certificates and keys ---- */

static int add_chain(struct tls_context *c, BIO *in) {
  X509 *cert;
  int r = 1;
  SSL_CTX_clear_chain_certs(c->ctx);
  while (r == 1 && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
    r = (int)SSL_CTX_add0_chain_cert(c->ctx, cert);
    if (r != 1)
      X509_free(cert);
  }
  return r == 1 && at_end();
}

int tls_context_certificate(struct tls_context *c, const char *pem, size_t len,
                            const char **why) {
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  X509 *cert = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL);
  int r = cert != NULL && SSL_CTX_use_certificate(c->ctx, cert) == 1 &&
          add_chain(c, in);
  *why = cert == NULL && at_end() ? "there is no certificate in it" : NULL;
  X509_free(cert);
  BIO_free(in);
  return ok(r);
}

struct passphrase {
  const char *text;
  bool asked;
};

static int give_passphrase(char *buf, int size, int writing, void *arg) {
  struct passphrase *p = arg;
  size_t len = p->text != NULL ? strlen(p->text) : 0;
  (void)writing;
  p->asked = true;
  if (len == 0 || len > (size_t)size)
    return -1;
  memcpy(buf, p->text, len);
  return (int)len;
}

int tls_context_key(struct tls_context *c, const char *pem, size_t len,
                    const char *passphrase, const char **why) {
  struct passphrase p = {passphrase, false};
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, give_passphrase, &p);
  int r = key != NULL ? SSL_CTX_use_PrivateKey(c->ctx, key) : 0;
  *why = NULL;
  if (key == NULL && p.asked)
    *why = passphrase == NULL ? tls_locked : tls_wrong;
  else if (key == NULL && strstr(pem, "PRIVATE KEY-----") == NULL)
    *why = "there is no key in it";
  EVP_PKEY_free(key);
  BIO_free(in);
  return r == 1 ? ok(SSL_CTX_check_private_key(c->ctx)) : -1;
}

/* ---- trust ---- */

int tls_context_systemtrust(struct tls_context *c) {
  return ok(SSL_CTX_set_default_verify_paths(c->ctx));
}

/* Whom we are told to trust is trusted, be it a root or not. */
static int trust_each(X509_STORE *store) {
  return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
}

/* asks: a server names them when it asks for a certificate. */
int tls_context_trust(struct tls_context *c, const char *pem, size_t len,
                      bool asks, const char **why) {
  X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  X509 *cert;
  int r = 1, n = 0;
  *why = NULL;
  while (r == 1 &&
         (cert = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL)) != NULL) {
    r = X509_STORE_add_cert(store, cert);
    if (r == 1 && asks)
      r = SSL_CTX_add_client_CA(c->ctx, cert);
    X509_free(cert);
    n++;
  }
  BIO_free(in);
  r = r == 1 && at_end();
  if (r && n == 0)
    *why = "there is no certificate in it";
  return r && n > 0 ? ok(trust_each(store)) : -1;
}

/* Each is looked for in a file that has the hash of its name. */
static bool has_file(const char *path, const X509_NAME *name) {
  char file[4096];
  BIO *in;
  int n = snprintf(file, sizeof file, "%s/%08lx.0", path, X509_NAME_hash(name));
  if (n < 0 || (size_t)n >= sizeof file)
    return false;
  in = BIO_new_file(file, "r");
  BIO_free(in);
  ERR_clear_error();
  return in != NULL;
}

int tls_context_trustdir(struct tls_context *c, const char *path, bool asks,
                         const char **why) {
  STACK_OF(X509_NAME) *all = sk_X509_NAME_new_null();
  int i, n, found = 0;
  SSL_add_dir_cert_subjects_to_stack(all, path); /* as many as can be read */
  ERR_clear_error();
  n = sk_X509_NAME_num(all);
  for (i = 0; i < n; i++)
    found += has_file(path, sk_X509_NAME_value(all, i));
  *why = n <= 0       ? "there is no certificate in it"
         : found == 0 ? "no certificate in it has the name that openssl rehash "
                        "would give it"
                      : NULL;
  if (*why == NULL && asks) {
    SSL_CTX_set_client_CA_list(c->ctx, all);
    all = NULL;
  }
  sk_X509_NAME_pop_free(all, X509_NAME_free);
  if (*why != NULL || SSL_CTX_load_verify_locations(c->ctx, NULL, path) != 1)
    return -1;
  return ok(trust_each(SSL_CTX_get_cert_store(c->ctx)));
}

int tls_context_crl(struct tls_context *c, const char *pem, size_t len,
                    const char **why) {
  X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
  BIO *in = BIO_new_mem_buf(pem, (int)len);
  X509_CRL *crl;
  int r = 1, n = 0;
  *why = NULL;
  while (r == 1 &&
         (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL) {
    r = X509_STORE_add_crl(store, crl);
    X509_CRL_free(crl);
    n++;
  }
  BIO_free(in);
  r = r == 1 && at_end();
  if (r && n == 0)
    *why = "there is no list of revocations in it";
  return r && n > 0
           ? ok(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK |
                                              X509_V_FLAG_CRL_CHECK_ALL))
           : -1;
}
