/* SPDX-License-Identifier: MIT
 * The proof that a server understood a WebSocket's request: SHA-1 and base64,
 * so that a WebSocket needs no library of cryptography. */
#include "http/accept.h"

#include <string.h>

enum { BLOCK = 64 };

static uint32_t turn(uint32_t x, unsigned by) {
  return x << by | x >> (32 - by);
}

static void sha1_block(uint32_t state[5], const uint8_t block[BLOCK]) {
  static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc,
                                       0xca62c1d6};
  uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4];
  unsigned i;
  for (i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
           (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (; i < 80; i++)
    w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  for (i = 0; i < 80; i++) {
    uint32_t f = i < 20              ? ((b & c) | (~b & d))
                 : i >= 40 && i < 60 ? ((b & c) | (b & d) | (c & d))
                                     : b ^ c ^ d;
    uint32_t next = turn(a, 5) + f + e + constants[i / 20] + w[i];
    e = d;
    d = c;
    c = turn(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

void sha1(uint8_t to[SHA1_LEN], const char *bytes, size_t n) {
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                       0xc3d2e1f0};
  uint8_t last[2 * BLOCK] = {0};
  uint64_t bits = (uint64_t)n * 8;
  size_t i, size;
  for (; n >= BLOCK; n -= BLOCK, bytes += BLOCK)
    sha1_block(state, (const uint8_t *)bytes);
  if (n > 0)
    memcpy(last, bytes, n);
  last[n] = 0x80;
  size = n + 9 > BLOCK ? 2 * BLOCK : BLOCK;
  for (i = 0; i < 8; i++)
    last[size - 1 - i] = (uint8_t)(bits >> (8 * i));
  for (i = 0; i < size; i += BLOCK)
    sha1_block(state, last + i);
  for (i = 0; i < SHA1_LEN; i++)
    to[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_accept(char to[WS_ACCEPT_LEN], const char *key, size_t n) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char text[24 + sizeof guid];
  uint8_t hash[SHA1_LEN + 1] = {0};
  unsigned i;
  n = n < 24 ? n : 24; /* a key is 24 bytes long */
  memcpy(text, key, n);
  memcpy(text + n, guid, sizeof guid - 1);
  sha1(hash, text, n + sizeof guid - 1);
  for (i = 0; i < WS_ACCEPT_LEN; i++) {
    unsigned bit = 6 * i, at = bit / 8;
    unsigned pair =
      (unsigned)hash[at] << 8 | (at < SHA1_LEN ? hash[at + 1] : 0);
    to[i] = digits[pair >> (10 - bit % 8) & 63];
  }
  to[WS_ACCEPT_LEN - 1] = '=';
}
