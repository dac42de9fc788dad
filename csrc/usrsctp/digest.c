/* SPDX-License-Identifier: MIT */
#include "usrsctp/digest.h"

#include <string.h>
#include <usrsctp.h>

/* ---- SipHash-2-4 ---- */

static uint64_t rotated(uint64_t x, unsigned by) {
  return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], int n) {
  while (n-- > 0) {
    v[0] += v[1];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[0] = rotated(v[0], 32);
    v[2] += v[3];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
  }
}

static void take(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  rounds(v, 2);
  v[0] ^= word;
}

uint64_t us_siphash(const uint64_t key[2], const void *bytes, size_t len) {
  uint64_t v[4] = {0x736f6d6570736575 ^ key[0], 0x646f72616e646f6d ^ key[1],
                   0x6c7967656e657261 ^ key[0], 0x7465646279746573 ^ key[1]};
  const unsigned char *p = bytes;
  uint64_t last = (uint64_t)len << 56, word;
  size_t i, left = len % 8;
  for (; len >= 8; len -= 8, p += 8) {
    memcpy(&word, p, 8);
    take(v, word);
  }
  for (i = 0; i < left; i++)
    last |= (uint64_t)p[i] << (8 * i);
  take(v, last);
  v[2] ^= 0xff;
  rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- CRC-32C ---- */

#if defined(__x86_64__) && defined(__GNUC__)

/* With the processor's own instruction, where it has it. */
__attribute__((target("sse4.2"))) static uint32_t
crc_by_instruction(const unsigned char *p, size_t len) {
  uint64_t crc = 0xffffffff;
  for (; len >= 8; len -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  while (len-- > 0)
    crc = __builtin_ia32_crc32qi((uint32_t)crc, *p++);
  return ~(uint32_t)crc;
}

uint32_t us_crc32c(void *bytes, size_t len) {
  static int known;
  if (known == 0)
    known = __builtin_cpu_supports("sse4.2") ? 1 : -1;
  return known > 0 ? crc_by_instruction(bytes, len)
                   : usrsctp_crc32c(bytes, len);
}

#else

uint32_t us_crc32c(void *bytes, size_t len) {
  return usrsctp_crc32c(bytes, len);
}

#endif
