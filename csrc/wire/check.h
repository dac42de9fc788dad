/* SPDX-License-Identifier: MIT
 * The checksum of a layer by its field's method: verified, and computed. */
#ifndef NEAP_WIRE_CHECK_H
#define NEAP_WIRE_CHECK_H

#include "wire/field.h"

struct wire_summed {
  const uint8_t *bytes; /* the layer */
  size_t n;
  size_t at;     /* of the checksum in it */
  uint32_t lite; /* UDP-Lite: how much is covered */
  struct wire_ends ends;
};

/* Whether it is right; true also where that cannot be told. */
bool wire_check(const struct wire_field *f, const struct wire_summed *s);

/* What it must be; in the bytes it is 0. */
uint32_t wire_checksum(const struct wire_field *f, const struct wire_summed *s);

#endif
