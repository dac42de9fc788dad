/* SPDX-License-Identifier: MIT
 * WebSocket frames (RFC 6455, 5): headers, their rules, masks, and the check
 * of text that comes in pieces. */
#ifndef NEAP_HTTP_FRAME_H
#define NEAP_HTTP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
  WS_CONTINUATION,
  WS_TEXT,
  WS_BINARY,
  WS_CLOSE = 8,
  WS_PING,
  WS_PONG,
};

enum {
  WS_HEADER_MAX = 14,
  WS_CONTROL_MAX = 125, /* bytes of a control frame */
  WS_PROTOCOL = 1002,   /* codes of closing */
  WS_BAD_TEXT = 1007,
  WS_TOO_BIG = 1009,
};

struct ws_header {
  uint64_t length;
  uint8_t opcode, rsv; /* rsv: 4, 2, 1 for RSV1 to RSV3 */
  bool fin, masked;
  uint8_t key[4];
  uint8_t size; /* bytes of the header */
};

/* What one side receives. */
struct ws_rules {
  uint64_t most;   /* bytes of a message */
  uint8_t rsv;     /* the bits that an extension uses, in a first frame */
  bool masked;     /* frames must be (a server's rule), or must not be */
  uint8_t open;    /* the opcode of a message whose frames go on, or 0 */
  uint64_t so_far; /* bytes of it */
  const char *why;
};

/* HTTP_DONE, HTTP_MORE, or minus a code of closing, then rules->why is set.
 * A frame that is accepted counts in the rules. */
int ws_header(struct ws_rules *rules, const char *bytes, size_t n,
              struct ws_header *h);

/* Writes a header (h->size is set, too); returns its size. */
size_t ws_header_put(char to[WS_HEADER_MAX], struct ws_header *h);

/* Masks or unmasks n bytes, which lie `at` bytes into the payload; `to` may
 * be `from`. */
void ws_mask(char *to, const char *from, size_t n, const uint8_t key[4],
             uint64_t at);

/* Is this what a close frame may carry? HTTP_DONE or minus a code. */
int ws_close(const char *bytes, size_t n, const char **why);

/* UTF-8 in pieces; all 0 at first. */
struct utf8 {
  uint8_t need;      /* bytes that the character still lacks */
  uint8_t low, high; /* what the next may be */
};

/* False if this is no UTF-8, whatever follows. */
bool utf8_feed(struct utf8 *u, const char *bytes, size_t n);

/* Does it end with a whole character? */
static inline bool utf8_whole(const struct utf8 *u) {
  return u->need == 0;
}

#endif
