/* SPDX-License-Identifier: MIT */
#include "tls/psk.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/session.h"

/* A client's. */
struct tls_psk {
  size_t len;
  unsigned char key[TLS_MAXPSK];
  char identity[TLS_MAXIDENTITY + 1];
};

/* What goes with a session of TLS 1.3 that a key makes: this and the identity.
 * No ticket has it, for none is made. */
enum { KEYED = 'k' };

static SSL_SESSION *make_session(SSL *ssl, const void *key, size_t len,
                                 const char *identity, size_t idlen) {
  static const unsigned char aes128_sha256[] = {0x13, 0x01};
  char data[TLS_MAXIDENTITY + 1] = {KEYED};
  SSL_SESSION *made = SSL_SESSION_new();
  memcpy(data + 1, identity, idlen);
  if (made == NULL || SSL_SESSION_set1_master_key(made, key, len) != 1 ||
      SSL_SESSION_set_cipher(made, SSL_CIPHER_find(ssl, aes128_sha256)) != 1 ||
      SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION) != 1 ||
      SSL_SESSION_set1_ticket_appdata(made, data, idlen + 1) != 1 ||
      SSL_SESSION_set1_id_context(made, tls_context_of(ssl)->scope,
                                  TLS_SCOPELEN) != 1) {
    SSL_SESSION_free(made);
    return NULL;
  }
  return made;
}

const char *tls_psk_identity(SSL *ssl, size_t *len) {
  const char *old = SSL_get_psk_identity(ssl);
  SSL_SESSION *session = SSL_get_session(ssl);
  void *data;
  if (old != NULL) {
    *len = strlen(old);
    return old;
  }
  if (session == NULL ||
      SSL_SESSION_get0_ticket_appdata(session, &data, len) != 1 || *len == 0 ||
      ((char *)data)[0] != KEYED)
    return NULL;
  --*len;
  return (char *)data + 1;
}

/* ---- clients ---- */

/* The old callback is asked where the new one gave nothing, too: while the
 * ClientHello is made, its version is the highest. */
static bool is_new(const SSL *ssl) {
  return SSL_version(ssl) == TLS1_3_VERSION;
}

static unsigned give_old(SSL *ssl, const char *hint, char *identity,
                         unsigned room, unsigned char *key, unsigned keyroom) {
  const struct tls_psk *p = tls_context_of(ssl)->psk;
  (void)hint;
  if (is_new(ssl) || p == NULL || strlen(p->identity) >= room ||
      p->len > keyroom)
    return 0;
  strcpy(identity, p->identity);
  memcpy(key, p->key, p->len);
  return (unsigned)p->len;
}

/* md: what a HelloRetryRequest has chosen; our key goes with SHA-256. */
static int give_new(SSL *ssl, const EVP_MD *md, const unsigned char **identity,
                    size_t *len, SSL_SESSION **session) {
  const struct tls_psk *p = tls_context_of(ssl)->psk;
  *session = NULL;
  if (p == NULL || (md != NULL && EVP_MD_get_type(md) != NID_sha256))
    return 1;
  *identity = (const unsigned char *)p->identity;
  *len = strlen(p->identity);
  *session = make_session(ssl, p->key, p->len, p->identity, *len);
  return *session != NULL;
}

int tls_psk_client(struct tls_context *c, const char *identity, const void *key,
                   size_t len) {
  struct tls_psk *p = OPENSSL_zalloc(sizeof *p);
  if (p == NULL)
    return -1;
  p->len = len;
  memcpy(p->key, key, len);
  strncat(p->identity, identity, TLS_MAXIDENTITY);
  c->psk = p;
  SSL_CTX_set_psk_client_callback(c->ctx, give_old);
  SSL_CTX_set_psk_use_session_callback(c->ctx, give_new);
  return 0;
}

void tls_psk_close(struct tls_context *c) {
  OPENSSL_clear_free(c->psk, sizeof *c->psk);
  c->psk = NULL;
}

/* ---- servers ---- */

/* If the handshake fails, it is told who was not known. */
static void note(struct tls_session *s, const char *identity, size_t len) {
  size_t i;
  free(s->stranger);
  s->stranger = strndup(identity, len);
  for (i = 0; s->stranger != NULL && s->stranger[i] != '\0'; i++)
    if (s->stranger[i] < ' ' || s->stranger[i] > '~')
      s->stranger[i] = '?';
}

void tls_psk_explain(struct tls_session *s) {
  if (s->stranger != NULL)
    tls_session_say(s, "%s: there is no key of '%s'",
                    s->text != NULL ? s->text : "", s->stranger);
}

/* The key's length; 0: it is nobody's; -1: the session's text says why. */
static int find(SSL *ssl, const char *identity, size_t len,
                unsigned char key[TLS_MAXPSK]) {
  const struct tls_functions *f = &tls_context_of(ssl)->functions;
  struct tls_session *s = SSL_get_app_data(ssl);
  char text[TLS_TEXTLEN];
  int n;
  if (len == 0 || len > TLS_MAXIDENTITY || memchr(identity, '\0', len) != NULL)
    return 0;
  s->inside = true;
  n = f->psk(f->arg, identity, len, key, text, sizeof text);
  s->inside = false;
  if (n < 0)
    tls_session_say(s, "%s", text);
  s->raised = n < 0 || s->doomed;
  if (n == 0)
    note(s, identity, len);
  return s->raised ? -1 : n;
}

static unsigned find_old(SSL *ssl, const char *identity, unsigned char *key,
                         unsigned room) {
  unsigned char found[TLS_MAXPSK];
  int n = is_new(ssl) ? 0 : find(ssl, identity, strlen(identity), found);
  if (n > 0 && (unsigned)n <= room)
    memcpy(key, found, (size_t)n);
  OPENSSL_cleanse(found, sizeof found);
  return n > 0 && (unsigned)n <= room ? (unsigned)n : 0;
}

/* It may be a ticket, too. The key is asked for each time: so it can be taken
 * away at once, and there are no tickets. */
static int find_new(SSL *ssl, const unsigned char *identity, size_t len,
                    SSL_SESSION **session) {
  unsigned char key[TLS_MAXPSK];
  int n = find(ssl, (const char *)identity, len, key);
  *session = NULL;
  if (n > 0) {
    *session = make_session(ssl, key, (size_t)n, (const char *)identity, len);
    SSL_set_num_tickets(ssl, 0);
  }
  OPENSSL_cleanse(key, sizeof key);
  return n == 0 || *session != NULL;
}

int tls_psk_server(struct tls_context *c, const char *hint) {
  SSL_CTX_set_psk_server_callback(c->ctx, find_old);
  SSL_CTX_set_psk_find_session_callback(c->ctx, find_new);
  return SSL_CTX_use_psk_identity_hint(c->ctx, hint) == 1 ? 0 : -1;
}

void tls_psk_choose(SSL *ssl, const struct tls_context *c) {
  SSL_set_psk_server_callback(ssl, c->functions.psk != NULL ? find_old : NULL);
  SSL_set_psk_find_session_callback(ssl,
                                    c->functions.psk != NULL ? find_new : NULL);
}
