/* SPDX-License-Identifier: MIT
 * Certificates, requests and lists of what is revoked, made: good ones, and
 * bad ones for tests. First what it is of, then extensions in any order, then
 * the signature. Every function returns 0, or a cert_err with m->out.why. */
#ifndef NEAP_TLS_MAKE_H
#define NEAP_TLS_MAKE_H

#include "tls/x509.h"

struct X509_crl_st;

/* OpenSSL's, all NULL at first. */
struct maker {
  struct x509_st *cert; /* one of the three is made */
  struct X509_req_st *request;
  struct X509_crl_st *crl;
  struct x509_st *issuer; /* NULL: it signs itself */
  struct X509_name_st *subject;
  struct stack_st_X509_EXTENSION *extensions;
  struct stack_st_GENERAL_NAME *names;
  struct cert_out out;
};

/* Harmless on one that holds nothing. */
void make_free(struct maker *m);

/* ---- what it is ---- */

/* An entry more of the subject's name, in UTF-8. joined: to the last one. */
int make_entry(struct maker *m, const char *type, const char *value, size_t n,
               bool joined);

/* The subject's name that a request has. */
int make_subjectof(struct maker *m, struct X509_req_st *request);

/* A certificate for this public key; version 1 or 3. */
int make_cert(struct maker *m, struct evp_pkey_st *key, struct x509_st *issuer,
              int version);
int make_request(struct maker *m, struct evp_pkey_st *key);

/* A list by the issuer. */
int make_crl(struct maker *m, struct x509_st *issuer, int64_t from,
             int64_t till);

/* ---- what it says ---- */

/* hex: NULL for a random one. */
int make_serial(struct maker *m, const char *hex);
int make_validity(struct maker *m, int64_t from, int64_t till);

/* An alternative name of these bytes, whatever they are. type: "dns", "ip",
 * "email", "uri". */
int make_name(struct maker *m, const char *type, const void *bytes, size_t n);

/* The names become an extension. */
int make_names(struct maker *m, bool critical);

/* An extension as OpenSSL's configuration writes it: "critical,CA:TRUE". */
int make_extension(struct maker *m, const char *name, const char *text);

/* One of any bytes; oid: numbers or a name. */
int make_rawextension(struct maker *m, const char *oid, bool critical,
                      const void *bytes, size_t n);

/* reason: of RFC 5280, or -1. */
int make_revoked(struct maker *m, const char *serial, int64_t when, int reason);

/* ---- and the end ---- */

/* Signs with the key; digest: NULL for the key's own. */
int make_sign(struct maker *m, struct evp_pkey_st *key, const char *digest);

/* The list as PEM, into m->out. */
int make_crlpem(struct maker *m);

/* The certificate's or request's public key. */
struct evp_pkey_st *make_keyof(struct X509_req_st *request);

#endif
