/* SPDX-License-Identifier: MIT
 * WebSocket frames. */
#include "http/frame.h"

#include <string.h>

#include "http/head.h"

static int fail(struct ws_rules *r, int code, const char *why) {
  r->why = why;
  return -code;
}

/* The rules that concern the first two bytes. */
static int first_bytes(struct ws_rules *r, const struct ws_header *h,
                       unsigned length) {
  bool control = h->opcode >= WS_CLOSE;
  if ((h->opcode > WS_BINARY && !control) || h->opcode > WS_PONG)
    return fail(r, WS_PROTOCOL, "unknown opcode");
  if (h->rsv & ~r->rsv || (h->rsv && (control || h->opcode == 0)))
    return fail(r, WS_PROTOCOL, "a reserved bit is set");
  if (h->masked != r->masked)
    return fail(r, WS_PROTOCOL,
                r->masked ? "a frame without a mask" : "a frame with a mask");
  if (control && (!h->fin || length > WS_CONTROL_MAX))
    return fail(r, WS_PROTOCOL, "a control frame in fragments, or too long");
  if (!control && (h->opcode == WS_CONTINUATION) != (r->open != 0))
    return fail(r, WS_PROTOCOL,
                r->open ? "a message within a message"
                        : "a continuation of nothing");
  return HTTP_DONE;
}

static uint64_t big_endian(const uint8_t *p, unsigned n) {
  uint64_t value = 0;
  while (n-- > 0)
    value = value << 8 | *p++;
  return value;
}

/* The length, of which the second byte is the first. */
static int length(struct ws_rules *r, struct ws_header *h, const uint8_t *p,
                  unsigned short_length, unsigned more) {
  h->length = more > 0 ? big_endian(p, more) : short_length;
  if ((more == 2 && h->length <= WS_CONTROL_MAX) ||
      (more == 8 && h->length <= UINT16_MAX))
    return fail(r, WS_PROTOCOL, "a length that is not the shortest");
  if (h->length > INT64_MAX)
    return fail(r, WS_PROTOCOL, "a length of 64 bits");
  if (h->opcode < WS_CLOSE && h->length > r->most - r->so_far)
    return fail(r, WS_TOO_BIG, "the message is too long");
  return HTTP_DONE;
}

int ws_header(struct ws_rules *rules, const char *bytes, size_t n,
              struct ws_header *h) {
  const uint8_t *p = (const uint8_t *)bytes;
  unsigned short_length, more;
  int done;
  if (n < 2)
    return HTTP_MORE;
  *h = (struct ws_header){
    .opcode = p[0] & 15,
    .rsv = p[0] >> 4 & 7,
    .fin = p[0] >> 7,
    .masked = p[1] >> 7,
  };
  short_length = p[1] & 127;
  done = first_bytes(rules, h, short_length);
  if (done < 0)
    return done;
  more = short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
  if (n < 2 + more)
    return HTTP_MORE;
  done = length(rules, h, p + 2, short_length, more);
  if (done < 0)
    return done;
  h->size = (uint8_t)(2 + more + (h->masked ? 4 : 0));
  if (n < h->size)
    return HTTP_MORE;
  if (h->masked)
    memcpy(h->key, p + 2 + more, 4);
  if (h->opcode < WS_CLOSE) {
    rules->so_far = h->fin ? 0 : rules->so_far + h->length;
    rules->open = h->fin ? 0 : rules->open ? rules->open : h->opcode;
  }
  return HTTP_DONE;
}

size_t ws_header_put(char to[WS_HEADER_MAX], struct ws_header *h) {
  uint8_t *p = (uint8_t *)to;
  unsigned more = h->length <= WS_CONTROL_MAX ? 0
                  : h->length <= UINT16_MAX   ? 2
                                              : 8;
  unsigned i;
  p[0] = (uint8_t)((h->fin ? 0x80 : 0) | h->rsv << 4 | h->opcode);
  p[1] = more == 0 ? (uint8_t)h->length : more == 2 ? 126 : 127;
  p[1] |= h->masked ? 0x80 : 0;
  for (i = 0; i < more; i++)
    p[2 + i] = (uint8_t)(h->length >> (8 * (more - 1 - i)));
  if (h->masked)
    memcpy(p + 2 + more, h->key, 4);
  h->size = (uint8_t)(2 + more + (h->masked ? 4 : 0));
  return h->size;
}

void ws_mask(char *to, const char *from, size_t n, const uint8_t key[4],
             uint64_t at) {
  uint8_t turned[8];
  uint64_t mask, word;
  size_t i;
  for (i = 0; i < 8; i++)
    turned[i] = key[(at + i) % 4];
  memcpy(&mask, turned, sizeof mask);
  for (i = 0; i + 8 <= n; i += 8) {
    memcpy(&word, from + i, sizeof word);
    word ^= mask;
    memcpy(to + i, &word, sizeof word);
  }
  for (; i < n; i++)
    to[i] = (char)(from[i] ^ turned[i % 8]);
}

int ws_close(const char *bytes, size_t n, const char **why) {
  struct utf8 text = {0};
  unsigned code;
  if (n == 0)
    return HTTP_DONE;
  *why = "malformed close frame";
  if (n == 1)
    return -WS_PROTOCOL;
  code = (unsigned)big_endian((const uint8_t *)bytes, 2);
  *why = "a close code that must not be sent";
  if (code < 1000 || code > 4999 || (code >= 1004 && code <= 1006) ||
      (code >= 1015 && code <= 2999))
    return -WS_PROTOCOL;
  *why = "the reason is not UTF-8";
  if (!utf8_feed(&text, bytes + 2, n - 2) || !utf8_whole(&text))
    return -WS_BAD_TEXT;
  return HTTP_DONE;
}

/* What may follow the first byte of a longer character (RFC 3629, 4). */
static bool utf8_first(struct utf8 *u, uint8_t byte) {
  u->low = 0x80;
  u->high = 0xbf;
  if (byte >= 0xc2 && byte <= 0xdf) {
    u->need = 1;
  } else if (byte >= 0xe0 && byte <= 0xef) {
    u->need = 2;
    u->low = byte == 0xe0 ? 0xa0 : 0x80;  /* else it would be overlong */
    u->high = byte == 0xed ? 0x9f : 0xbf; /* else a surrogate */
  } else if (byte >= 0xf0 && byte <= 0xf4) {
    u->need = 3;
    u->low = byte == 0xf0 ? 0x90 : 0x80;
    u->high = byte == 0xf4 ? 0x8f : 0xbf; /* else above U+10FFFF */
  } else {
    return false;
  }
  return true;
}

bool utf8_feed(struct utf8 *u, const char *bytes, size_t n) {
  const uint8_t *p = (const uint8_t *)bytes, *end = p + n;
  uint64_t word;
  while (p < end) {
    if (u->need > 0) {
      if (*p < u->low || *p > u->high)
        return false;
      u->need--;
      u->low = 0x80;
      u->high = 0xbf;
      p++;
      continue;
    }
    for (; end - p >= 8; p += 8) {
      memcpy(&word, p, sizeof word);
      if (word & 0x8080808080808080)
        break;
    }
    while (p < end && *p < 0x80)
      p++;
    if (p < end && !utf8_first(u, *p++))
      return false;
  }
  return true;
}
