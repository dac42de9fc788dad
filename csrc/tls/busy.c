/* SPDX-License-Identifier: MIT
 * OpenSSL's buffers, 17 kB in each direction. To get them and to give them back
 * with each record costs a short one dearly; so the sessions of a context that
 * were used last keep theirs, and all the others have none. */
#include "tls/context.h"
#include "tls/session.h"

static void rest(struct tls_session *s) {
  s->busy = false;
  SSL_set_mode(s->ssl, SSL_MODE_RELEASE_BUFFERS);
  if (!s->reading) /* by a session under it, it may be us who have begun */
    SSL_free_buffers(s->ssl); /* or later, if there is something in them */
}

void tls_busy_begin(struct tls_session *s) {
  struct tls_context *c = s->context;
  if (c->busy[c->nextbusy] != NULL)
    rest(c->busy[c->nextbusy]);
  c->busy[c->nextbusy] = s;
  s->place = c->nextbusy;
  s->busy = true;
  SSL_clear_mode(s->ssl, SSL_MODE_RELEASE_BUFFERS);
  c->nextbusy = (c->nextbusy + 1) % TLS_BUSY;
}

void tls_busy_end(struct tls_session *s) {
  if (s->busy)
    s->context->busy[s->place] = NULL;
  s->busy = false;
}
