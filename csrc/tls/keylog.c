/* SPDX-License-Identifier: MIT
 * The secrets of sessions, told to who wants to read what was recorded. */
#include "tls/context.h"
#include "tls/session.h"

static void tell(const SSL *ssl, const char *line) {
  const struct tls_functions *f = &tls_context_of(ssl)->functions;
  struct tls_session *s = SSL_get_app_data(ssl);
  char text[TLS_TEXTLEN];
  if (s->raised)
    return;
  s->inside = true;
  s->raised = f->keylog(f->arg, line, text, sizeof text) < 0;
  s->inside = false;
  if (s->raised)
    tls_session_say(s, "%s", text);
  s->raised = s->raised || s->doomed;
}

void tls_context_keylog(struct tls_context *c) {
  SSL_CTX_set_keylog_callback(c->ctx, tell);
}
