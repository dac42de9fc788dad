/* SPDX-License-Identifier: MIT */
#include "wire/layers.h"

#include <string.h>

const struct wire_layer *const wire_layers[WIRE_NAMES] = {
  &wire_ethernet,   &wire_vlan,    &wire_qinq,     &wire_llc,
  &wire_snap,       &wire_arp,     &wire_sll,      &wire_sll2,
  &wire_null,       &wire_loop,    &wire_ipv4,     &wire_ipv6,
  &wire_hop_by_hop, &wire_routing, &wire_fragment, &wire_destination_options,
  &wire_ah,         &wire_esp,     &wire_icmp,     &wire_icmpv6,
  &wire_igmp,       &wire_udp,     &wire_udplite,  &wire_tcp,
  &wire_sctp,       &wire_ipx,     &wire_rip,      &wire_sap,
  &wire_spx,        &wire_gre,     &wire_vxlan,
};

/* Of a layer with several numbers, the first is the one that is sent. */
static const struct {
  uint8_t space;
  uint16_t number;
  const struct wire_layer *layer;
} numbers[] = {
  {WIRE_ETHER,      0x0800, &wire_ipv4               },
  {WIRE_ETHER,      0x86dd, &wire_ipv6               },
  {WIRE_ETHER,      0x0806, &wire_arp                },
  {WIRE_ETHER,      0x8035, &wire_arp                }, /* RARP */
  {WIRE_ETHER,      0x8100, &wire_vlan               },
  {WIRE_ETHER,      0x88a8, &wire_qinq               },
  {WIRE_ETHER,      0x9100, &wire_qinq               }, /* before 802.1ad */
  {WIRE_ETHER,      0x8137, &wire_ipx                },
  {WIRE_ETHER,      0x6558, &wire_ethernet           },
  {WIRE_COOKED,     1,      &wire_ipx                }, /* Linux: "raw" 802.3 */
  {WIRE_COOKED,     4,      &wire_llc                }, /* and 802.2 */
  {WIRE_PROTO,      6,      &wire_tcp                },
  {WIRE_PROTO,      17,     &wire_udp                },
  {WIRE_PROTO,      1,      &wire_icmp               },
  {WIRE_PROTO,      58,     &wire_icmpv6             },
  {WIRE_PROTO,      2,      &wire_igmp               },
  {WIRE_PROTO,      4,      &wire_ipv4               },
  {WIRE_PROTO,      41,     &wire_ipv6               },
  {WIRE_PROTO,      0,      &wire_hop_by_hop         },
  {WIRE_PROTO,      43,     &wire_routing            },
  {WIRE_PROTO,      44,     &wire_fragment           },
  {WIRE_PROTO,      47,     &wire_gre                },
  {WIRE_PROTO,      50,     &wire_esp                },
  {WIRE_PROTO,      51,     &wire_ah                 },
  {WIRE_PROTO,      60,     &wire_destination_options},
  {WIRE_PROTO,      132,    &wire_sctp               },
  {WIRE_PROTO,      136,    &wire_udplite            },
  {WIRE_SAP,        0xaa,   &wire_snap               },
  {WIRE_SAP,        0xe0,   &wire_ipx                },
  {WIRE_SAP,        0x06,   &wire_ipv4               },
  {WIRE_FAMILY,     2,      &wire_ipv4               },
  {WIRE_FAMILY,     30,     &wire_ipv6               }, /* Darwin */
  {WIRE_FAMILY,     28,     &wire_ipv6               }, /* FreeBSD */
  {WIRE_FAMILY,     24,     &wire_ipv6               }, /* NetBSD, OpenBSD */
  {WIRE_FAMILY,     10,     &wire_ipv6               }, /* Linux */
  {WIRE_FAMILY,     23,     &wire_ipx                },
  {WIRE_PORT,       4789,   &wire_vxlan              },
  {WIRE_PORT,       213,    &wire_ipx                }, /* RFC 1234 */
  {WIRE_IPX_TYPE,   5,      &wire_spx                },
  {WIRE_IPX_TYPE,   1,      &wire_rip                },
  {WIRE_IPX_TYPE,   4,      &wire_sap                },
  {WIRE_IPX_SOCKET, 0x453,  &wire_rip                },
  {WIRE_IPX_SOCKET, 0x452,  &wire_sap                },
};

const struct wire_layer *wire_named(const char *name) {
  size_t i;
  for (i = 0; i < countof(wire_layers); i++)
    if (strcmp(wire_layers[i]->name, name) == 0)
      return wire_layers[i];
  return NULL;
}

/* A cooked header has types as Ethernet's, and a few of its own. */
const struct wire_layer *wire_next(enum wire_space space, uint32_t number) {
  size_t i;
  if (space == WIRE_COOKED && number > 1500)
    space = WIRE_ETHER;
  for (i = 0; i < countof(numbers); i++)
    if (numbers[i].space == space && numbers[i].number == number)
      return numbers[i].layer;
  return NULL;
}

int64_t wire_number(enum wire_space space, const struct wire_layer *l) {
  size_t i;
  for (i = 0; i < countof(numbers); i++)
    if (numbers[i].space == space && numbers[i].layer == l &&
        (space != WIRE_COOKED || l == &wire_llc))
      return numbers[i].number;
  return space == WIRE_COOKED ? wire_number(WIRE_ETHER, l) : -1;
}
