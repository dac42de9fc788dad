/* SPDX-License-Identifier: MIT
 * Who a certificate is of: distinguished and alternative names. */
#include "tls/x509in.h"

#include <openssl/err.h>
#include <string.h>

void cert_putobject(struct cert_out *o, const ASN1_OBJECT *object) {
  int nid = OBJ_obj2nid(object);
  char text[128];
  if (nid != NID_undef)
    cert_puttext(o, OBJ_nid2sn(nid));
  else if (OBJ_obj2txt(text, sizeof text, object, 1) > 0)
    cert_puttext(o, text);
}

/* ---- distinguished names ---- */

/* RFC 4514, which lets UTF-8 be. */
enum { RFC4514 = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB };

void cert_putname(struct cert_out *o, const X509_NAME *name) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio == NULL)
    o->failed = true;
  else if (X509_NAME_print_ex(bio, name, 0, RFC4514) >= 0)
    cert_putbio(o, bio);
  BIO_free(bio);
}

/* As UTF-8; as it is when it is no text. */
static void put_string(struct cert_out *o, const char *name,
                       const ASN1_STRING *string) {
  unsigned char *text = NULL;
  int n = ASN1_STRING_to_UTF8(&text, string);
  if (n >= 0)
    cert_field(o, name, text, (size_t)n);
  else
    cert_field(o, name, ASN1_STRING_get0_data(string),
               (size_t)ASN1_STRING_length(string));
  OPENSSL_free(text);
}

void cert_putentries(struct cert_out *o, const X509_NAME *name) {
  int i, set = -1, n = X509_NAME_entry_count(name);
  for (i = 0; i < n; i++) {
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
    size_t begun;
    cert_row(o);
    begun = cert_begin(o, "type");
    cert_putobject(o, X509_NAME_ENTRY_get_object(entry));
    cert_end(o, begun);
    put_string(o, "value", X509_NAME_ENTRY_get_data(entry));
    if (X509_NAME_ENTRY_set(entry) == set)
      cert_flag(o, "joined", true);
    set = X509_NAME_ENTRY_set(entry);
  }
}

static const X509_NAME *name_of(const X509 *cert, enum cert_whose whose) {
  return whose == CERT_SUBJECT ? X509_get_subject_name(cert)
                               : X509_get_issuer_name(cert);
}

int cert_name(X509 *cert, enum cert_whose whose, struct cert_out *o) {
  cert_putname(o, name_of(cert, whose));
  return cert_done(o);
}

int cert_entries(X509 *cert, enum cert_whose whose, struct cert_out *o) {
  cert_putentries(o, name_of(cert, whose));
  return cert_done(o);
}

/* ---- alternative names ---- */

static void put_raw(struct cert_out *o, const ASN1_STRING *string) {
  cert_field(o, "value", ASN1_STRING_get0_data(string),
             (size_t)ASN1_STRING_length(string));
}

static void put_ip(struct cert_out *o, const ASN1_STRING *string) {
  const unsigned char *ip = ASN1_STRING_get0_data(string);
  int n = ASN1_STRING_length(string);
  char text[CERT_IPTEXT];
  size_t begun;
  if (n == 4 || n == 16) {
    cert_textfield(o, "value", cert_iptext(ip, (size_t)n, text));
    return;
  }
  begun = cert_begin(o, "value"); /* no address at all */
  cert_puthex(o, ip, (size_t)n);
  cert_end(o, begun);
}

/* A name of a type that somebody else has made up: as text, or as DER. */
static void put_other(struct cert_out *o, const OTHERNAME *other) {
  const ASN1_TYPE *value = other->value;
  size_t begun = cert_begin(o, "oid");
  unsigned char *der = NULL;
  char oid[128];
  int n;
  if (OBJ_obj2txt(oid, sizeof oid, other->type_id, 1) > 0)
    cert_puttext(o, oid);
  cert_end(o, begun);
  if (value->type == V_ASN1_UTF8STRING || value->type == V_ASN1_IA5STRING) {
    put_raw(o, value->value.asn1_string);
    return;
  }
  n = i2d_ASN1_TYPE((ASN1_TYPE *)value, &der);
  if (n >= 0)
    cert_field(o, "value", der, (size_t)n);
  OPENSSL_free(der);
}

static void put_alternative(struct cert_out *o, const GENERAL_NAME *name) {
  static const char *const types[] = {
    [GEN_OTHERNAME] = "other", [GEN_EMAIL] = "email", [GEN_DNS] = "dns",
    [GEN_X400] = "x400",       [GEN_DIRNAME] = "dir", [GEN_EDIPARTY] = "edi",
    [GEN_URI] = "uri",         [GEN_IPADD] = "ip",    [GEN_RID] = "rid",
  };
  size_t begun;
  cert_row(o);
  cert_textfield(o, "type", types[name->type]);
  switch (name->type) {
  case GEN_EMAIL:
  case GEN_DNS:
  case GEN_URI:
    put_raw(o, name->d.ia5);
    return;
  case GEN_IPADD:
    put_ip(o, name->d.iPAddress);
    return;
  case GEN_OTHERNAME:
    put_other(o, name->d.otherName);
    return;
  default:
    break;
  }
  begun = cert_begin(o, "value");
  if (name->type == GEN_DIRNAME)
    cert_putname(o, name->d.directoryName);
  else if (name->type == GEN_RID)
    cert_putobject(o, name->d.registeredID);
  cert_end(o, begun);
}

void cert_putnames(struct cert_out *o, const GENERAL_NAMES *names) {
  int i, n = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
  for (i = 0; i < n; i++)
    put_alternative(o, sk_GENERAL_NAME_value(names, i));
}

int cert_names(X509 *cert, struct cert_out *o) {
  int found = -1;
  GENERAL_NAMES *names =
    X509_get_ext_d2i(cert, NID_subject_alt_name, &found, NULL);
  if (names == NULL && found != -1)
    return cert_fail(o, CERT_EBADMSG, "bad subjectAltName");
  cert_putnames(o, names);
  GENERAL_NAMES_free(names);
  return cert_done(o);
}
