/* SPDX-License-Identifier: MIT
 * Every layer, and which number says which follows. */
#ifndef NEAP_WIRE_LAYERS_H
#define NEAP_WIRE_LAYERS_H

#include "wire/field.h"

extern const struct wire_layer wire_ethernet, wire_vlan, wire_qinq, wire_llc,
  wire_snap, wire_arp, wire_sll, wire_sll2, wire_null, wire_loop, wire_ipv4,
  wire_ipv6, wire_hop_by_hop, wire_routing, wire_fragment,
  wire_destination_options, wire_ah, wire_esp, wire_icmp, wire_icmpv6,
  wire_igmp, wire_udp, wire_udplite, wire_tcp, wire_sctp, wire_ipx, wire_rip,
  wire_sap, wire_spx, wire_gre, wire_vxlan;

enum { WIRE_NAMES = 31 };

extern const struct wire_layer *const wire_layers[WIRE_NAMES];

/* NULL if there is none of this name. */
const struct wire_layer *wire_named(const char *name);

/* What a number in this namespace says that follows; NULL if nothing that is
 * known. */
const struct wire_layer *wire_next(enum wire_space space, uint32_t number);

/* The number for a layer; -1 if it has none. */
int64_t wire_number(enum wire_space space, const struct wire_layer *l);

#endif
