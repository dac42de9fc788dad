/* SPDX-License-Identifier: MIT
 * ICMP (RFC 792) with the extensions of RFC 4884, and IGMP (RFC 3376). */
#include "wire/layers.h"
#include "wire/multicast.h"
#include "wire/nested.h"

/* ---- the extension ---- */

static const struct wire_field object[] = {
  FIELD("length", UINT, 16, .preset = 4),
  UINT("class", 8),
  UINT("c_type", 8),
  FIELD("data", BYTES, 0, .by = 1, .unit = 1, .bias = -4),
};
static const struct wire_table object_table = WIRE_TABLE(object, 4);

static const struct wire_field extension[] = {
  FIELD("version", UINT, 4, .preset = 2),
  RESERVED("reserved", 12),
  SUM(16, GROUP),
  FIELD("objects", LIST, 0, .more = &object_table),
};
const struct wire_table wire_extension = WIRE_TABLE(extension, 4);

/* ---- ICMP ---- */

static const struct wire_field unreachable[] = {
  RESERVED("unused", 8),
  ORIGINAL_LENGTH(4),
  UINT("mtu", 16),
  ORIGINAL,
};
static const struct wire_table unreachable_table = WIRE_TABLE(unreachable, 4);

static const struct wire_field quench[] = {RESERVED("unused", 32), NESTED};
static const struct wire_table quench_table = WIRE_TABLE(quench, 4);

static const struct wire_field redirect[] = {IP4("gateway"), NESTED};
static const struct wire_table redirect_table = WIRE_TABLE(redirect, 4);

static const struct wire_field exceeded[] = {
  RESERVED("unused", 8),
  ORIGINAL_LENGTH(4),
  RESERVED("unused2", 16),
  ORIGINAL,
};
static const struct wire_table exceeded_table = WIRE_TABLE(exceeded, 4);

static const struct wire_field problem[] = {
  UINT("pointer", 8),
  ORIGINAL_LENGTH(4),
  RESERVED("unused", 16),
  ORIGINAL,
};
static const struct wire_table problem_table = WIRE_TABLE(problem, 4);

static const struct wire_field echo[] = {UINT("id", 16), UINT("sequence", 16)};
static const struct wire_table echo_table = WIRE_TABLE(echo, 4);

static const struct wire_field router[] = {
  IP4("address"),
  UINT("preference", 32),
};
static const struct wire_table router_table = WIRE_TABLE(router, 8);
static const struct wire_field advertisement[] = {
  UINT("count", 8),
  FIELD("entry_size", UINT, 8, .preset = 2),
  FIELD("lifetime", UINT, 16, .preset = 1800),
  FIELD("routers", LIST, 0, .more = &router_table, .by = 1, .unit = 1),
};
static const struct wire_table advertisement_table =
  WIRE_TABLE(advertisement, 4);

static const struct wire_field times[] = {
  UINT("id", 16),      UINT("sequence", 16), UINT("originate", 32),
  UINT("receive", 32), UINT("transmit", 32),
};
static const struct wire_table times_table = WIRE_TABLE(times, 16);

static const struct wire_field mask[] = {
  UINT("id", 16),
  UINT("sequence", 16),
  IP4("mask"),
};
static const struct wire_table mask_table = WIRE_TABLE(mask, 8);

static const struct wire_field unused[] = {RESERVED("unused", 32)};
static const struct wire_table unused_table = WIRE_TABLE(unused, 4);

static const struct wire_case rows[] = {
  {0,  0,  &echo_table,          0, 0},
  {3,  3,  &unreachable_table,   0, 0},
  {4,  4,  &quench_table,        0, 0},
  {5,  5,  &redirect_table,      0, 0},
  {8,  8,  &echo_table,          0, 0},
  {9,  9,  &advertisement_table, 0, 0},
  {10, 10, &unused_table,        0, 0},
  {11, 11, &exceeded_table,      0, 0},
  {12, 12, &problem_table,       0, 0},
  {13, 14, &times_table,         0, 0},
  {15, 16, &echo_table,          0, 0},
  {17, 18, &mask_table,          0, 0},
};
static const struct wire_cases cases = {rows, countof(rows)};

static const struct wire_field icmp[] = {
  UINT("type", 8),
  UINT("code", 8),
  SUM(16, ALL),
  FIELD("", CASE, 0, .more = &cases, .by = 1),
};
static const struct wire_table icmp_table = WIRE_TABLE(icmp, 4);
const struct wire_layer wire_icmp = {.name = "icmp", .table = &icmp_table};

/* ---- IGMP ---- */

static const struct wire_field address[] = {
  {.kind = WIRE_IP4, .bits = 32}
};
static const struct wire_table address_table = WIRE_TABLE(address, 4);

static const struct wire_field query[] = {
  UINT("max_response_time", 8),
  SUM(16, ALL),
  IP4("group"),
  QUERY(address_table),
};
static const struct wire_table query_table = WIRE_TABLE(query, 11);

static const struct wire_field plain[] = {
  UINT("max_response_time", 8),
  SUM(16, ALL),
  IP4("group"),
};
static const struct wire_table plain_table = WIRE_TABLE(plain, 7);

static const struct wire_field record[] = {RECORD(IP4("group"), address_table)};
static const struct wire_table record_table = WIRE_TABLE(record, 8);
static const struct wire_field report[] = {
  RESERVED("reserved", 8),
  SUM(16, ALL),
  RESERVED("reserved2", 16),
  UINT("record_count", 16),
  FIELD("records", LIST, 0, .more = &record_table, .by = 4, .unit = 1),
};
static const struct wire_table report_table = WIRE_TABLE(report, 7);

static const struct wire_field other[] = {UINT("code", 8), SUM(16, ALL)};
static const struct wire_table other_table = WIRE_TABLE(other, 3);

static const struct wire_case igmp_rows[] = {
  {0x11, 0x11, &query_table,  11, 9},
  {0x11, 0x12, &plain_table,  0,  0},
  {0x16, 0x17, &plain_table,  0,  0},
  {0x22, 0x22, &report_table, 0,  0},
  {0,    0xff, &other_table,  0,  0},
};
static const struct wire_cases igmp_cases = {igmp_rows, countof(igmp_rows)};

static const struct wire_field igmp[] = {
  UINT("type", 8),
  FIELD("", CASE, 0, .more = &igmp_cases, .by = 1),
};
static const struct wire_table igmp_table = WIRE_TABLE(igmp, 1);
const struct wire_layer wire_igmp = {.name = "igmp", .table = &igmp_table};
