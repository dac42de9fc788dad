/* SPDX-License-Identifier: MIT
 * The sessions that a client may resume, by the names of its peers. Those of
 * TLS 1.3 are used once, or who watches could tell that two connections are
 * one client's (RFC 8446 section C.4): so several are kept of each name. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/context.h"
#include "tls/session.h"
#include "tls/ticket.h"

enum { OF_ONE = 4 }; /* how many of one name */

static bool is_of(const struct tls_kept *k, const char *name) {
  return strcmp(k->name, name) == 0;
}

static void forget(struct tls_context *c, int i) {
  free(c->kept[i].name);
  SSL_SESSION_free(c->kept[i].session);
  c->nkept--;
  memmove(c->kept + i, c->kept + i + 1,
          (size_t)(c->nkept - i) * sizeof *c->kept);
}

/* Of a name: the oldest are forgotten until so many are left. */
static void leave(struct tls_context *c, const char *name, int most) {
  int i, n = 0;
  for (i = 0; i < c->nkept; i++)
    n += is_of(&c->kept[i], name);
  for (i = 0; i < c->nkept && n > most;) {
    if (is_of(&c->kept[i], name)) {
      forget(c, i);
      n--;
    } else {
      i++;
    }
  }
}

static bool is_new(const SSL_SESSION *session) { /* as of TLS 1.3 */
  return SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION;
}

static void keep(struct tls_context *c, const char *name,
                 SSL_SESSION *session) {
  struct tls_kept k;
  if (c->kept == NULL)
    c->kept = malloc(TLS_KEPT * sizeof *c->kept);
  k.name = c->kept != NULL ? strdup(name) : NULL;
  if (k.name == NULL)
    return;
  leave(c, name, is_new(session) ? OF_ONE - 1 : 0);
  if (c->nkept == TLS_KEPT)
    forget(c, 0);
  SSL_SESSION_up_ref(session);
  k.session = session;
  c->kept[c->nkept++] = k;
}

/* OpenSSL has a ticket of the server's: returns 0, it keeps its reference. What
 * a key made is not kept: the key is as quick, and asked for again. */
static int new_session(SSL *ssl, SSL_SESSION *session) {
  struct tls_session *s = SSL_get_app_data(ssl);
  if (s == NULL || s->name == NULL || s->context->tickets == NULL ||
      SSL_is_server(ssl) || SSL_SESSION_get0_peer(session) == NULL)
    return 0;
  tls_ticket_date(session);
  if (tls_ticket_left(s->context, session) > 0)
    keep(s->context, s->name, session);
  return 0;
}

void tls_kept_offer(struct tls_context *c, SSL *ssl, const char *name) {
  int i;
  for (i = c->nkept - 1; i >= 0; i--) {
    SSL_SESSION *session = c->kept[i].session;
    bool good;
    if (!is_of(&c->kept[i], name))
      continue;
    good = tls_ticket_left(c, session) > 0;
    if (good)
      SSL_set_session(ssl, session);
    if (!good || is_new(session))
      forget(c, i);
    if (good)
      return;
  }
}

void tls_kept_setup(struct tls_context *c) {
  SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT |
                                           SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(c->ctx, new_session);
}

void tls_kept_close(struct tls_context *c) {
  while (c->nkept > 0)
    forget(c, c->nkept - 1);
  free(c->kept);
  c->kept = NULL;
}
