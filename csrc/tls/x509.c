/* SPDX-License-Identifier: MIT
 * Certificates from and to bytes, and what a whole one says of itself. */
#include "tls/x509in.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

bool cert_isder(const char *text, size_t len) {
  return len > 1 && text[0] == 0x30 && (unsigned char)text[1] >= 0x80;
}

int cert_nopass(char *to, int room, int writes, void *arg) {
  (void)to, (void)room, (void)writes, (void)arg;
  return -1;
}

static X509 *read_der(const char *text, size_t len, size_t *used) {
  const unsigned char *at = (const unsigned char *)text;
  X509 *cert = d2i_X509(NULL, &at, (long)len);
  *used = (size_t)(at - (const unsigned char *)text);
  return cert;
}

static X509 *read_pem(const char *text, size_t len, size_t *used) {
  BIO *bio = BIO_new_mem_buf(text, (int)len);
  X509 *cert =
    bio != NULL ? PEM_read_bio_X509(bio, NULL, cert_nopass, NULL) : NULL;
  *used = bio != NULL ? len - BIO_ctrl_pending(bio) : 0;
  BIO_free(bio);
  return cert;
}

int cert_load(const char *text, size_t len, X509 **cert, size_t *used,
              struct cert_out *o) {
  bool none;
  int err;
  ERR_clear_error();
  *cert = NULL;
  *used = 0;
  if (len > INT_MAX)
    return cert_fail(o, CERT_EBADMSG, "no certificate: too long");
  if (cert_isder(text, len))
    *cert = read_der(text, len, used);
  else
    *cert = read_pem(text, len, used);
  if (*cert != NULL)
    return cert_done(o);
  none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  err = cert_fail(o, CERT_EBADMSG, "no certificate");
  return none ? 1 : err;
}

void cert_free(X509 *cert) {
  X509_free(cert);
}

void cert_hold(X509 *cert) {
  X509_up_ref(cert);
}

bool cert_equal(const X509 *a, const X509 *b) {
  bool equal = X509_cmp(a, b) == 0;
  ERR_clear_error();
  return equal;
}

/* ---- to bytes ---- */

void cert_putbio(struct cert_out *o, BIO *bio) {
  char *data = NULL;
  long n = BIO_get_mem_data(bio, &data);
  if (n > 0)
    cert_put(o, data, (size_t)n);
}

void cert_puthex(struct cert_out *o, const unsigned char *bytes, size_t n) {
  static const char digits[] = "0123456789abcdef";
  size_t i;
  for (i = 0; i < n; i++) {
    char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    cert_put(o, pair, 2);
  }
}

int cert_der(X509 *cert, struct cert_out *o) {
  unsigned char *der = NULL;
  int n = i2d_X509(cert, &der);
  if (n < 0)
    return cert_fail(o, CERT_EBADMSG, "the certificate cannot be encoded");
  cert_put(o, der, (size_t)n);
  OPENSSL_free(der);
  return cert_done(o);
}

/* What a function writes into a BIO. */
static int written(X509 *cert, int (*write)(BIO *, X509 *),
                   struct cert_out *o) {
  BIO *bio = BIO_new(BIO_s_mem());
  int ok = bio != NULL && write(bio, cert) == 1;
  if (ok)
    cert_putbio(o, bio);
  BIO_free(bio);
  return ok ? cert_done(o)
            : cert_fail(o, CERT_EBADMSG, "the certificate cannot be written");
}

static int write_pem(BIO *bio, X509 *cert) {
  return PEM_write_bio_X509(bio, cert);
}

static int write_text(BIO *bio, X509 *cert) {
  return X509_print_ex(bio, cert, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB,
                       X509_FLAG_COMPAT);
}

int cert_pem(X509 *cert, struct cert_out *o) {
  return written(cert, write_pem, o);
}

int cert_text(X509 *cert, struct cert_out *o) {
  return written(cert, write_text, o);
}

/* ---- digests ---- */

bool cert_isdigest(const char *name) {
  return EVP_get_digestbyname(name) != NULL;
}

int cert_fingerprint(X509 *cert, const char *digest, struct cert_out *o) {
  const EVP_MD *md = EVP_get_digestbyname(digest);
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (md == NULL || X509_digest(cert, md, bytes, &n) != 1)
    return cert_fail(o, CERT_ENOTSUP, "no such digest here");
  cert_puthex(o, bytes, n);
  return cert_done(o);
}

int cert_putpin(struct cert_out *o, const X509_PUBKEY *key) {
  unsigned char digest[EVP_MAX_MD_SIZE], text[EVP_MAX_MD_SIZE * 2];
  unsigned char *der = NULL;
  unsigned n = 0;
  int len = i2d_X509_PUBKEY((X509_PUBKEY *)key, &der);
  int ok = len > 0 &&
           EVP_Digest(der, (size_t)len, digest, &n, EVP_sha256(), NULL) == 1;
  OPENSSL_free(der);
  if (!ok)
    return cert_fail(o, CERT_ENOTSUP, "the key has no digest");
  cert_put(o, text, (size_t)EVP_EncodeBlock(text, digest, (int)n));
  return cert_done(o);
}

int cert_pin(X509 *cert, struct cert_out *o) {
  return cert_putpin(o, X509_get_X509_PUBKEY(cert));
}

/* ---- small things ---- */

int cert_serial(X509 *cert, struct cert_out *o) {
  BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
  char *hex = n != NULL ? BN_bn2hex(n) : NULL, *at;
  BN_free(n);
  if (hex == NULL)
    return cert_fail(o, CERT_EBADMSG, "bad serial number");
  for (at = hex; *at != '\0'; at++)
    *at = (char)(*at >= 'A' && *at <= 'F' ? *at - 'A' + 'a' : *at);
  cert_puttext(o, strcmp(hex, "0") == 0 ? "00" : hex);
  OPENSSL_free(hex);
  return cert_done(o);
}

int cert_signature(X509 *cert, struct cert_out *o) {
  const X509_ALGOR *algorithm;
  const ASN1_OBJECT *object;
  char text[128];
  X509_get0_signature(NULL, &algorithm, cert);
  X509_ALGOR_get0(&object, NULL, NULL, algorithm);
  if (OBJ_obj2txt(text, sizeof text, object, 0) <= 0)
    return cert_fail(o, CERT_EBADMSG, "bad algorithm");
  cert_puttext(o, text);
  return cert_done(o);
}

/* Days from 1970-01-01 in Gregory's calendar. */
static int64_t days_of(int64_t year, int month, int day) {
  int64_t era, of_era, of_year;
  year -= month <= 2;
  era = (year >= 0 ? year : year - 399) / 400;
  of_era = year - era * 400;
  of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
         719468;
}

static bool seconds_of(const ASN1_TIME *time, int64_t *seconds) {
  struct tm tm;
  if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1)
    return false;
  *seconds = days_of(tm.tm_year + 1900LL, tm.tm_mon + 1, tm.tm_mday) * 86400 +
             tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
  return true;
}

int cert_validity(X509 *cert, int64_t *from, int64_t *till,
                  struct cert_out *o) {
  if (!seconds_of(X509_get0_notBefore(cert), from) ||
      !seconds_of(X509_get0_notAfter(cert), till))
    return cert_fail(o, CERT_EBADMSG, "bad time of validity");
  return cert_done(o);
}

/* ---- who signed ---- */

const char *cert_issued(X509 *issuer, X509 *cert) {
  int result = X509_check_issued(issuer, cert);
  ERR_clear_error();
  return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}

EVP_PKEY *cert_pubkey(X509 *cert) {
  EVP_PKEY *key = X509_get0_pubkey(cert);
  ERR_clear_error();
  return key;
}

bool cert_signedby(X509 *cert, EVP_PKEY *key) {
  bool is = X509_verify(cert, key) == 1;
  ERR_clear_error();
  return is;
}
