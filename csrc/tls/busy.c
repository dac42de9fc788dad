/* SPDX-License-Identifier: MIT
 * OpenSSL's buffers, 17 kB in each direction. To get them and to give them back
 * with each record costs a short one dearly; so some sessions of a context, of
 * those that are used most, keep theirs, and all the others have none. */
#include "tls/context.h"
#include "tls/session.h"

static void rest(struct tls_session *s) {
  s->busy = false;
  SSL_set_mode(s->ssl, SSL_MODE_RELEASE_BUFFERS);
  if (!s->reading) /* by a session under it, it may be us who have begun */
    SSL_free_buffers(s->ssl); /* or later, if there is something in them */
}

/* A place is free for another once nobody used it while the hand went around,
 * as on a clock: were the oldest free always, one more than there are places
 * for would take them all from each other in turn. */
static void begin(struct tls_session *s) {
  struct tls_context *c = s->context;
  unsigned place = c->nextbusy;
  struct tls_session *old = c->busy[place];
  c->nextbusy = (place + 1) % TLS_BUSY;
  if (old != NULL && old->used) {
    old->used = false;
    return;
  }
  if (old != NULL)
    rest(old);
  c->busy[place] = s;
  s->place = place;
  s->busy = true;
  SSL_clear_mode(s->ssl, SSL_MODE_RELEASE_BUFFERS);
}

void tls_busy_use(struct tls_session *s) {
  s->used = true;
  if (!s->busy)
    begin(s);
}

void tls_busy_end(struct tls_session *s) {
  if (s->busy)
    s->context->busy[s->place] = NULL;
  s->busy = false;
}
