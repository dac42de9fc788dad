/* SPDX-License-Identifier: MIT
 * IPX, which most links carry, and what it carries: RIP and SAP, which tell of
 * networks and services, and SPX with what SPX II has added. */
#include "wire/decode.h"
#include "wire/layers.h"

enum { TYPE_SPX = 5, SOCKET_SAP = 0x452, SOCKET_RIP = 0x453 };

static const struct wire_field ipx[] = {
  SUM(16, IPX),
  FIELD("length", UINT, 16, .role = WIRE_TOTAL),
  UINT("transport_control", 8),
  FIELD("packet_type", UINT, 8, .role = WIRE_NEXT, .unit = WIRE_IPX_TYPE),
  UINT("dst_network", 32),
  MAC("dst_node"),
  FIELD("dst_socket", UINT, 16, .role = WIRE_NEXT, .unit = WIRE_IPX_SOCKET),
  UINT("src_network", 32),
  MAC("src_node"),
  UINT("src_socket", 16),
};
static const struct wire_table ipx_table = WIRE_TABLE(ipx, 30);

/* RIP and SAP are told by the socket, at either end: their packets have had
 * several types. */
static int after_ipx(struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->start;
  uint32_t dst = wire_16(p + 16), src = wire_16(p + 28);
  if (p[5] == TYPE_SPX)
    d->next = &wire_spx;
  else if (dst == SOCKET_RIP || src == SOCKET_RIP)
    d->next = &wire_rip;
  else if (dst == SOCKET_SAP || src == SOCKET_SAP)
    d->next = &wire_sap;
  else
    d->next = NULL;
  return 0;
}
const struct wire_layer wire_ipx = {
  .name = "ipx",
  .table = &ipx_table,
  .after = after_ipx,
};

/* ---- RIP ---- */

static const struct wire_field route[] = {
  UINT("network", 32),
  UINT("hops", 16),
  UINT("ticks", 16),
};
static const struct wire_table route_table = WIRE_TABLE(route, 8);
static const struct wire_field rip[] = {
  FIELD("operation", UINT, 16, .preset = 1),
  FIELD("routes", LIST, 0, .more = &route_table),
};
static const struct wire_table rip_table = WIRE_TABLE(rip, 2);
const struct wire_layer wire_rip = {.name = "rip", .table = &rip_table};

/* ---- SAP ---- */

static const struct wire_field service[] = {
  UINT("type", 16),    FIELD("name", TEXT, 0, .unit = 48),
  UINT("network", 32), MAC("node"),
  UINT("socket", 16),  UINT("hops", 16),
};
static const struct wire_table service_table = WIRE_TABLE(service, 2);
static const struct wire_field question[] = {UINT("type", 16)};
static const struct wire_table question_table = WIRE_TABLE(question, 2);
static const struct wire_field answer[] = {
  FIELD("services", LIST, 0, .more = &service_table),
};
static const struct wire_table answer_table = WIRE_TABLE(answer, 0);

/* Of all services or the nearest. */
static const struct wire_case sap_rows[] = {
  {1, 1, &question_table, 0, 0},
  {2, 2, &answer_table,   0, 0},
  {3, 3, &question_table, 0, 0},
  {4, 4, &answer_table,   0, 0},
};
static const struct wire_cases sap_cases = {sap_rows, countof(sap_rows)};
static const struct wire_field sap[] = {
  FIELD("operation", UINT, 16, .preset = 1),
  FIELD("", CASE, 0, .more = &sap_cases, .by = 1),
};
static const struct wire_table sap_table = WIRE_TABLE(sap, 2);
const struct wire_layer wire_sap = {.name = "sap", .table = &sap_table};

/* ---- SPX ---- */

static const struct wire_field negotiation[] = {UINT("negotiation_size", 16)};
static const struct wire_table negotiation_table = WIRE_TABLE(negotiation, 2);

/* With the bit of SPX II, which a connection request has, too, but nothing
 * behind its header. */
#define SPX2(high) \
  { high | 0x08, high | 0x0f, &negotiation_table, 2, 1 }
static const struct wire_case spx_rows[] = {
  SPX2(0x00), SPX2(0x10), SPX2(0x20), SPX2(0x30), SPX2(0x40), SPX2(0x50),
  SPX2(0x60), SPX2(0x70), SPX2(0x80), SPX2(0x90), SPX2(0xa0), SPX2(0xb0),
  SPX2(0xc0), SPX2(0xd0), SPX2(0xe0), SPX2(0xf0),
};
static const struct wire_cases spx_cases = {spx_rows, countof(spx_rows)};
static const struct wire_field spx[] = {
  FIELD("connection_control", FLAGS, 8,
        .more = "extended,reserved,negotiate,spx2,eom,attention,ack,system"),
  UINT("datastream_type", 8),
  UINT("src_connection", 16),
  UINT("dst_connection", 16),
  UINT("seq", 16),
  UINT("ack", 16),
  UINT("allocation", 16),
  FIELD("", CASE, 0, .more = &spx_cases, .by = 1),
};
static const struct wire_table spx_table = WIRE_TABLE(spx, 12);
const struct wire_layer wire_spx = {.name = "spx", .table = &spx_table};
