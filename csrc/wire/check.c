/* SPDX-License-Identifier: MIT */
#include "wire/check.h"

#include "wire/sum.h"

static uint32_t sum_of(const struct wire_field *f,
                       const struct wire_summed *s) {
  size_t n = s->n;
  if (f->unit == WIRE_SUM_HEADER || f->unit == WIRE_SUM_ALL ||
      f->unit == WIRE_SUM_GROUP)
    return wire_sum(s->bytes, n, 0);
  if (f->unit == WIRE_SUM_LITE && s->lite > 0 && s->lite < n)
    n = s->lite;
  return wire_sum(s->bytes, n,
                  wire_pseudo(s->ends.src, s->ends.dst, s->ends.size,
                              (unsigned)f->bias, s->n));
}

static bool has_pseudo(const struct wire_field *f) {
  return f->unit == WIRE_SUM_PSEUDO || f->unit == WIRE_SUM_UDP ||
         f->unit == WIRE_SUM_LITE;
}

/* SCTP's, over the bytes with the checksum as 0, in the order of the wire. */
static uint32_t crc_of(const struct wire_summed *s) {
  static const uint8_t zero[4];
  uint32_t crc = wire_crc32c(s->bytes, s->at, 0);
  crc = wire_crc32c(zero, sizeof zero, crc);
  crc = wire_crc32c(s->bytes + s->at + 4, s->n - s->at - 4, crc);
  return wire_swapped(crc);
}

bool wire_check(const struct wire_field *f, const struct wire_summed *s) {
  uint32_t told;
  if (f->unit == WIRE_SUM_CRC32C)
    return crc_of(s) == wire_32(s->bytes + s->at);
  told = wire_16(s->bytes + s->at);
  if (f->unit == WIRE_SUM_IPX)
    return told == 0xffff || told == wire_ipxsum(s->bytes, s->n);
  if (f->unit == WIRE_SUM_UDP && told == 0)
    return true;
  if (has_pseudo(f) && s->ends.size == 0)
    return true;
  return sum_of(f, s) == 0xffff;
}

uint32_t wire_checksum(const struct wire_field *f,
                       const struct wire_summed *s) {
  uint32_t sum;
  if (f->unit == WIRE_SUM_CRC32C)
    return crc_of(s);
  if (f->unit == WIRE_SUM_IPX)
    return 0xffff;
  if (has_pseudo(f) && s->ends.size == 0)
    return 0;
  sum = ~sum_of(f, s) & 0xffff;
  return sum == 0 && f->unit != WIRE_SUM_PSEUDO && has_pseudo(f) ? 0xffff : sum;
}
