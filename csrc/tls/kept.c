/* SPDX-License-Identifier: MIT
 * The sessions that a client may resume, by the names of its peers. */
#include <stdlib.h>
#include <string.h>

#include "tls/context.h"
#include "tls/session.h"

SSL_SESSION *tls_context_resumable(struct tls_context *c, const char *name) {
  int i;
  for (i = 0; i < TLS_KEPT; i++)
    if (c->kept[i].name != NULL && strcmp(c->kept[i].name, name) == 0)
      return c->kept[i].session;
  return NULL;
}

static void forget(struct tls_kept *k) {
  free(k->name);
  SSL_SESSION_free(k->session);
  k->name = NULL;
  k->session = NULL;
}

void tls_context_keep(struct tls_context *c, const char *name,
                      SSL_SESSION *session) {
  struct tls_kept *k = NULL;
  int i;
  for (i = 0; i < TLS_KEPT && k == NULL; i++)
    if (c->kept[i].name != NULL && strcmp(c->kept[i].name, name) == 0)
      k = &c->kept[i];
  if (k == NULL)
    k = &c->kept[c->oldest++ % TLS_KEPT];
  forget(k);
  k->name = strdup(name);
  if (k->name == NULL)
    return;
  SSL_SESSION_up_ref(session);
  k->session = session;
}

/* OpenSSL has a ticket of the server's: returns 0, it keeps its reference. */
static int new_session(SSL *ssl, SSL_SESSION *session) {
  struct tls_session *s = SSL_get_app_data(ssl);
  if (s != NULL && s->name != NULL)
    tls_context_keep(s->context, s->name, session);
  return 0;
}

void tls_kept_setup(struct tls_context *c) {
  SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_BOTH |
                                           SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(c->ctx, new_session);
}

void tls_kept_close(struct tls_context *c) {
  int i;
  for (i = 0; i < TLS_KEPT; i++)
    forget(&c->kept[i]);
}
