/* SPDX-License-Identifier: MIT
 * Certificates, requests and keys, read. Knows no Lua; safe in any thread,
 * and no certificate is changed by what is asked of it.
 *
 * Functions that give something out return 0, or a cert_err with o->why; what
 * they found is in o, as bytes or (as said) as rows. */
#ifndef NEAP_TLS_X509_H
#define NEAP_TLS_X509_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/x509out.h"

/* OpenSSL's X509, X509_REQ, EVP_PKEY: for whom its headers are not. */
struct x509_st;
struct X509_req_st;
struct evp_pkey_st;

/* ---- x509.c: from and to bytes ---- */

/* The first certificate of the text, PEM or DER; *used: how many bytes of it
 * that took. 1: there is none in the text, as o->why says. */
int cert_load(const char *text, size_t len, struct x509_st **cert, size_t *used,
              struct cert_out *o);
void cert_free(struct x509_st *cert);
void cert_hold(struct x509_st *cert); /* one more reference */
bool cert_equal(const struct x509_st *a, const struct x509_st *b);

int cert_der(struct x509_st *cert, struct cert_out *o);
int cert_pem(struct x509_st *cert, struct cert_out *o);
int cert_text(struct x509_st *cert, struct cert_out *o);

/* Whether there is a digest of this name. */
bool cert_isdigest(const char *name);
int cert_fingerprint(struct x509_st *cert, const char *digest,
                     struct cert_out *o);
int cert_pin(struct x509_st *cert, struct cert_out *o);
int cert_serial(struct x509_st *cert, struct cert_out *o);
int cert_signature(struct x509_st *cert, struct cert_out *o);

/* In seconds of Unix. */
int cert_validity(struct x509_st *cert, int64_t *from, int64_t *till,
                  struct cert_out *o);

/* Whether the name and the identifiers of `issuer` are those of who issued
 * it; NULL, or why not. */
const char *cert_issued(struct x509_st *issuer, struct x509_st *cert);

/* Its public key, which it keeps; NULL for one that OpenSSL cannot read. */
struct evp_pkey_st *cert_pubkey(struct x509_st *cert);

/* Whether it is signed with the key. */
bool cert_signedby(struct x509_st *cert, struct evp_pkey_st *key);

/* ---- x509name.c: who ---- */

enum cert_whose { CERT_SUBJECT, CERT_ISSUER };

int cert_name(struct x509_st *cert, enum cert_whose, struct cert_out *o);

/* Rows of type, value, joined. */
int cert_entries(struct x509_st *cert, enum cert_whose, struct cert_out *o);

/* The subjectAltNames, as rows of type, value, oid. */
int cert_names(struct x509_st *cert, struct cert_out *o);

/* ---- x509ext.c: what for ---- */

bool cert_isca(struct x509_st *cert, long *pathlen);

/* Rows of names. 1: there is no such extension. */
int cert_purposes(struct x509_st *cert, struct cert_out *o);
int cert_keyusage(struct x509_st *cert, struct cert_out *o);

/* Rows of oid, name, critical, value, text. */
int cert_extensions(struct x509_st *cert, struct cert_out *o);

/* ---- x509match.c: whether it is for a host ---- */

/* As RFC 9525: by subjectAltName alone. */
bool cert_matches(struct x509_st *cert, const char *host, size_t len);

/* ---- x509ip.c ---- */

/* 4 or 16, or 0 if it is no IP address. */
size_t cert_ip(const char *text, size_t len, unsigned char ip[16]);
enum { CERT_IPTEXT = 46 };
const char *cert_iptext(const unsigned char *ip, size_t n,
                        char text[CERT_IPTEXT]);

/* ---- x509key.c ---- */

/* pass: NULL for none. */
int key_load(const char *text, size_t len, const char *pass, size_t passlen,
             struct evp_pkey_st **key, struct cert_out *o);

/* type: "ec", "rsa", "ed25519"... curve: NULL for P-256. */
int key_make(const char *type, int bits, const char *curve,
             struct evp_pkey_st **key, struct cert_out *o);
void key_free(struct evp_pkey_st *key);
bool key_equal(const struct evp_pkey_st *a, const struct evp_pkey_st *b);
int key_pem(struct evp_pkey_st *key, const char *pass, size_t passlen,
            struct cert_out *o);
int key_publicpem(struct evp_pkey_st *key, struct cert_out *o);
int key_pin(struct evp_pkey_st *key, struct cert_out *o);

/* A row of type, bits, curve. */
int key_details(struct evp_pkey_st *key, struct cert_out *o);
int cert_keydetails(struct x509_st *cert, struct cert_out *o);
bool cert_haskey(struct x509_st *cert, struct evp_pkey_st *key);

/* The longest passphrase. */
enum { KEY_MAXPASS = 1023 };

/* ---- x509req.c: requests ---- */

int req_load(const char *text, size_t len, struct X509_req_st **req,
             struct cert_out *o);
void req_free(struct X509_req_st *req);
int req_pem(struct X509_req_st *req, struct cert_out *o);
int req_der(struct X509_req_st *req, struct cert_out *o);
int req_name(struct X509_req_st *req, struct cert_out *o);
int req_entries(struct X509_req_st *req, struct cert_out *o);
int req_names(struct X509_req_st *req, struct cert_out *o);
int req_keydetails(struct X509_req_st *req, struct cert_out *o);

/* Whether who asks has the key. */
bool req_verify(struct X509_req_st *req);

#endif
