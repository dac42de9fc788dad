/* SPDX-License-Identifier: MIT
 * What carries packets of another network: GRE (RFC 2784, 2890, 2637) and
 * VXLAN (RFC 7348). */
#include "wire/decode.h"
#include "wire/layers.h"

static const struct wire_field gre[] = {
  FIELD("checksum_present", BOOL, 1, .quiet = true),
  FIELD("routing_present", BOOL, 1, .quiet = true),
  FIELD("key_present", BOOL, 1, .quiet = true),
  FIELD("sequence_present", BOOL, 1, .quiet = true),
  RESERVED("strict_source_route", 1),
  RESERVED("recursion", 3),
  FIELD("ack_present", BOOL, 1, .quiet = true),
  RESERVED("reserved", 4),
  UINT("version", 3),
  FIELD("protocol", UINT, 16, .role = WIRE_NEXT, .unit = WIRE_ETHER),
  FIELD("checksum", UINT, 16, .role = WIRE_SUM, .unit = WIRE_SUM_ALL, .by = 1),
  FIELD("offset_field", UINT, 16, .by = 1, .quiet = true),
  FIELD("key", UINT, 32, .by = 3),
  FIELD("sequence", UINT, 32, .by = 4),
  FIELD("ack", UINT, 32, .by = 7),
};
static const struct wire_table gre_table = WIRE_TABLE(gre, 4);

/* Routes within GRE are obsolete, and what version 1 carries is PPP. */
static int after_gre(struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->start;
  if ((p[0] & 0x40) != 0 || (p[1] & 7) != 0)
    d->next = NULL;
  return 0;
}
const struct wire_layer wire_gre = {
  .name = "gre",
  .table = &gre_table,
  .after = after_gre,
};

static const struct wire_field vxlan[] = {
  FIELD("flags", FLAGS, 8, .more = "O.PI", .preset = 8),
  RESERVED("reserved", 24),
  UINT("vni", 24),
  RESERVED("reserved2", 8),
};
static const struct wire_table vxlan_table = WIRE_TABLE(vxlan, 8);

/* With the flag P, a byte says what follows (the generic extension). */
static int after_vxlan(struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->start;
  static const struct wire_layer *const next[] = {NULL, &wire_ipv4, &wire_ipv6,
                                                  &wire_ethernet};
  if ((p[0] & 4) == 0)
    d->next = &wire_ethernet;
  else
    d->next = p[3] < countof(next) ? next[p[3]] : NULL;
  return 0;
}
const struct wire_layer wire_vxlan = {
  .name = "vxlan",
  .table = &vxlan_table,
  .after = after_vxlan,
};
