/* SPDX-License-Identifier: MIT */
#include "tls/ticket.h"

#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "tls/session.h"

enum { HASHLEN = SHA256_DIGEST_LENGTH, NAMELEN = 16, KEYLEN = 32 };
enum { SLOTS = 3 }; /* the one before, now, and of who is ahead of us */

/* The keys of a secret in one slot of time. */
struct keys {
  int64_t slot;
  unsigned char name[NAMELEN], cipher[KEYLEN], mac[KEYLEN];
};

struct tls_tickets {
  long lifetime;
  int n;
  unsigned char secrets[TLS_MAXSECRETS][HASHLEN];
  struct keys keys[TLS_MAXSECRETS][SLOTS]; /* as they were needed last */
};

/* ---- keys ---- */

static bool hmac(const void *key, size_t keylen, const void *data, size_t len,
                 unsigned char out[HASHLEN]) {
  return HMAC(EVP_sha256(), key, (int)keylen, data, len, out, NULL) != NULL;
}

/* HKDF-Expand (RFC 5869): one block for each number. */
static bool expand(const unsigned char secret[HASHLEN], int64_t slot,
                   unsigned char number, unsigned char out[HASHLEN]) {
  static const char label[] = "neap ticket";
  unsigned char info[HASHLEN + sizeof label + 9];
  size_t at = 0;
  int i;
  if (number > 1) {
    memcpy(info, out, HASHLEN);
    at = HASHLEN;
  }
  memcpy(info + at, label, sizeof label);
  at += sizeof label;
  for (i = 0; i < 8; i++)
    info[at++] = (unsigned char)((uint64_t)slot >> (56 - 8 * i));
  info[at++] = number;
  return hmac(secret, HASHLEN, info, at, out);
}

static const struct keys *keys_of(struct tls_tickets *t, int secret,
                                  int64_t slot) {
  struct keys *k = &t->keys[secret][slot % SLOTS];
  unsigned char block[HASHLEN];
  bool good;
  if (k->slot == slot)
    return k;
  k->slot = 0;
  good = expand(t->secrets[secret], slot, 1, block);
  memcpy(k->cipher, block, KEYLEN);
  good = good && expand(t->secrets[secret], slot, 2, block);
  memcpy(k->mac, block, KEYLEN);
  good = good && expand(t->secrets[secret], slot, 3, block);
  memcpy(k->name, block, NAMELEN);
  OPENSSL_cleanse(block, sizeof block);
  if (!good)
    return NULL;
  k->slot = slot;
  return k;
}

static int64_t now(const struct tls_tickets *t) {
  return (int64_t)time(NULL) / t->lifetime;
}

/* Returns 1 for what this secret makes now, 2 for what is to be made anew. */
static int find_keys(struct tls_tickets *t, const unsigned char *name,
                     const struct keys **found) {
  int64_t slot = now(t), at;
  int i;
  for (i = 0; i < t->n; i++)
    for (at = slot - 1; at <= slot + 1; at++) {
      const struct keys *k = keys_of(t, i, at);
      if (k == NULL || CRYPTO_memcmp(k->name, name, NAMELEN) != 0)
        continue;
      *found = k;
      return i == 0 && at >= slot ? 1 : 2;
    }
  return 0;
}

static int set_mac(EVP_MAC_CTX *mac, const struct keys *k) {
  static char sha256[] = "SHA256";
  OSSL_PARAM params[3];
  params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                                (void *)k->mac, KEYLEN);
  params[1] =
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0);
  params[2] = OSSL_PARAM_construct_end();
  return EVP_MAC_CTX_set_params(mac, params);
}

/* OpenSSL makes a ticket, or opens one: 1, or 2 if it opens one that is to be
 * made anew; 0 if there is none; -1 fails the handshake. */
static int with_keys(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int makes) {
  struct tls_session *s = SSL_get_app_data(ssl);
  struct tls_tickets *t = s->context->tickets;
  const struct keys *k = NULL;
  int r;
  if (t == NULL)
    return 0;
  if (!makes) {
    r = find_keys(t, name, &k);
    if (r == 0)
      return 0;
    if (SSL_version(ssl) == TLS1_3_VERSION)
      r = 2; /* what is used once must be made anew */
    return EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) ==
                 1 &&
               set_mac(mac, k) == 1
             ? r
             : -1;
  }
  if (SSL_get_psk_identity(ssl) != NULL) /* psk.c says why not */
    return 0;
  k = keys_of(t, 0, now(t));
  if (k == NULL || RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
    return -1;
  memcpy(name, k->name, NAMELEN);
  return EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv) ==
               1 &&
             set_mac(mac, k) == 1
           ? 1
           : -1;
}

/* ---- how long ---- */

/* What goes with a session, into tickets, too: this and the time at which its
 * full handshake was. */
enum { DATED = 't', DATELEN = 9 };

static int64_t date_of(const SSL_SESSION *session) {
  void *data;
  size_t len;
  uint64_t date = 0;
  int i;
  if (SSL_SESSION_get0_ticket_appdata((SSL_SESSION *)session, &data, &len) !=
        1 ||
      len != DATELEN || ((unsigned char *)data)[0] != DATED)
    return -1;
  for (i = 1; i < DATELEN; i++)
    date = date << 8 | ((unsigned char *)data)[i];
  return (int64_t)date;
}

/* What is resumed is resumed again, under TLS 1.3 for ever: so each session
 * knows when it began, with certificates that somebody has looked at. */
void tls_ticket_date(SSL_SESSION *session) {
  uint64_t begun = (uint64_t)time(NULL);
  unsigned char data[DATELEN] = {DATED};
  int i;
  for (i = 1; i < DATELEN; i++)
    data[i] = (unsigned char)(begun >> (64 - 8 * i));
  if (date_of(session) < 0)
    SSL_SESSION_set1_ticket_appdata(session, data, sizeof data);
}

static bool has_expired(const SSL_SESSION *session) {
  X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)session);
  return cert != NULL && X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0;
}

long tls_ticket_left(const struct tls_context *c, const SSL_SESSION *session) {
  long hint = (long)SSL_SESSION_get_ticket_lifetime_hint(session);
  int64_t begun = date_of(session), at = (int64_t)time(NULL);
  long left, age = (long)(at - SSL_SESSION_get_time(session));
  if (c->tickets == NULL || begun < 0 || at < begun ||
      !SSL_SESSION_is_resumable(session) || has_expired(session))
    return 0;
  left = c->tickets->lifetime - (long)(at - begun);
  return hint > 0 && hint - age < left ? hint - age : left;
}

/* A ticket is made: under TLS 1.3 a session begins with each. */
static int make_ticket(SSL *ssl, void *arg) {
  SSL_SESSION *session = SSL_get_session(ssl);
  tls_ticket_date(session);
  if (SSL_version(ssl) == TLS1_3_VERSION) {
    long left = tls_ticket_left(arg, session);
    SSL_SESSION_set_timeout(session, left > 0 ? left : 0);
  }
  return 1;
}

static SSL_TICKET_RETURN open_ticket(SSL *ssl, SSL_SESSION *session,
                                     const unsigned char *name, size_t len,
                                     SSL_TICKET_STATUS status, void *arg) {
  (void)ssl;
  (void)name;
  (void)len;
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (tls_ticket_left(arg, session) <= 0)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
                                      : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- under what ---- */

static void set_scope(unsigned char scope[HASHLEN], const void *text,
                      size_t len, const void *more, size_t morelen) {
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  memset(scope, 0, HASHLEN);
  if (md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
      EVP_DigestUpdate(md, text, len) == 1 &&
      EVP_DigestUpdate(md, more, morelen) == 1)
    EVP_DigestFinal_ex(md, scope, NULL);
  EVP_MD_CTX_free(md);
}

int tls_tickets_scope(struct tls_context *c, const void *text, size_t len) {
  set_scope(c->scope, text, len, "", 0);
  return SSL_CTX_set_session_id_context(c->ctx, c->scope, HASHLEN) == 1 ? 0
                                                                        : -1;
}

void tls_tickets_choose(SSL *ssl, const struct tls_context *c,
                        const char *name) {
  unsigned char scope[HASHLEN];
  set_scope(scope, c->scope, HASHLEN, name, strlen(name));
  SSL_set_session_id_context(ssl, scope, HASHLEN);
  if (c->tickets == NULL) {
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
    SSL_set_num_tickets(ssl, 0);
  }
}

/* ---- settings ---- */

int tls_tickets_setup(struct tls_context *c) {
  struct tls_tickets *t = OPENSSL_zalloc(sizeof *t);
  c->tickets = t;
  if (t == NULL || RAND_priv_bytes(t->secrets[0], HASHLEN) != 1)
    return -1;
  t->n = 1;
  tls_tickets_lifetime(c, TLS_LIFETIME);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ctx, with_keys);
  SSL_CTX_set_session_ticket_cb(c->ctx, make_ticket, open_ticket, c);
  return tls_tickets_scope(c, "", 0);
}

void tls_tickets_close(struct tls_context *c) {
  OPENSSL_clear_free(c->tickets, sizeof *c->tickets);
  c->tickets = NULL;
}

int tls_tickets_secrets(struct tls_context *c, const struct tls_secret *list,
                        int n) {
  static const char salt[] = "neap ticket secret";
  struct tls_tickets *t = c->tickets;
  int i;
  memset(t->keys, 0, sizeof t->keys);
  for (i = 0; i < n; i++) /* HKDF-Extract */
    if (!hmac(salt, sizeof salt - 1, list[i].bytes, list[i].len, t->secrets[i]))
      return -1;
  t->n = n;
  return 0;
}

void tls_tickets_inherit(struct tls_context *c,
                         const struct tls_context *from) {
  if (c->tickets == NULL || from->tickets == NULL)
    return;
  c->tickets->n = from->tickets->n;
  memcpy(c->tickets->secrets, from->tickets->secrets,
         sizeof c->tickets->secrets);
}

void tls_tickets_lifetime(struct tls_context *c, long seconds) {
  c->tickets->lifetime = seconds;
  SSL_CTX_set_timeout(c->ctx, seconds);
}

/* Without tickets sessions would be kept by their numbers: nor are they. */
void tls_tickets_off(struct tls_context *c) {
  tls_tickets_close(c);
  SSL_CTX_set_options(c->ctx, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(c->ctx, 0);
  SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
}
