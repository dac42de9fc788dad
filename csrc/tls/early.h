/* SPDX-License-Identifier: MIT
 * Data before the handshake is over (RFC 8446 section 2.3). Whoever has
 * recorded it can send it once more. */
#ifndef NEAP_TLS_EARLY_H
#define NEAP_TLS_EARLY_H

#include "tls/session.h"

struct tls_early {
  bool over;      /* all was sent, or has come */
  size_t len, at; /* of which `at` were sent */
  size_t room;
  char data[];
};

/* Servers: so many bytes are taken, by sessions that are made from then on; a
 * ticket is good for one connection then. */
int tls_context_early(struct tls_context *c, uint32_t most);

/* Before the handshake. Servers: takes what the context allows. Clients: sends
 * these bytes, if the session that is resumed allows so many. 0 or -1. */
int tls_early_accept(struct tls_session *s);
int tls_early_send(struct tls_session *s, const char *data, size_t len);

bool tls_early_due(const struct tls_session *s);

/* What comes first in a handshake: 1 when it is over, or as SSL_do_handshake
 * has it. */
int tls_early_step(struct tls_session *s);

#endif
