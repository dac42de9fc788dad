/* SPDX-License-Identifier: MIT
 * What a certificate is for: its extensions. */
#include "tls/x509in.h"

#include <openssl/err.h>

#include "base/util.h"

bool cert_isca(X509 *cert, long *pathlen) {
  uint32_t flags = X509_get_extension_flags(cert);
  *pathlen = X509_get_pathlen(cert);
  ERR_clear_error();
  return (flags & EXFLAG_CA) != 0 && (flags & EXFLAG_INVALID) == 0;
}

int cert_purposes(X509 *cert, struct cert_out *o) {
  int i, found = -1;
  EXTENDED_KEY_USAGE *uses =
    X509_get_ext_d2i(cert, NID_ext_key_usage, &found, NULL);
  if (uses == NULL && found != -1)
    return cert_fail(o, CERT_EBADMSG, "bad extendedKeyUsage");
  for (i = 0; uses != NULL && i < sk_ASN1_OBJECT_num(uses); i++) {
    size_t begun;
    cert_row(o);
    begun = cert_begin(o, "");
    cert_putobject(o, sk_ASN1_OBJECT_value(uses, i));
    cert_end(o, begun);
  }
  EXTENDED_KEY_USAGE_free(uses);
  return cert_done(o) < 0 ? CERT_ENOMEM : found == -1;
}

int cert_keyusage(X509 *cert, struct cert_out *o) {
  static const char *const names[] = {
    "digitalSignature", "nonRepudiation", "keyEncipherment",
    "dataEncipherment", "keyAgreement",   "keyCertSign",
    "cRLSign",          "encipherOnly",   "decipherOnly",
  };
  int i, found = -1;
  ASN1_BIT_STRING *bits = X509_get_ext_d2i(cert, NID_key_usage, &found, NULL);
  if (bits == NULL && found != -1)
    return cert_fail(o, CERT_EBADMSG, "bad keyUsage");
  for (i = 0; bits != NULL && i < (int)countof(names); i++)
    if (ASN1_BIT_STRING_get_bit(bits, i)) {
      cert_row(o);
      cert_textfield(o, "", names[i]);
    }
  ASN1_BIT_STRING_free(bits);
  return cert_done(o) < 0 ? CERT_ENOMEM : found == -1;
}

/* As OpenSSL prints it; nothing for what it does not know. */
static void put_text(struct cert_out *o, X509_EXTENSION *extension) {
  BIO *bio = BIO_new(BIO_s_mem());
  size_t begun;
  if (bio != NULL && X509V3_EXT_print(bio, extension, 0, 0) == 1) {
    begun = cert_begin(o, "text");
    cert_putbio(o, bio);
    cert_end(o, begun);
  }
  BIO_free(bio);
}

static void put_extension(struct cert_out *o, X509_EXTENSION *extension) {
  const ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
  const ASN1_STRING *value = X509_EXTENSION_get_data(extension);
  char oid[128] = "";
  OBJ_obj2txt(oid, sizeof oid, object, 1);
  cert_row(o);
  cert_textfield(o, "oid", oid);
  if (OBJ_obj2nid(object) != NID_undef)
    cert_textfield(o, "name", OBJ_nid2sn(OBJ_obj2nid(object)));
  cert_flag(o, "critical", X509_EXTENSION_get_critical(extension) != 0);
  cert_field(o, "value", ASN1_STRING_get0_data(value),
             (size_t)ASN1_STRING_length(value));
  put_text(o, extension);
}

int cert_extensions(X509 *cert, struct cert_out *o) {
  int i, n = X509_get_ext_count(cert);
  for (i = 0; i < n; i++)
    put_extension(o, X509_get_ext(cert, i));
  return cert_done(o);
}
