/* SPDX-License-Identifier: MIT
 * Keys: made, read, written, described. */
#include "tls/x509in.h"

#include <limits.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/util.h"

/* ---- reading ---- */

struct asking {
  const char *pass;
  size_t len;
  bool asked;
};

static int give_pass(char *to, int room, int writes, void *arg) {
  struct asking *a = arg;
  (void)writes;
  a->asked = true;
  if (a->pass == NULL || a->len > (size_t)room)
    return -1;
  memcpy(to, a->pass, a->len);
  return (int)a->len;
}

static EVP_PKEY *read_der(const char *text, size_t len, struct asking *a) {
  const unsigned char *at = (const unsigned char *)text;
  EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)len);
  BIO *bio;
  if (key != NULL)
    return key;
  bio = BIO_new_mem_buf(text, (int)len); /* it may be encrypted */
  if (bio != NULL)
    key = d2i_PKCS8PrivateKey_bio(bio, NULL, give_pass, a);
  BIO_free(bio);
  return key;
}

static EVP_PKEY *read_pem(const char *text, size_t len, struct asking *a) {
  BIO *bio = BIO_new_mem_buf(text, (int)len);
  EVP_PKEY *key =
    bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, give_pass, a) : NULL;
  BIO_free(bio);
  return key;
}

int key_load(const char *text, size_t len, const char *pass, size_t passlen,
             EVP_PKEY **key, struct cert_out *o) {
  struct asking asking = {pass, passlen, false};
  ERR_clear_error();
  *key = NULL;
  if (len > INT_MAX)
    return cert_fail(o, CERT_EBADMSG, "no private key: too long");
  if (cert_isder(text, len) || memmem(text, len, "-----BEGIN ", 11) == NULL)
    *key = read_der(text, len, &asking);
  else
    *key = read_pem(text, len, &asking);
  if (*key != NULL)
    return cert_done(o);
  if (!asking.asked)
    return cert_fail(o, CERT_EBADMSG, "no private key");
  ERR_clear_error(); /* which only tells how it was noticed */
  return cert_fail(o, CERT_EACCES,
                   pass == NULL ? "the private key needs a passphrase"
                                : "wrong passphrase of the private key");
}

void key_free(EVP_PKEY *key) {
  EVP_PKEY_free(key);
}

static int same_key(const EVP_PKEY *a, const EVP_PKEY *b) {
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
  return EVP_PKEY_eq(a, b);
#else
  return EVP_PKEY_cmp(a, b);
#endif
}

bool key_equal(const EVP_PKEY *a, const EVP_PKEY *b) {
  bool equal = same_key(a, b) == 1;
  ERR_clear_error();
  return equal;
}

bool cert_haskey(X509 *cert, EVP_PKEY *key) {
  const EVP_PKEY *public = X509_get0_pubkey(cert);
  bool has = public != NULL && same_key(public, key) == 1;
  ERR_clear_error();
  return has;
}

/* ---- writing ---- */

int key_pem(EVP_PKEY *key, const char *pass, size_t passlen,
            struct cert_out *o) {
  const EVP_CIPHER *cipher = pass != NULL ? EVP_aes_256_cbc() : NULL;
  BIO *bio = BIO_new(BIO_s_secmem());
  int ok = bio != NULL && PEM_write_bio_PKCS8PrivateKey(
                            bio, key, cipher, (char *)pass, (int)passlen,
                            pass == NULL ? cert_nopass : NULL, NULL) == 1;
  if (ok)
    cert_putbio(o, bio);
  BIO_free(bio);
  return ok ? cert_done(o)
            : cert_fail(o, CERT_ENOTSUP, "the key cannot be written");
}

int key_publicpem(EVP_PKEY *key, struct cert_out *o) {
  BIO *bio = BIO_new(BIO_s_mem());
  int ok = bio != NULL && PEM_write_bio_PUBKEY(bio, key) == 1;
  if (ok)
    cert_putbio(o, bio);
  BIO_free(bio);
  return ok ? cert_done(o)
            : cert_fail(o, CERT_ENOTSUP, "the key cannot be written");
}

int key_pin(EVP_PKEY *key, struct cert_out *o) {
  X509_PUBKEY *public = NULL;
  int err = X509_PUBKEY_set(&public, key) == 1
              ? cert_putpin(o, public)
              : cert_fail(o, CERT_ENOTSUP, "the key cannot be encoded");
  X509_PUBKEY_free(public);
  return err;
}

/* ---- describing ---- */

static const struct {
  int id;
  const char *name;
} types[] = {
  {EVP_PKEY_EC,      "ec"     },
  {EVP_PKEY_RSA,     "rsa"    },
  {EVP_PKEY_RSA_PSS, "rsa-pss"},
  {EVP_PKEY_ED25519, "ed25519"},
  {EVP_PKEY_ED448,   "ed448"  },
  {EVP_PKEY_X25519,  "x25519" },
  {EVP_PKEY_X448,    "x448"   },
  {EVP_PKEY_DSA,     "dsa"    },
  {EVP_PKEY_DH,      "dh"     },
  {EVP_PKEY_SM2,     "sm2"    },
};

static const char *type_name(int id) {
  size_t i;
  for (i = 0; i < countof(types); i++)
    if (types[i].id == id)
      return types[i].name;
  return NULL;
}

static int type_id(const char *name) {
  size_t i;
  for (i = 0; i < countof(types); i++)
    if (strcmp(types[i].name, name) == 0)
      return types[i].id;
  return EVP_PKEY_NONE;
}

static int curve_of(const EVP_PKEY *key) {
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
  char name[80];
  if (EVP_PKEY_get_group_name(key, name, sizeof name, NULL) != 1)
    return NID_undef;
  return OBJ_txt2nid(name);
#else
  const EC_KEY *ec = EVP_PKEY_get0_EC_KEY((EVP_PKEY *)key);
  return ec != NULL ? EC_GROUP_get_curve_name(EC_KEY_get0_group(ec))
                    : NID_undef;
#endif
}

static void put_details(struct cert_out *o, const EVP_PKEY *key) {
  int id = EVP_PKEY_base_id(key), curve;
  const char *name = type_name(id);
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
  if (name == NULL)
    name = EVP_PKEY_get0_type_name(key);
#endif
  cert_textfield(o, "type", name != NULL ? name : "unknown");
  cert_integer(o, "bits", EVP_PKEY_bits(key));
  curve = id == EVP_PKEY_EC || id == EVP_PKEY_SM2 ? curve_of(key) : NID_undef;
  if (curve == NID_undef)
    return;
  name = EC_curve_nid2nist(curve);
  cert_textfield(o, "curve", name != NULL ? name : OBJ_nid2sn(curve));
}

int key_details(EVP_PKEY *key, struct cert_out *o) {
  cert_row(o);
  put_details(o, key);
  return cert_done(o);
}

/* Of a key that this OpenSSL cannot read the algorithm is known. */
int cert_putdetails(struct cert_out *o, const X509_PUBKEY *key) {
  EVP_PKEY *public = X509_PUBKEY_get0((X509_PUBKEY *)key);
  ASN1_OBJECT *algorithm = NULL;
  size_t begun;
  cert_row(o);
  if (public != NULL) {
    put_details(o, public);
    return cert_done(o);
  }
  X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, (X509_PUBKEY *)key);
  begun = cert_begin(o, "type");
  cert_putobject(o, algorithm);
  cert_end(o, begun);
  return cert_done(o);
}

int cert_keydetails(X509 *cert, struct cert_out *o) {
  return cert_putdetails(o, X509_get_X509_PUBKEY(cert));
}

/* ---- making ---- */

static int curve_named(const char *name) {
  int nid = EC_curve_nist2nid(name);
  if (nid == NID_undef)
    nid = OBJ_txt2nid(name);
  return nid;
}

static bool prepare(EVP_PKEY_CTX *ctx, int id, int bits, const char *curve) {
  if (EVP_PKEY_keygen_init(ctx) != 1)
    return false;
  if (id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS)
    return EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) == 1;
  if (id != EVP_PKEY_EC)
    return true;
  return EVP_PKEY_CTX_set_ec_paramgen_curve_nid(
           ctx, curve_named(curve != NULL ? curve : "P-256")) == 1 &&
         EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_NAMED_CURVE) == 1;
}

int key_make(const char *type, int bits, const char *curve, EVP_PKEY **key,
             struct cert_out *o) {
  int id = type_id(type);
  EVP_PKEY_CTX *ctx;
  bool ok;
  ERR_clear_error();
  *key = NULL;
  ctx = EVP_PKEY_CTX_new_id(id, NULL);
  ok = ctx != NULL && prepare(ctx, id, bits, curve) &&
       EVP_PKEY_keygen(ctx, key) == 1;
  EVP_PKEY_CTX_free(ctx);
  return ok ? cert_done(o) : cert_fail(o, CERT_EINVAL, "no such key");
}
