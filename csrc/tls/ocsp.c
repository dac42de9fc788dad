/* SPDX-License-Identifier: MIT */
#include "tls/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/session.h"
#include "tls/verify.h"

enum {
  SLACK = 300,       /* seconds that clocks may differ */
  LASTS = 7 * 86400, /* how long one is good that does not say it */
  DAY = 86400,
  STATUS_REQUEST = 5, /* the TLS feature that must-staple is (RFC 7633) */
  SECURITY_LEVEL = 2,
  SECURITY_BITS = 112, /* of that level */
};

/* ---- what a response says ---- */

/* Returns NULL if it is no response, or none that says anything: an error of
 * the responder's, which nobody has signed. *answer: whether it is the
 * latter. */
static OCSP_BASICRESP *parse(const void *der, long len, bool *answer) {
  const unsigned char *p = der, *end = p + len;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, len);
  OCSP_BASICRESP *basic = NULL;
  *answer = response != NULL && p == end;
  if (*answer &&
      OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    basic = OCSP_response_get1_basic(response);
    *answer = basic != NULL;
  }
  OCSP_RESPONSE_free(response);
  return basic;
}

static bool is_digest(const ASN1_OCTET_STRING *string,
                      const unsigned char *digest, unsigned len) {
  return ASN1_STRING_length(string) == (int)len &&
         memcmp(ASN1_STRING_get0_data(string), digest, len) == 0;
}

/* issuer: NULL where its name has to do. */
static bool is_of(const OCSP_SINGLERESP *single, X509 *cert, X509 *issuer) {
  ASN1_OCTET_STRING *namehash, *keyhash;
  ASN1_OBJECT *algorithm;
  ASN1_INTEGER *serial;
  const EVP_MD *md;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len;
  OCSP_id_get0_info(&namehash, &algorithm, &keyhash, &serial,
                    (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
  md = EVP_get_digestbyobj(algorithm);
  if (md == NULL || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert)) != 0)
    return false;
  if (X509_NAME_digest(X509_get_issuer_name(cert), md, digest, &len) != 1 ||
      !is_digest(namehash, digest, len))
    return false;
  return issuer == NULL || (X509_pubkey_digest(issuer, md, digest, &len) == 1 &&
                            is_digest(keyhash, digest, len));
}

/* The certificate's part of a response, or NULL. */
static OCSP_SINGLERESP *part_of(OCSP_BASICRESP *basic, X509 *cert,
                                X509 *issuer) {
  int i;
  for (i = 0; i < OCSP_resp_count(basic); i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
    if (is_of(single, cert, issuer))
      return single;
  }
  return NULL;
}

struct report {
  int status; /* V_OCSP_CERTSTATUS_... */
  ASN1_GENERALIZEDTIME *until;
  bool current;
};

static struct report report_of(OCSP_SINGLERESP *single) {
  ASN1_GENERALIZEDTIME *from;
  struct report r = {0, NULL, false};
  r.status = OCSP_single_get0_status(single, NULL, NULL, &from, &r.until);
  r.current = OCSP_check_validity(from, r.until, SLACK,
                                  r.until == NULL ? LASTS : -1) == 1;
  return r;
}

/* ---- a client's ---- */

/* Signed with less than the security level asks of certificates? */
static bool is_weak(const OCSP_BASICRESP *basic) {
  const ASN1_OBJECT *algorithm;
  int md = NID_undef;
  X509_ALGOR_get0(&algorithm, NULL, NULL, OCSP_resp_get0_tbs_sigalg(basic));
  OBJ_find_sigid_algs(OBJ_obj2nid(algorithm), &md, NULL);
  return md != NID_undef &&
         EVP_MD_size(EVP_get_digestbynid(md)) * 4 < SECURITY_BITS;
}

/* By the issuer itself, or by whom it has certified for that (RFC 6960 section
 * 4.2.2.2). The chain was verified: so the issuer is all that is trusted. */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer) {
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *beside = sk_X509_new_null();
  bool good = store != NULL && beside != NULL && !is_weak(basic) &&
              X509_STORE_add_cert(store, issuer) == 1 &&
              sk_X509_push(beside, issuer) > 0;
  if (good) {
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    good = OCSP_basic_verify(basic, beside, store, 0) == 1;
  }
  sk_X509_free(beside);
  X509_STORE_free(store);
  return good;
}

/* What the response comes to: X509_V_OK, or the code and *what. Revoked stays
 * revoked, however old the response is. */
static long judge(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer,
                  const char **what) {
  OCSP_SINGLERESP *single = part_of(basic, cert, issuer);
  struct report r;
  *what = "the stapled OCSP response is for another certificate";
  if (single == NULL)
    return X509_V_ERR_OCSP_VERIFY_FAILED;
  *what = "nobody that its issuer trusts has signed the stapled OCSP response";
  if (!is_signed(basic, issuer))
    return X509_V_ERR_OCSP_VERIFY_FAILED;
  r = report_of(single);
  *what = "the certificate is revoked, says its stapled OCSP response";
  if (r.status == V_OCSP_CERTSTATUS_REVOKED)
    return X509_V_ERR_CERT_REVOKED;
  *what = "the stapled OCSP response has expired, or is not yet valid";
  if (!r.current)
    return X509_V_ERR_OCSP_VERIFY_FAILED;
  *what = "the stapled OCSP response does not know the certificate";
  return r.status == V_OCSP_CERTSTATUS_GOOD ? X509_V_OK
                                            : X509_V_ERR_OCSP_CERT_UNKNOWN;
}

static bool is_must_staple(X509 *cert) {
  TLS_FEATURE *features = X509_get_ext_d2i(cert, NID_tlsfeature, NULL, NULL);
  bool found = false;
  int i;
  for (i = 0; i < sk_ASN1_INTEGER_num(features); i++)
    found = found || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) ==
                       STATUS_REQUEST;
  TLS_FEATURE_free(features);
  return found;
}

/* With no answer the certificate is as good as ever, unless one is required.
 * A certificate that is trusted itself has no issuer that could be asked. */
static long check(struct tls_session *s, X509 *cert, X509 *issuer,
                  const char **what) {
  const unsigned char *der = NULL;
  long len = SSL_get_tlsext_status_ocsp_resp(s->ssl, &der), result;
  bool answer = true;
  OCSP_BASICRESP *basic = NULL;
  if (der != NULL && len > 0)
    basic = parse(der, len, &answer);
  *what = "the stapled OCSP response is none";
  if (!answer)
    return X509_V_ERR_OCSP_VERIFY_FAILED;
  if (basic == NULL || issuer == NULL) {
    OCSP_BASICRESP_free(basic);
    *what = "no OCSP response is stapled to the certificate, and one must be";
    return s->context->ocsp == TLS_OCSP_REQUIRES || is_must_staple(cert)
             ? X509_V_ERR_OCSP_VERIFY_NEEDED
             : X509_V_OK;
  }
  result = judge(basic, cert, issuer, what);
  s->vouched = result == X509_V_OK;
  OCSP_BASICRESP_free(basic);
  return result;
}

/* Who signed it, of the chain that was verified. */
static X509 *issuer_of(X509 *cert, const STACK_OF(X509) * chain) {
  X509 *next = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : cert;
  return X509_check_issued(next, cert) == X509_V_OK ? next : NULL;
}

/* OpenSSL calls it after it has verified the chain; where a session is
 * resumed, there is no certificate. */
static int check_staple(SSL *ssl) {
  struct tls_session *s = SSL_get_app_data(ssl);
  STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
  X509 *cert = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;
  const char *what;
  long result;
  if (cert == NULL || SSL_session_reused(ssl))
    return 1;
  result = check(s, cert, issuer_of(cert, chain), &what);
  ERR_clear_error();
  if (result == X509_V_OK)
    return 1;
  SSL_set_verify_result(ssl, result);
  tls_verify_tell(s, what, cert);
  return 0;
}

void tls_ocsp_ask(struct tls_session *s) {
  if (s->verifies && s->context->ocsp != TLS_OCSP_SILENT)
    SSL_set_tlsext_status_type(s->ssl, TLSEXT_STATUSTYPE_ocsp);
}

/* ---- a server's ---- */

struct tls_staple {
  struct tls_staple *next;
  X509 *cert;
  time_t until; /* 0: it does not say */
  size_t len;
  unsigned char der[];
};

/* The one of the context's certificates that a response is for. */
static X509 *whose(SSL_CTX *ctx, OCSP_BASICRESP *basic) {
  X509 *current = SSL_CTX_get0_certificate(ctx), *found = NULL;
  long more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST);
  while (more == 1 && found == NULL) {
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    if (part_of(basic, cert, NULL) != NULL)
      found = cert;
    more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT);
  }
  if (current != NULL)
    SSL_CTX_select_current_cert(ctx, current);
  return found;
}

static time_t time_of(const ASN1_GENERALIZEDTIME *t) {
  int days, seconds;
  if (t == NULL || ASN1_TIME_diff(&days, &seconds, NULL, t) != 1)
    return 0;
  return time(NULL) + (time_t)days * DAY + seconds;
}

static int keep(struct tls_context *c, X509 *cert, time_t until,
                const void *der, size_t len) {
  struct tls_staple *t = malloc(sizeof *t + len);
  if (t == NULL)
    return -1;
  X509_up_ref(cert);
  t->cert = cert;
  t->until = until;
  t->len = len;
  memcpy(t->der, der, len);
  t->next = c->staples;
  c->staples = t;
  return 0;
}

int tls_ocsp_staple(struct tls_context *c, const void *der, size_t len,
                    const char **why) {
  bool answer;
  OCSP_BASICRESP *basic = parse(der, (long)len, &answer);
  X509 *cert = basic != NULL ? whose(c->ctx, basic) : NULL;
  struct report r = {0, NULL, false};
  int result = -1;
  if (cert != NULL)
    r = report_of(part_of(basic, cert, NULL));
  if (basic == NULL)
    *why = answer ? "the responder answered with an error"
                  : "it is no OCSP response";
  else if (cert == NULL)
    *why = "it is for another certificate";
  else if (!r.current)
    *why = "it has expired, or is not yet valid";
  else {
    *why = "not enough memory";
    result = keep(c, cert, time_of(r.until), der, len);
  }
  OCSP_BASICRESP_free(basic);
  ERR_clear_error();
  return result;
}

/* OpenSSL calls it for who asks. What has expired since it was read would be
 * worse than nothing. */
static int give_staple(SSL *ssl, const struct tls_context *c) {
  X509 *cert = SSL_get_certificate(ssl);
  const struct tls_staple *t;
  unsigned char *copy;
  for (t = c->staples; t != NULL; t = t->next)
    if (t->cert == cert && (t->until == 0 || t->until > time(NULL)))
      break;
  copy = t != NULL ? OPENSSL_memdup(t->der, t->len) : NULL;
  if (copy == NULL)
    return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)t->len);
  return SSL_TLSEXT_ERR_OK;
}

void tls_ocsp_close(struct tls_context *c) {
  while (c->staples != NULL) {
    struct tls_staple *t = c->staples;
    c->staples = t->next;
    X509_free(t->cert);
    free(t);
  }
}

/* ---- both ---- */

/* After a server's name was told, it is of the context of that name. */
static int status(SSL *ssl, void *arg) {
  return SSL_is_server(ssl) ? give_staple(ssl, arg) : check_staple(ssl);
}

void tls_ocsp_setup(struct tls_context *c) {
  SSL_CTX_set_tlsext_status_cb(c->ctx, status);
  SSL_CTX_set_tlsext_status_arg(c->ctx, c);
}
