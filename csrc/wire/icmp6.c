/* SPDX-License-Identifier: MIT
 * ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) and MLD (RFC 3810). */
#include "wire/layers.h"
#include "wire/multicast.h"
#include "wire/nested.h"

/* ---- the options of neighbour discovery ---- */

static const struct wire_field address[] = {
  {.kind = WIRE_IP6, .bits = 128}
};
static const struct wire_table address_table = WIRE_TABLE(address, 16);

static const struct wire_field link_address[] = {REST("address", HEX)};
static const struct wire_table link_table = WIRE_TABLE(link_address, 0);

static const struct wire_field prefix[] = {
  FIELD("prefix_length", UINT, 8, .preset = 64),
  FIELD("flags", MARKS, 3, .more = "LAR"),
  RESERVED("reserved", 5),
  UINT("valid_lifetime", 32),
  UINT("preferred_lifetime", 32),
  RESERVED("reserved2", 32),
  IP6("prefix"),
};
static const struct wire_table prefix_table = WIRE_TABLE(prefix, 30);

static const struct wire_field redirected[] = {
  RESERVED("reserved", 16),
  RESERVED("reserved2", 32),
  REST("data", BYTES),
};
static const struct wire_table redirected_table = WIRE_TABLE(redirected, 6);

static const struct wire_field mtu_option[] = {
  RESERVED("reserved", 16),
  UINT("mtu", 32),
};
static const struct wire_table mtu_option_table = WIRE_TABLE(mtu_option, 6);

static const struct wire_field nonce[] = {REST("nonce", BYTES)};
static const struct wire_table nonce_table = WIRE_TABLE(nonce, 0);

static const struct wire_field route[] = {
  UINT("prefix_length", 8), RESERVED("reserved", 3), UINT("preference", 2),
  RESERVED("reserved2", 3), UINT("lifetime", 32),    REST("prefix", BYTES),
};
static const struct wire_table route_table = WIRE_TABLE(route, 6);

static const struct wire_field rdnss[] = {
  RESERVED("reserved", 16),
  UINT("lifetime", 32),
  FIELD("addresses", LIST, 0, .more = &address_table),
};
static const struct wire_table rdnss_table = WIRE_TABLE(rdnss, 6);

static const struct wire_field dnssl[] = {
  RESERVED("reserved", 16),
  UINT("lifetime", 32),
  REST("domains", BYTES),
};
static const struct wire_table dnssl_table = WIRE_TABLE(dnssl, 6);

static const struct wire_field portal[] = {REST("uri", BYTES)};
static const struct wire_table portal_table = WIRE_TABLE(portal, 0);

static const struct wire_tlv options[] = {
  {1,  "source_link_layer_address", &link_table,       NULL},
  {2,  "target_link_layer_address", &link_table,       NULL},
  {3,  "prefix_information",        &prefix_table,     NULL},
  {4,  "redirected_header",         &redirected_table, NULL},
  {5,  "mtu",                       &mtu_option_table, NULL},
  {13, "timestamp",                 NULL,              NULL},
  {14, "nonce",                     &nonce_table,      NULL},
  {24, "route_information",         &route_table,      NULL},
  {25, "rdnss",                     &rdnss_table,      NULL},
  {31, "dnssl",                     &dnssl_table,      NULL},
  {37, "captive_portal",            &portal_table,     NULL},
  {38, "pref64",                    NULL,              NULL},
};
static const struct wire_family family = {
  .rows = options,
  .n = countof(options),
  .wide = 1,
  .unit = 8,
};

#define OPTIONS FIELD("options", TLVS, 0, .more = &family)

/* ---- errors and echoes ---- */

static const struct wire_field unreachable[] = {
  ORIGINAL_LENGTH(8),
  RESERVED("unused", 24),
  ORIGINAL,
};
static const struct wire_table unreachable_table = WIRE_TABLE(unreachable, 4);

static const struct wire_field too_big[] = {UINT("mtu", 32), NESTED};
static const struct wire_table too_big_table = WIRE_TABLE(too_big, 4);

static const struct wire_field problem[] = {UINT("pointer", 32), NESTED};
static const struct wire_table problem_table = WIRE_TABLE(problem, 4);

static const struct wire_field echo[] = {UINT("id", 16), UINT("sequence", 16)};
static const struct wire_table echo_table = WIRE_TABLE(echo, 4);

/* ---- multicast listeners ---- */

static const struct wire_field query[] = {
  UINT("max_response_delay", 16),
  RESERVED("reserved2", 16),
  IP6("group"),
  QUERY(address_table),
};
static const struct wire_table query_table = WIRE_TABLE(query, 24);

static const struct wire_field listener[] = {
  UINT("max_response_delay", 16),
  RESERVED("reserved2", 16),
  IP6("group"),
};
static const struct wire_table listener_table = WIRE_TABLE(listener, 20);

static const struct wire_field record[] = {RECORD(IP6("group"), address_table)};
static const struct wire_table record_table = WIRE_TABLE(record, 20);
static const struct wire_field report[] = {
  RESERVED("reserved", 16),
  UINT("record_count", 16),
  FIELD("records", LIST, 0, .more = &record_table, .by = 2, .unit = 1),
};
static const struct wire_table report_table = WIRE_TABLE(report, 4);

/* ---- neighbour discovery ---- */

static const struct wire_field router_solicitation[] = {
  RESERVED("reserved", 32),
  OPTIONS,
};
static const struct wire_table rs_table = WIRE_TABLE(router_solicitation, 4);

static const struct wire_field router_advertisement[] = {
  FIELD("hop_limit", UINT, 8, .preset = 64),
  FIELD("flags", MARKS, 3, .more = "MOH"),
  UINT("preference", 2),
  RESERVED("reserved", 3),
  UINT("router_lifetime", 16),
  UINT("reachable_time", 32),
  UINT("retrans_timer", 32),
  OPTIONS,
};
static const struct wire_table ra_table = WIRE_TABLE(router_advertisement, 12);

static const struct wire_field neighbor_solicitation[] = {
  RESERVED("reserved", 32),
  IP6("target"),
  OPTIONS,
};
static const struct wire_table ns_table = WIRE_TABLE(neighbor_solicitation, 20);

static const struct wire_field neighbor_advertisement[] = {
  FIELD("flags", MARKS, 3, .more = "RSO"),
  RESERVED("reserved", 29),
  IP6("target"),
  OPTIONS,
};
static const struct wire_table na_table =
  WIRE_TABLE(neighbor_advertisement, 20);

static const struct wire_field redirect[] = {
  RESERVED("reserved", 32),
  IP6("target"),
  IP6("destination"),
  OPTIONS,
};
static const struct wire_table redirect_table = WIRE_TABLE(redirect, 36);

static const struct wire_case rows[] = {
  {1,   1,   &unreachable_table, 0,  0},
  {2,   2,   &too_big_table,     0,  0},
  {3,   3,   &unreachable_table, 0,  0},
  {4,   4,   &problem_table,     0,  0},
  {128, 129, &echo_table,        0,  0},
  {130, 130, &query_table,       24, 9},
  {130, 132, &listener_table,    0,  0},
  {133, 133, &rs_table,          0,  0},
  {134, 134, &ra_table,          0,  0},
  {135, 135, &ns_table,          0,  0},
  {136, 136, &na_table,          0,  0},
  {137, 137, &redirect_table,    0,  0},
  {143, 143, &report_table,      0,  0},
};
static const struct wire_cases cases = {rows, countof(rows)};

static const struct wire_field icmpv6[] = {
  UINT("type", 8),
  UINT("code", 8),
  FIELD("checksum", UINT, 16, .role = WIRE_SUM, .unit = WIRE_SUM_PSEUDO,
        .bias = 58),
  FIELD("", CASE, 0, .more = &cases, .by = 1),
};
static const struct wire_table icmpv6_table = WIRE_TABLE(icmpv6, 4);
const struct wire_layer wire_icmpv6 = {
  .name = "icmpv6",
  .table = &icmpv6_table,
  .six = true,
};
