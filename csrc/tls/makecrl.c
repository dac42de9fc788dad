/* SPDX-License-Identifier: MIT
 * Lists of what is revoked. */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "tls/make.h"
#include "tls/x509in.h"

static int done(struct maker *m, bool ok, const char *what) {
  return ok ? cert_done(&m->out) : cert_fail(&m->out, CERT_EINVAL, what);
}

int make_crl(struct maker *m, X509 *issuer, int64_t from, int64_t till) {
  ASN1_TIME *since = ASN1_TIME_set(NULL, from);
  ASN1_TIME *next = ASN1_TIME_set(NULL, till);
  bool ok;
  m->crl = X509_CRL_new();
  m->issuer = issuer;
  X509_up_ref(issuer);
  ok = m->crl != NULL && since != NULL && next != NULL &&
       X509_CRL_set_version(m->crl, 1) == 1 &&
       X509_CRL_set_issuer_name(m->crl, X509_get_subject_name(issuer)) == 1 &&
       X509_CRL_set1_lastUpdate(m->crl, since) == 1 &&
       X509_CRL_set1_nextUpdate(m->crl, next) == 1;
  ASN1_TIME_free(since);
  ASN1_TIME_free(next);
  return done(m, ok, "no such list");
}

static bool set_serial(X509_REVOKED *revoked, const char *hex) {
  BIGNUM *n = NULL;
  int digits = BN_hex2bn(&n, hex);
  ASN1_INTEGER *serial = digits > 0 && (size_t)digits == strlen(hex)
                           ? BN_to_ASN1_INTEGER(n, NULL)
                           : NULL;
  bool ok =
    serial != NULL && X509_REVOKED_set_serialNumber(revoked, serial) == 1;
  ASN1_INTEGER_free(serial);
  BN_free(n);
  return ok;
}

static bool set_time(X509_REVOKED *revoked, int64_t when) {
  ASN1_TIME *time = ASN1_TIME_set(NULL, when);
  bool ok = time != NULL && X509_REVOKED_set_revocationDate(revoked, time) == 1;
  ASN1_TIME_free(time);
  return ok;
}

static bool set_reason(X509_REVOKED *revoked, int reason) {
  ASN1_ENUMERATED *number = ASN1_ENUMERATED_new();
  bool ok =
    number != NULL && ASN1_ENUMERATED_set(number, reason) == 1 &&
    X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, number, 0, 0) == 1;
  ASN1_ENUMERATED_free(number);
  return ok;
}

int make_revoked(struct maker *m, const char *serial, int64_t when,
                 int reason) {
  X509_REVOKED *revoked = X509_REVOKED_new();
  bool ok = revoked != NULL && set_serial(revoked, serial) &&
            set_time(revoked, when) &&
            (reason < 0 || set_reason(revoked, reason)) &&
            X509_CRL_add0_revoked(m->crl, revoked) == 1;
  if (!ok)
    X509_REVOKED_free(revoked);
  return done(m, ok, "bad serial number or time");
}

int make_crlpem(struct maker *m) {
  BIO *bio = BIO_new(BIO_s_mem());
  bool ok = bio != NULL && PEM_write_bio_X509_CRL(bio, m->crl) == 1;
  if (ok)
    cert_putbio(&m->out, bio);
  BIO_free(bio);
  return done(m, ok, "the list cannot be written");
}
