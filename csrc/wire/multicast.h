/* SPDX-License-Identifier: MIT
 * What IGMPv3 (RFC 3376) and MLDv2 (RFC 3810) have in common. */
#ifndef NEAP_WIRE_MULTICAST_H
#define NEAP_WIRE_MULTICAST_H

#include "wire/field.h"

/* The end of a query that has three fields before it. */
#define QUERY(address_) \
  RESERVED("reserved", 4), BIT("suppress"), UINT("qrv", 3), UINT("qqic", 8), \
    UINT("source_count", 16), \
    FIELD("sources", LIST, 0, .more = &address_, .by = 8, .unit = 1)

#define RECORD(group_, address_) \
  UINT("type", 8), UINT("aux_length", 8), UINT("source_count", 16), group_, \
    FIELD("sources", LIST, 0, .more = &address_, .by = 3, .unit = 1), \
    FIELD("aux_data", BYTES, 0, .by = 2, .unit = 4, .quiet = true)

#endif
