/* SPDX-License-Identifier: MIT
 * Requests for certificates, read. */
#include "tls/x509in.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

int req_load(const char *text, size_t len, X509_REQ **req, struct cert_out *o) {
  const unsigned char *at = (const unsigned char *)text;
  BIO *bio = NULL;
  ERR_clear_error();
  *req = NULL;
  if (len > INT_MAX)
    return cert_fail(o, CERT_EBADMSG, "no request: too long");
  if (cert_isder(text, len)) {
    *req = d2i_X509_REQ(NULL, &at, (long)len);
  } else {
    bio = BIO_new_mem_buf(text, (int)len);
    if (bio != NULL)
      *req = PEM_read_bio_X509_REQ(bio, NULL, cert_nopass, NULL);
    BIO_free(bio);
  }
  return *req != NULL ? cert_done(o) : cert_fail(o, CERT_EBADMSG, "no request");
}

void req_free(X509_REQ *req) {
  X509_REQ_free(req);
}

int req_pem(X509_REQ *req, struct cert_out *o) {
  BIO *bio = BIO_new(BIO_s_mem());
  int ok = bio != NULL && PEM_write_bio_X509_REQ(bio, req) == 1;
  if (ok)
    cert_putbio(o, bio);
  BIO_free(bio);
  return ok ? cert_done(o)
            : cert_fail(o, CERT_EBADMSG, "the request cannot be written");
}

int req_der(X509_REQ *req, struct cert_out *o) {
  unsigned char *der = NULL;
  int n = i2d_X509_REQ(req, &der);
  if (n < 0)
    return cert_fail(o, CERT_EBADMSG, "the request cannot be encoded");
  cert_put(o, der, (size_t)n);
  OPENSSL_free(der);
  return cert_done(o);
}

int req_name(X509_REQ *req, struct cert_out *o) {
  cert_putname(o, X509_REQ_get_subject_name(req));
  return cert_done(o);
}

int req_entries(X509_REQ *req, struct cert_out *o) {
  cert_putentries(o, X509_REQ_get_subject_name(req));
  return cert_done(o);
}

int req_names(X509_REQ *req, struct cert_out *o) {
  STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
  int found = -1;
  GENERAL_NAMES *names =
    list != NULL ? X509V3_get_d2i(list, NID_subject_alt_name, &found, NULL)
                 : NULL;
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  if (names == NULL && found != -1)
    return cert_fail(o, CERT_EBADMSG, "bad subjectAltName");
  cert_putnames(o, names);
  GENERAL_NAMES_free(names);
  return cert_done(o);
}

int req_keydetails(X509_REQ *req, struct cert_out *o) {
  return cert_putdetails(o, X509_REQ_get_X509_PUBKEY(req));
}

bool req_verify(X509_REQ *req) {
  EVP_PKEY *key = X509_REQ_get0_pubkey(req);
  bool is = key != NULL && X509_REQ_verify(req, key) == 1;
  ERR_clear_error();
  return is;
}
