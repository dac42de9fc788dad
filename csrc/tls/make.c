/* SPDX-License-Identifier: MIT
 * What a certificate or a request is of, what it says, and its signature. */
#include "tls/make.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <string.h>

#include "tls/x509in.h"

void make_free(struct maker *m) {
  X509_free(m->cert);
  X509_REQ_free(m->request);
  X509_CRL_free(m->crl);
  X509_free(m->issuer);
  X509_NAME_free(m->subject);
  sk_X509_EXTENSION_pop_free(m->extensions, X509_EXTENSION_free);
  GENERAL_NAMES_free(m->names);
  cert_out_free(&m->out);
  memset(m, 0, sizeof *m);
}

static int done(struct maker *m, bool ok, const char *what) {
  return ok ? cert_done(&m->out) : cert_fail(&m->out, CERT_EINVAL, what);
}

/* ---- what it is ---- */

int make_entry(struct maker *m, const char *type, const char *value, size_t n,
               bool joined) {
  bool ok;
  if (m->subject == NULL)
    m->subject = X509_NAME_new();
  ok = m->subject != NULL && n <= INT32_MAX &&
       X509_NAME_add_entry_by_txt(m->subject, type, MBSTRING_UTF8,
                                  (const unsigned char *)value, (int)n, -1,
                                  joined ? -1 : 0) == 1;
  return done(m, ok, "bad subject");
}

int make_subjectof(struct maker *m, X509_REQ *request) {
  X509_NAME_free(m->subject);
  m->subject = X509_NAME_dup(X509_REQ_get_subject_name(request));
  return done(m, m->subject != NULL, "bad subject");
}

EVP_PKEY *make_keyof(X509_REQ *request) {
  EVP_PKEY *key = X509_REQ_get0_pubkey(request);
  ERR_clear_error();
  return key;
}

int make_cert(struct maker *m, EVP_PKEY *key, X509 *issuer, int version) {
  bool ok;
  if (m->subject == NULL)
    m->subject = X509_NAME_new();
  m->cert = X509_new();
  m->issuer = issuer;
  if (issuer != NULL)
    X509_up_ref(issuer);
  ok =
    m->cert != NULL && m->subject != NULL &&
    X509_set_version(m->cert, version - 1) == 1 &&
    X509_set_subject_name(m->cert, m->subject) == 1 &&
    X509_set_issuer_name(m->cert, issuer != NULL ? X509_get_subject_name(issuer)
                                                 : m->subject) == 1 &&
    X509_set_pubkey(m->cert, key) == 1;
  return done(m, ok, "no certificate for this key");
}

int make_request(struct maker *m, EVP_PKEY *key) {
  bool ok;
  if (m->subject == NULL)
    m->subject = X509_NAME_new();
  m->request = X509_REQ_new();
  ok = m->request != NULL && m->subject != NULL &&
       X509_REQ_set_version(m->request, 0) == 1 &&
       X509_REQ_set_subject_name(m->request, m->subject) == 1 &&
       X509_REQ_set_pubkey(m->request, key) == 1;
  return done(m, ok, "no request for this key");
}

/* ---- what it says ---- */

/* 127 random bits: positive, and not longer than RFC 5280 lets it be. */
static BIGNUM *number_of(const char *hex) {
  BIGNUM *n = NULL;
  if (hex != NULL) {
    int digits = BN_hex2bn(&n, hex);
    if (digits > 0 && (size_t)digits == strlen(hex))
      return n;
  } else {
    n = BN_new();
    if (n != NULL && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1)
      return n;
  }
  BN_free(n);
  return NULL;
}

int make_serial(struct maker *m, const char *hex) {
  BIGNUM *n = number_of(hex);
  bool ok =
    n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(m->cert)) != NULL;
  BN_free(n);
  return done(m, ok, "bad serial number");
}

int make_validity(struct maker *m, int64_t from, int64_t till) {
  bool ok = ASN1_TIME_set(X509_getm_notBefore(m->cert), from) != NULL &&
            ASN1_TIME_set(X509_getm_notAfter(m->cert), till) != NULL;
  return done(m, ok, "no such time");
}

int make_name(struct maker *m, const char *type, const void *bytes, size_t n) {
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_STRING *string = NULL;
  int kind = strcmp(type, "ip") == 0      ? GEN_IPADD
             : strcmp(type, "email") == 0 ? GEN_EMAIL
             : strcmp(type, "uri") == 0   ? GEN_URI
                                          : GEN_DNS;
  if (m->names == NULL)
    m->names = GENERAL_NAMES_new();
  string = kind == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  if (m->names == NULL || name == NULL || string == NULL || n > INT32_MAX ||
      ASN1_STRING_set(string, bytes, (int)n) != 1) {
    ASN1_STRING_free(string);
    GENERAL_NAME_free(name);
    return done(m, false, "bad name");
  }
  GENERAL_NAME_set0_value(name, kind, string);
  if (sk_GENERAL_NAME_push(m->names, name) > 0)
    return done(m, true, NULL);
  GENERAL_NAME_free(name);
  return done(m, false, "bad name");
}

/* ---- extensions ---- */

/* Takes the extension. */
static int add(struct maker *m, X509_EXTENSION *extension, const char *name) {
  char what[64] = "bad extension ";
  bool ok = extension != NULL;
  strncat(what, name, sizeof what - strlen(what) - 1);
  if (m->extensions == NULL)
    m->extensions = sk_X509_EXTENSION_new_null();
  ok = ok && m->extensions != NULL &&
       sk_X509_EXTENSION_push(m->extensions, extension) > 0;
  if (!ok)
    X509_EXTENSION_free(extension);
  return done(m, ok, what);
}

int make_extension(struct maker *m, const char *name, const char *text) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, m->issuer != NULL ? m->issuer : m->cert, m->cert,
                 m->request, m->crl, 0);
  X509V3_set_ctx_nodb(&ctx);
  ERR_clear_error();
  return add(m, X509V3_EXT_nconf(NULL, &ctx, name, text), name);
}

int make_rawextension(struct maker *m, const char *oid, bool critical,
                      const void *bytes, size_t n) {
  ASN1_OBJECT *object = OBJ_txt2obj(oid, 0);
  ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
  X509_EXTENSION *extension = NULL;
  if (object != NULL && value != NULL && n <= INT32_MAX &&
      ASN1_OCTET_STRING_set(value, bytes, (int)n) == 1)
    extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical, value);
  ASN1_OBJECT_free(object);
  ASN1_OCTET_STRING_free(value);
  return add(m, extension, oid);
}

int make_names(struct maker *m, bool critical) {
  X509_EXTENSION *extension =
    m->names != NULL ? X509V3_EXT_i2d(NID_subject_alt_name, critical, m->names)
                     : NULL;
  return add(m, extension, "subjectAltName");
}

/* ---- the signature ---- */

/* Keys of Edwards' curves have their digest built in. */
static const EVP_MD *digest_for(EVP_PKEY *key, const char *digest) {
  int id = EVP_PKEY_base_id(key);
  if (id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448)
    return NULL;
  return EVP_get_digestbyname(digest != NULL ? digest : "sha256");
}

static bool sign_cert(struct maker *m, EVP_PKEY *key, const EVP_MD *md) {
  int i, n = sk_X509_EXTENSION_num(m->extensions);
  for (i = 0; i < n; i++)
    if (X509_add_ext(m->cert, sk_X509_EXTENSION_value(m->extensions, i), -1) !=
        1)
      return false;
  return X509_sign(m->cert, key, md) > 0;
}

static bool sign_request(struct maker *m, EVP_PKEY *key, const EVP_MD *md) {
  if (m->extensions != NULL &&
      X509_REQ_add_extensions(m->request, m->extensions) != 1)
    return false;
  return X509_REQ_sign(m->request, key, md) > 0;
}

static bool sign_crl(struct maker *m, EVP_PKEY *key, const EVP_MD *md) {
  int i, n = sk_X509_EXTENSION_num(m->extensions);
  for (i = 0; i < n; i++)
    if (X509_CRL_add_ext(m->crl, sk_X509_EXTENSION_value(m->extensions, i),
                         -1) != 1)
      return false;
  return X509_CRL_sort(m->crl) == 1 && X509_CRL_sign(m->crl, key, md) > 0;
}

int make_sign(struct maker *m, EVP_PKEY *key, const char *digest) {
  const EVP_MD *md = digest_for(key, digest);
  bool ok;
  ERR_clear_error();
  if (m->cert != NULL)
    ok = sign_cert(m, key, md);
  else if (m->request != NULL)
    ok = sign_request(m, key, md);
  else
    ok = sign_crl(m, key, md);
  return done(m, ok, "it cannot be signed with this key");
}
