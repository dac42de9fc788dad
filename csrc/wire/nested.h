/* SPDX-License-Identifier: MIT
 * What the errors of ICMP and ICMPv6 end in: the packet that they are about,
 * whose length may be told, and then an extension behind it (RFC 4884). */
#ifndef NEAP_WIRE_NESTED_H
#define NEAP_WIRE_NESTED_H

#include "wire/field.h"

extern const struct wire_table wire_extension;

#define ORIGINAL_LENGTH(unit_) \
  FIELD("length", UINT, 8, .role = WIRE_ORIGINAL, .unit = unit_, .quiet = true)
#define NESTED FIELD("original", NESTED, 0, .quiet = true)
#define ORIGINAL \
  NESTED, FIELD("extension", GROUP, 0, .more = &wire_extension, .quiet = true)

#endif
