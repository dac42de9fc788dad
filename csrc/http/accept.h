/* SPDX-License-Identifier: MIT
 * The proof that a server understood a WebSocket's request. */
#ifndef NEAP_HTTP_ACCEPT_H
#define NEAP_HTTP_ACCEPT_H

#include <stddef.h>
#include <stdint.h>

enum { WS_ACCEPT_LEN = 28, SHA1_LEN = 20 };

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455, 4.2.2). */
void ws_accept(char to[WS_ACCEPT_LEN], const char *key, size_t n);

/* SHA-1, which is good for this and nothing else. */
void sha1(uint8_t to[SHA1_LEN], const char *bytes, size_t n);

#endif
