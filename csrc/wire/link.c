/* SPDX-License-Identifier: MIT
 * Links: Ethernet with its tags, 802.2, ARP, and what a capture has instead. */
#include "wire/decode.h"
#include "wire/layers.h"

/* 802.3 with a length has 802.2 behind it, but for the IPX of old, which
 * begins with a checksum of 0xFFFF at once. */
static int after_length(struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->at;
  if (wire_16(p - 2) > 1500)
    return 0;
  d->next = d->cap - d->at >= 2 && wire_16(p) == 0xffff ? &wire_ipx : &wire_llc;
  return 0;
}

#define TYPE_OR_LENGTH \
  FIELD("type", UINT, 16, .role = WIRE_TYPE, .unit = WIRE_ETHER), \
    FIELD("length", UINT, 16, .role = WIRE_BODY)

static const struct wire_field ethernet[] = {
  MAC("dst"),
  MAC("src"),
  TYPE_OR_LENGTH,
};
static const struct wire_table ethernet_table = WIRE_TABLE(ethernet, 14);
const struct wire_layer wire_ethernet = {
  .name = "ethernet",
  .table = &ethernet_table,
  .after = after_length,
};

static const struct wire_field vlan[] = {
  UINT("priority", 3),
  FIELD("drop_eligible", BOOL, 1, .quiet = true),
  UINT("id", 12),
  TYPE_OR_LENGTH,
};
static const struct wire_table vlan_table = WIRE_TABLE(vlan, 4);
const struct wire_layer wire_vlan = {
  .name = "vlan",
  .table = &vlan_table,
  .after = after_length,
};
const struct wire_layer wire_qinq = {
  .name = "qinq",
  .table = &vlan_table,
  .after = after_length,
};

/* ---- 802.2 ---- */

static const struct wire_field llc[] = {
  FIELD("dsap", UINT, 8, .role = WIRE_NEXT, .unit = WIRE_SAP),
  FIELD("ssap", UINT, 8, .role = WIRE_NEXT, .unit = WIRE_SAP),
  FIELD("control", CONTROL, 0, .preset = 3),
};
static const struct wire_table llc_table = WIRE_TABLE(llc, 2);

/* Both SAPs must say so, and only unnumbered information has a payload. */
static int after_llc(struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->start;
  if (p[0] != p[1] || p[2] != 3)
    d->next = NULL;
  return 0;
}
const struct wire_layer wire_llc = {
  .name = "llc",
  .table = &llc_table,
  .after = after_llc,
};

static const struct wire_field snap[] = {
  UINT("oui", 24),
  FIELD("type", UINT, 16, .role = WIRE_NEXT, .unit = WIRE_ETHER),
};
static const struct wire_table snap_table = WIRE_TABLE(snap, 5);

static int after_snap(struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->start;
  if (!wire_zero(p, 3) || wire_16(p + 3) <= 1500)
    d->next = NULL; /* the type is whoever's the OUI is */
  return 0;
}
const struct wire_layer wire_snap = {
  .name = "snap",
  .table = &snap_table,
  .after = after_snap,
};

/* ---- ARP ---- */

static const struct wire_field arp[] = {
  FIELD("hardware_type", UINT, 16, .preset = 1),
  FIELD("protocol_type", UINT, 16, .preset = 0x0800),
  UINT("hardware_length", 8),
  UINT("protocol_length", 8),
  FIELD("operation", UINT, 16, .preset = 1),
  FIELD("sender_mac", HEX, 0, .by = 3, .unit = 1),
  FIELD("sender_ip", ADDR, 0, .by = 4, .unit = 1),
  FIELD("target_mac", HEX, 0, .by = 3, .unit = 1),
  FIELD("target_ip", ADDR, 0, .by = 4, .unit = 1),
};
static const struct wire_table arp_table = WIRE_TABLE(arp, 8);
const struct wire_layer wire_arp = {
  .name = "arp",
  .table = &arp_table,
  .leaf = true,
};

/* ---- what captures have ---- */

static const struct wire_field sll[] = {
  UINT("packet_type", 16),
  FIELD("hardware_type", UINT, 16, .preset = 1),
  UINT("address_length", 16),
  FIELD("address", BOX, 64, .by = 3),
  FIELD("protocol", UINT, 16, .role = WIRE_NEXT, .unit = WIRE_COOKED),
};
static const struct wire_table sll_table = WIRE_TABLE(sll, 16);
const struct wire_layer wire_sll = {.name = "sll", .table = &sll_table};

static const struct wire_field sll2[] = {
  FIELD("protocol", UINT, 16, .role = WIRE_NEXT, .unit = WIRE_COOKED),
  RESERVED("reserved", 16),
  UINT("interface_index", 32),
  FIELD("hardware_type", UINT, 16, .preset = 1),
  UINT("packet_type", 8),
  UINT("address_length", 8),
  FIELD("address", BOX, 64, .by = 6),
};
static const struct wire_table sll2_table = WIRE_TABLE(sll2, 20);
const struct wire_layer wire_sll2 = {.name = "sll2", .table = &sll2_table};

static const struct wire_field null[] = {
  FIELD("family", LITTLE, 32, .role = WIRE_NEXT, .unit = WIRE_FAMILY),
};
static const struct wire_table null_table = WIRE_TABLE(null, 4);
const struct wire_layer wire_null = {.name = "null", .table = &null_table};

static const struct wire_field loop[] = {
  FIELD("family", UINT, 32, .role = WIRE_NEXT, .unit = WIRE_FAMILY),
};
static const struct wire_table loop_table = WIRE_TABLE(loop, 4);
const struct wire_layer wire_loop = {.name = "loop", .table = &loop_table};
