/* SPDX-License-Identifier: MIT */
#include "tls/verify.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls/ocsp.h"
#include "tls/session.h"

enum {
  HOST_FLAGS =
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
};

/* To OpenSSL a leading dot would mean any subdomain; a trailing one is the
 * root's, and in no certificate. */
int tls_verify_name(SSL *ssl, const char *name) {
  X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
  size_t len = strlen(name);
  if (len > 0 && name[len - 1] == '.')
    len--;
  if (len == 0 || name[0] == '.')
    return -1;
  if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
    return 0;
  X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
  return X509_VERIFY_PARAM_set1_host(param, name, len) == 1 ? 0 : -1;
}

/* ---- pins ---- */

static bool is_pinned(const struct tls_context *c, X509 *cert) {
  unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
  unsigned len = 0;
  int i, n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
  bool found = false;
  if (n <= 0)
    return false;
  if (EVP_Digest(der, (size_t)n, digest, &len, EVP_sha256(), NULL) == 1)
    for (i = 0; i < c->npins; i++)
      found = found || memcmp(c->pins[i], digest, TLS_PINLEN) == 0;
  OPENSSL_free(der);
  return found;
}

/* One of the verified chain must have a key that is pinned. */
static bool chain_is_pinned(const struct tls_context *c, X509_STORE_CTX *v) {
  STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(v);
  int i;
  for (i = 0; i < sk_X509_num(chain); i++)
    if (is_pinned(c, sk_X509_value(chain, i)))
      return true;
  return false;
}

static const char *name_text(const X509_NAME *name, char *text, int len) {
  X509_NAME_oneline(name, text, len);
  return text[0] == '/' ? text + 1 : text;
}

/* "a.example, 10.0.0.1": whom it is for. */
static const char *names_of(X509 *cert, char *text, size_t len) {
  GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  size_t at = 0;
  int i;
  text[0] = '\0';
  for (i = 0; i < sk_GENERAL_NAME_num(all) && at < len; i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
    const ASN1_STRING *string = name->d.ia5;
    int n = 0;
    if (name->type == GEN_DNS)
      n = snprintf(text + at, len - at, "%s%.*s", at > 0 ? ", " : "",
                   ASN1_STRING_length(string),
                   (const char *)ASN1_STRING_get0_data(string));
    else if (name->type == GEN_IPADD && name->d.ip->length == 4)
      n = snprintf(text + at, len - at, "%s%d.%d.%d.%d", at > 0 ? ", " : "",
                   name->d.ip->data[0], name->d.ip->data[1],
                   name->d.ip->data[2], name->d.ip->data[3]);
    at += n > 0 ? (size_t)n : 0;
  }
  GENERAL_NAMES_free(all);
  for (i = 0; text[i] != '\0'; i++) /* a stranger has written them */
    if (text[i] < ' ' || text[i] > '~')
      text[i] = '?';
  return text[0] != '\0' ? text : "no name";
}

void tls_verify_tell(struct tls_session *s, const char *what, X509 *cert) {
  char subject[128], issuer[128];
  tls_session_say(
    s, "%s (certificate of %s, issued by %s)", what,
    name_text(X509_get_subject_name(cert), subject, sizeof subject),
    name_text(X509_get_issuer_name(cert), issuer, sizeof issuer));
}

/* What is wrong with whose certificate: only here it is known. */
static void describe(X509_STORE_CTX *v) {
  SSL *ssl =
    X509_STORE_CTX_get_ex_data(v, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct tls_session *s = ssl != NULL ? SSL_get_app_data(ssl) : NULL;
  X509 *cert = X509_STORE_CTX_get_current_cert(v);
  int err = X509_STORE_CTX_get_error(v);
  const char *what = X509_verify_cert_error_string(err);
  char named[500], names_text[200];
  if (s == NULL)
    return;
  if (err == X509_V_ERR_APPLICATION_VERIFICATION)
    what = "no key of the chain is pinned";
  if (cert != NULL && s->name != NULL &&
      (err == X509_V_ERR_HOSTNAME_MISMATCH ||
       err == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
    snprintf(named, sizeof named, "the certificate is for %s, not for %s",
             names_of(cert, names_text, sizeof names_text), s->name);
    what = named;
  }
  if (cert == NULL)
    tls_session_say(s, "%s", what);
  else
    tls_verify_tell(s, what, cert);
}

/* Pins hold where nothing else is verified, too: then for its own key. */
static bool pins_hold(const struct tls_context *c, X509_STORE_CTX *v,
                      bool verified) {
  if (c->npins == 0)
    return true;
  return verified ? chain_is_pinned(c, v)
                  : is_pinned(c, X509_STORE_CTX_get0_cert(v));
}

static int verify_all(X509_STORE_CTX *v, void *arg) {
  struct tls_context *c = arg;
  SSL *ssl =
    X509_STORE_CTX_get_ex_data(v, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct tls_session *s = SSL_get_app_data(ssl);
  bool good = !s->verifies || X509_verify_cert(v) == 1;
  if (good && !pins_hold(c, v, s->verifies)) {
    X509_STORE_CTX_set_error(v, X509_V_ERR_APPLICATION_VERIFICATION);
    good = false;
  }
  if (good && !s->verifies)
    X509_STORE_CTX_set_error(v, X509_V_OK);
  if (!good)
    describe(v);
  return good;
}

void tls_verify_setup(struct tls_context *c) {
  SSL_CTX_set_cert_verify_callback(c->ctx, verify_all, c);
}

void tls_verify_role(struct tls_session *s, bool server) {
  const struct tls_context *c = s->context;
  s->verifies = server ? c->asks != SSL_VERIFY_NONE : c->verifies;
  SSL_set_verify(s->ssl, server ? c->asks : SSL_VERIFY_PEER, NULL);
  if (!server)
    tls_ocsp_ask(s);
}

/* ---- names ---- */

#define ROW(name) \
  { #name, name }

static const struct {
  const char *name;
  long number;
} names[] = {
  ROW(X509_V_ERR_UNSPECIFIED),
  ROW(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT),
  ROW(X509_V_ERR_UNABLE_TO_GET_CRL),
  ROW(X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE),
  ROW(X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE),
  ROW(X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY),
  ROW(X509_V_ERR_CERT_SIGNATURE_FAILURE),
  ROW(X509_V_ERR_CRL_SIGNATURE_FAILURE),
  ROW(X509_V_ERR_CERT_NOT_YET_VALID),
  ROW(X509_V_ERR_CERT_HAS_EXPIRED),
  ROW(X509_V_ERR_CRL_NOT_YET_VALID),
  ROW(X509_V_ERR_CRL_HAS_EXPIRED),
  ROW(X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD),
  ROW(X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD),
  ROW(X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD),
  ROW(X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD),
  ROW(X509_V_ERR_OUT_OF_MEM),
  ROW(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT),
  ROW(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN),
  ROW(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY),
  ROW(X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE),
  ROW(X509_V_ERR_CERT_CHAIN_TOO_LONG),
  ROW(X509_V_ERR_CERT_REVOKED),
  ROW(X509_V_ERR_INVALID_CA),
  ROW(X509_V_ERR_PATH_LENGTH_EXCEEDED),
  ROW(X509_V_ERR_INVALID_PURPOSE),
  ROW(X509_V_ERR_CERT_UNTRUSTED),
  ROW(X509_V_ERR_CERT_REJECTED),
  ROW(X509_V_ERR_SUBJECT_ISSUER_MISMATCH),
  ROW(X509_V_ERR_AKID_SKID_MISMATCH),
  ROW(X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH),
  ROW(X509_V_ERR_KEYUSAGE_NO_CERTSIGN),
  ROW(X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER),
  ROW(X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION),
  ROW(X509_V_ERR_KEYUSAGE_NO_CRL_SIGN),
  ROW(X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION),
  ROW(X509_V_ERR_INVALID_NON_CA),
  ROW(X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED),
  ROW(X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE),
  ROW(X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED),
  ROW(X509_V_ERR_INVALID_EXTENSION),
  ROW(X509_V_ERR_INVALID_POLICY_EXTENSION),
  ROW(X509_V_ERR_NO_EXPLICIT_POLICY),
  ROW(X509_V_ERR_DIFFERENT_CRL_SCOPE),
  ROW(X509_V_ERR_UNSUPPORTED_EXTENSION_FEATURE),
  ROW(X509_V_ERR_UNNESTED_RESOURCE),
  ROW(X509_V_ERR_PERMITTED_VIOLATION),
  ROW(X509_V_ERR_EXCLUDED_VIOLATION),
  ROW(X509_V_ERR_SUBTREE_MINMAX),
  ROW(X509_V_ERR_APPLICATION_VERIFICATION),
  ROW(X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE),
  ROW(X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX),
  ROW(X509_V_ERR_UNSUPPORTED_NAME_SYNTAX),
  ROW(X509_V_ERR_CRL_PATH_VALIDATION_ERROR),
  ROW(X509_V_ERR_PATH_LOOP),
  ROW(X509_V_ERR_HOSTNAME_MISMATCH),
  ROW(X509_V_ERR_EMAIL_MISMATCH),
  ROW(X509_V_ERR_IP_ADDRESS_MISMATCH),
  ROW(X509_V_ERR_EE_KEY_TOO_SMALL),
  ROW(X509_V_ERR_CA_KEY_TOO_SMALL),
  ROW(X509_V_ERR_CA_MD_TOO_WEAK),
  ROW(X509_V_ERR_INVALID_CALL),
  ROW(X509_V_ERR_STORE_LOOKUP),
  ROW(X509_V_ERR_NO_VALID_SCTS),
  ROW(X509_V_ERR_OCSP_VERIFY_NEEDED),
  ROW(X509_V_ERR_OCSP_VERIFY_FAILED),
  ROW(X509_V_ERR_OCSP_CERT_UNKNOWN),
};

const char *tls_verifyname(long number) {
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == number)
      return names[i].name;
  return "X509_V_ERR_UNSPECIFIED";
}
