/* SPDX-License-Identifier: MIT
 * A certificate, its key and its chain in one file: PKCS#12 (RFC 7292). */
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include "tls/context.h"

/* Some have no passphrase, and some an empty one. */
static bool opens(PKCS12 *p, const char *passphrase) {
  if (!PKCS12_mac_present(p))
    return true;
  if (passphrase != NULL)
    return PKCS12_verify_mac(p, passphrase, -1) == 1;
  return PKCS12_verify_mac(p, NULL, 0) == 1 || PKCS12_verify_mac(p, "", 0) == 1;
}

static X509 *issuer_of(X509 *cert, STACK_OF(X509) * others) {
  int i;
  for (i = 0; i < sk_X509_num(others); i++)
    if (X509_check_issued(sk_X509_value(others, i), cert) == X509_V_OK)
      return sk_X509_value(others, i);
  return NULL;
}

/* In the order in which they are sent, which the file need not have; a root is
 * not sent, nor what is there besides. */
static STACK_OF(X509) * chain_of(X509 *cert, STACK_OF(X509) * others) {
  STACK_OF(X509) *chain = sk_X509_new_null();
  X509 *next = issuer_of(cert, others);
  while (chain != NULL && next != NULL &&
         X509_check_issued(next, next) != X509_V_OK &&
         sk_X509_num(chain) < sk_X509_num(others)) {
    if (sk_X509_push(chain, next) == 0)
      break;
    next = issuer_of(next, others);
  }
  return chain;
}

static int use(struct tls_context *c, PKCS12 *p, const char *passphrase,
               const char **why) {
  EVP_PKEY *key = NULL;
  X509 *cert = NULL;
  STACK_OF(X509) *others = NULL, *chain = NULL;
  int r = PKCS12_parse(p, passphrase, &key, &cert, &others);
  if (r == 1 && (key == NULL || cert == NULL))
    *why = "it holds no certificate with its key";
  if (r == 1 && *why == NULL) {
    chain = chain_of(cert, others);
    r = chain != NULL && SSL_CTX_use_cert_and_key(c->ctx, cert, key, chain, 1);
  }
  sk_X509_free(chain);
  sk_X509_pop_free(others, X509_free);
  X509_free(cert);
  EVP_PKEY_free(key);
  return r == 1 && *why == NULL ? 0 : -1;
}

int tls_context_pkcs12(struct tls_context *c, const void *der, size_t len,
                       const char *passphrase, const char **why) {
  const unsigned char *at = der;
  PKCS12 *p = d2i_PKCS12(NULL, &at, (long)len);
  int r = -1;
  *why = NULL;
  if (p == NULL)
    *why = "this is not PKCS#12";
  else if (!opens(p, passphrase))
    *why = passphrase == NULL ? tls_locked : tls_wrong;
  else
    r = use(c, p, passphrase, why);
  PKCS12_free(p);
  return r;
}
