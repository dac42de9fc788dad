/* SPDX-License-Identifier: MIT
 * A server's names: which context is for whom. */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "tls/context.h"
#include "tls/early.h"
#include "tls/psk.h"
#include "tls/session.h"
#include "tls/ticket.h"

/* A wildcard stands for the whole left-most label. */
static bool name_matches(const char *pattern, const char *name) {
  const char *dot = strchr(name, '.');
  return pattern[0] == '*' && dot != NULL && dot != name &&
         OPENSSL_strcasecmp(pattern + 1, dot) == 0;
}

/* An exact name comes before a pattern. */
static const struct tls_names *find_name(const struct tls_context *c,
                                         const char *name) {
  const struct tls_names *n;
  for (n = c->names; n != NULL; n = n->next)
    if (OPENSSL_strcasecmp(n->name, name) == 0)
      return n;
  for (n = c->names; n != NULL; n = n->next)
    if (name_matches(n->name, name))
      return n;
  return NULL;
}

/* What is taken early has its room already. */
static uint32_t early_of(const struct tls_session *s,
                         const struct tls_context *of) {
  size_t room = s->early != NULL ? s->early->room - 1 : 0;
  return of->maxearly < room ? of->maxearly : (uint32_t)room;
}

/* All that is said of clients changes with the name; and what was resumable
 * under one name is not under another (its own session id context). */
static void change_context(SSL *ssl, const struct tls_context *of,
                           const char *name) {
  struct tls_session *s = SSL_get_app_data(ssl);
  SSL_set_SSL_CTX(ssl, of->ctx);
  s->verifies = of->asks != SSL_VERIFY_NONE;
  SSL_set_verify(ssl, of->asks, NULL);
  SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(of->ctx));
  SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(of->ctx));
  SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(of->ctx));
  SSL_set_max_early_data(ssl, early_of(s, of));
  tls_tickets_choose(ssl, of, name);
  tls_psk_choose(ssl, of);
}

/* The host name in the extension of a ClientHello (RFC 6066 section 3), into
 * a buffer that has room for any; false if there is none. */
static bool hello_name(SSL *ssl, char name[256]) {
  const unsigned char *p;
  size_t len, n;
  if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) ||
      len < 5 || p[2] != TLSEXT_NAMETYPE_host_name)
    return false;
  n = (size_t)p[3] << 8 | p[4];
  if (n == 0 || n > 255 || n > len - 5 || memchr(p + 5, '\0', n) != NULL)
    return false;
  memcpy(name, p + 5, n);
  if (name[n - 1] == '.')
    n--;
  name[n] = '\0';
  return true;
}

static void hear(SSL *ssl, struct tls_session *s) {
  char name[256];
  free(s->asked);
  s->asked = hello_name(ssl, name) ? strdup(name) : NULL;
}

/* Whom it is for was decided by the first ClientHello. The second, after a
 * HelloRetryRequest, must say the same (RFC 8446 section 4.1.2): what OpenSSL
 * tells of the name later is of that one. */
static int hear_again(SSL *ssl, int *alert, const struct tls_session *s) {
  char name[256];
  bool named = hello_name(ssl, name);
  if (named == (s->asked != NULL) && (!named || strcmp(name, s->asked) == 0))
    return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_ILLEGAL_PARAMETER;
  return SSL_CLIENT_HELLO_ERROR;
}

/* Before anything is decided, resuming included. */
static int choose_context(SSL *ssl, int *alert, void *arg) {
  struct tls_session *s = SSL_get_app_data(ssl);
  const struct tls_names *n;
  if (s->heard)
    return hear_again(ssl, alert, s);
  s->heard = true;
  hear(ssl, s);
  n = s->asked != NULL ? find_name(arg, s->asked) : NULL;
  if (n != NULL)
    change_context(ssl, n->of, n->name);
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* Pauses once, then does what was decided. */
static int ask_context(SSL *ssl, int *alert, void *arg) {
  struct tls_session *s = SSL_get_app_data(ssl);
  (void)arg;
  if (s->heard)
    return hear_again(ssl, alert, s);
  if (!s->answered) {
    hear(ssl, s);
    return SSL_CLIENT_HELLO_RETRY;
  }
  if (s->answer == NULL) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_CLIENT_HELLO_ERROR;
  }
  s->heard = true;
  if (s->answer != s->context)
    change_context(ssl, s->answer, s->asked != NULL ? s->asked : "");
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* Where there are no names: it may have been chosen by one. */
static int keep_context(SSL *ssl, int *alert, void *arg) {
  struct tls_session *s = SSL_get_app_data(ssl);
  (void)arg;
  return s->heard ? hear_again(ssl, alert, s) : SSL_CLIENT_HELLO_SUCCESS;
}

void tls_names_setup(struct tls_context *c) {
  SSL_CTX_set_client_hello_cb(c->ctx, keep_context, c);
}

void tls_context_asknames(struct tls_context *c) {
  SSL_CTX_set_client_hello_cb(c->ctx, ask_context, c);
}

int tls_context_name(struct tls_context *c, const char *name, size_t len,
                     struct tls_context *of) {
  struct tls_names *n = malloc(sizeof *n + len + 1);
  if (n == NULL)
    return -1;
  memcpy(n->name, name, len);
  n->name[len] = '\0';
  n->of = of;
  n->ctx = of->ctx;
  SSL_CTX_up_ref(n->ctx);
  n->next = c->names;
  c->names = n;
  SSL_CTX_set_client_hello_cb(c->ctx, choose_context, c);
  return 0;
}

void tls_names_close(struct tls_context *c) {
  while (c->names != NULL) {
    struct tls_names *n = c->names;
    c->names = n->next;
    SSL_CTX_free(n->ctx);
    free(n);
  }
}
