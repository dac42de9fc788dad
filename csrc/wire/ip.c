/* SPDX-License-Identifier: MIT
 * IPv4 (RFC 791) with its options, IPv6 (RFC 8200) with its extension
 * headers, AH and ESP. */
#include "wire/decode.h"
#include "wire/layers.h"

#define NEXT_HEADER(name_) \
  FIELD(name_, UINT, 8, .role = WIRE_NEXT, .unit = WIRE_PROTO)

/* ---- IPv4 ---- */

static const struct wire_field address4[] = {
  {.kind = WIRE_IP4, .bits = 32}
};
static const struct wire_table address4_table = WIRE_TABLE(address4, 4);

static const struct wire_field route[] = {
  FIELD("pointer", UINT, 8, .preset = 4),
  FIELD("route", LIST, 0, .more = &address4_table),
};
static const struct wire_table route_table = WIRE_TABLE(route, 1);

static const struct wire_field times[] = {
  FIELD("pointer", UINT, 8, .preset = 5),
  UINT("overflow", 4),
  UINT("flag", 4),
  REST("data", BYTES),
};
static const struct wire_table times_table = WIRE_TABLE(times, 2);

static const struct wire_field value16[] = {UINT("value", 16)};
static const struct wire_table value16_table = WIRE_TABLE(value16, 2);
static const struct wire_field mtu16[] = {UINT("mtu", 16)};
static const struct wire_table mtu16_table = WIRE_TABLE(mtu16, 2);
static const struct wire_field id16[] = {UINT("id", 16)};
static const struct wire_table id16_table = WIRE_TABLE(id16, 2);

static const struct wire_tlv options4[] = {
  {0,   "eol",                 NULL,           NULL},
  {1,   "nop",                 NULL,           NULL},
  {7,   "record_route",        &route_table,   NULL},
  {11,  "mtu_probe",           &mtu16_table,   NULL},
  {12,  "mtu_reply",           &mtu16_table,   NULL},
  {68,  "timestamp",           &times_table,   NULL},
  {82,  "traceroute",          NULL,           NULL},
  {130, "security",            NULL,           NULL},
  {131, "loose_source_route",  &route_table,   NULL},
  {136, "stream_id",           &id16_table,    NULL},
  {137, "strict_source_route", &route_table,   NULL},
  {148, "router_alert",        &value16_table, NULL},
};
static const struct wire_family family4 = {
  .rows = options4,
  .n = countof(options4),
  .wide = 1,
  .unit = 1,
  .single = 3,
  .ends = true,
};

static const struct wire_field ipv4[] = {
  FIELD("version", UINT, 4, .role = WIRE_MUST, .preset = 4),
  FIELD("ihl", UINT, 4, .role = WIRE_HEAD, .unit = 4),
  UINT("tos", 8),
  FIELD("total_length", UINT, 16, .role = WIRE_TOTAL),
  UINT("id", 16),
  FIELD("flags", FLAGS, 3, .more = "MF,DF,evil"),
  UINT("fragment_offset", 13),
  FIELD("ttl", UINT, 8, .preset = 64),
  NEXT_HEADER("protocol"),
  SUM(16, HEADER),
  IP4("src"),
  IP4("dst"),
  FIELD("options", TLVS, 0, .more = &family4),
};
static const struct wire_table ipv4_table = WIRE_TABLE(ipv4, 20);

/* Of what follows in the first fragment, the rest is somewhere else. */
static void first_fragment(struct wire_decoder *d) {
  d->end = WIRE_OPEN;
}

static int after_ipv4(struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->start;
  uint32_t fragment = wire_16(p + 6);
  if (d->next != NULL && d->next->six)
    d->next = NULL;
  if ((fragment & 0x1fff) != 0)
    d->next = NULL;
  else if ((fragment & 0x2000) != 0)
    first_fragment(d);
  return 0;
}

/* Large ones that a network card cuts are captured with a length of 0. */
static int64_t zero_ipv4(const struct wire_decoder *d) {
  (void)d;
  return (int64_t)WIRE_OPEN;
}

/* With a source route that is not used up, the last hop is the destination. */
static void ends_ipv4(const uint8_t *head, size_t n, struct wire_ends *e) {
  size_t at = 20, len;
  e->src = head + 12;
  e->dst = head + 16;
  e->size = 4;
  while (at + 1 < n && head[at] != 0) {
    len = head[at] == 1 ? 1 : head[at + 1];
    if (len == 0 || len > n - at)
      break;
    if ((head[at] == 131 || head[at] == 137) && len >= 7 &&
        head[at + 2] + 3u <= len)
      e->dst = head + at + len - 4;
    at += len;
  }
}

const struct wire_layer wire_ipv4 = {
  .name = "ipv4",
  .table = &ipv4_table,
  .after = after_ipv4,
  .zero = zero_ipv4,
  .ends = ends_ipv4,
};

/* ---- IPv6 ---- */

static const struct wire_field ipv6[] = {
  FIELD("version", UINT, 4, .role = WIRE_MUST, .preset = 6),
  UINT("traffic_class", 8),
  UINT("flow_label", 20),
  FIELD("payload_length", UINT, 16, .role = WIRE_BODY),
  NEXT_HEADER("next_header"),
  FIELD("hop_limit", UINT, 8, .preset = 64),
  IP6("src"),
  IP6("dst"),
};
static const struct wire_table ipv6_table = WIRE_TABLE(ipv6, 40);

/* A length of 0 is none, or that of the jumbo option in the next header. */
static int64_t zero_ipv6(const struct wire_decoder *d) {
  const uint8_t *p = d->bytes + d->start;
  size_t left = d->cap - d->start, at = 42, end;
  if (p[6] != 0 || left < 48)
    return 40;
  end = 40 + (p[41] + 1u) * 8;
  if (end > left)
    end = left;
  while (at + 2 <= end) {
    if (p[at] == 0) {
      at++;
      continue;
    }
    if (p[at] == 0xc2 && p[at + 1] == 4 && at + 6 <= end)
      return (int64_t)wire_32(p + at + 2) + 40;
    at += 2u + p[at + 1];
  }
  return 40;
}

static void ends_ipv6(const uint8_t *head, size_t n, struct wire_ends *e) {
  (void)n;
  e->src = head + 8;
  e->dst = head + 24;
  e->size = 16;
}

const struct wire_layer wire_ipv6 = {
  .name = "ipv6",
  .table = &ipv6_table,
  .zero = zero_ipv6,
  .ends = ends_ipv6,
};

/* ---- extension headers ---- */

static const struct wire_field jumbo[] = {UINT("payload_length", 32)};
static const struct wire_table jumbo_table = WIRE_TABLE(jumbo, 4);
static const struct wire_field limit[] = {UINT("limit", 8)};
static const struct wire_table limit_table = WIRE_TABLE(limit, 1);
static const struct wire_field home[] = {IP6("address")};
static const struct wire_table home_table = WIRE_TABLE(home, 16);

static const struct wire_tlv options6[] = {
  {0,    "pad1",                NULL,           NULL},
  {1,    "padn",                NULL,           NULL},
  {4,    "encapsulation_limit", &limit_table,   NULL},
  {5,    "router_alert",        &value16_table, NULL},
  {0x26, "quick_start",         NULL,           NULL},
  {0xc2, "jumbo_payload",       &jumbo_table,   NULL},
  {0xc9, "home_address",        &home_table,    NULL},
};
static const struct wire_family family6 = {
  .rows = options6,
  .n = countof(options6),
  .wide = 1,
  .unit = 1,
  .single = 1,
  .bare = true,
  .fill = 8,
};

#define EXTENSION_HEAD \
  NEXT_HEADER("next_header"), \
    FIELD("length", UINT, 8, .role = WIRE_HEAD, .unit = 8, .bias = 8)

static const struct wire_field options_header[] = {
  EXTENSION_HEAD,
  FIELD("options", TLVS, 0, .more = &family6),
};
static const struct wire_table options_table = WIRE_TABLE(options_header, 2);

const struct wire_layer wire_hop_by_hop = {
  .name = "hop_by_hop",
  .table = &options_table,
  .six = true,
};

/* A mobile node's home address is what the pseudo header has as source. */
static void ends_destination(const uint8_t *head, size_t n,
                             struct wire_ends *e) {
  size_t at = 2;
  while (at + 2 <= n) {
    if (head[at] == 0) {
      at++;
      continue;
    }
    if (head[at] == 0xc9 && head[at + 1] == 16 && at + 18 <= n && e->size == 16)
      e->src = head + at + 2;
    at += 2u + head[at + 1];
  }
}

const struct wire_layer wire_destination_options = {
  .name = "destination_options",
  .table = &options_table,
  .ends = ends_destination,
  .six = true,
};

static const struct wire_field address6[] = {
  {.kind = WIRE_IP6, .bits = 128}
};
static const struct wire_table address6_table = WIRE_TABLE(address6, 16);

static const struct wire_field routing_plain[] = {
  RESERVED("reserved", 32),
  FIELD("addresses", LIST, 0, .more = &address6_table),
};
static const struct wire_table plain_table = WIRE_TABLE(routing_plain, 4);

static const struct wire_field routing_segments[] = {
  UINT("last_entry", 8),
  UINT("flags", 8),
  UINT("tag", 16),
  FIELD("segments", LIST, 0, .more = &address6_table, .by = 1, .unit = 1,
        .bias = 1),
  FIELD("tlvs", BYTES, 0, .quiet = true),
};
static const struct wire_table segments_table = WIRE_TABLE(routing_segments, 4);

static const struct wire_field routing_other[] = {
  FIELD("data", BYTES, 0, .quiet = true),
};
static const struct wire_table other_table = WIRE_TABLE(routing_other, 0);

static const struct wire_case routing_rows[] = {
  {0, 0,   &plain_table,    0, 0},
  {2, 2,   &plain_table,    0, 0},
  {4, 4,   &segments_table, 0, 0},
  {0, 255, &other_table,    0, 0},
};
static const struct wire_cases routing_cases = {routing_rows,
                                                countof(routing_rows)};

static const struct wire_field routing[] = {
  EXTENSION_HEAD,
  UINT("type", 8),
  UINT("segments_left", 8),
  FIELD("", CASE, 0, .more = &routing_cases, .by = 3),
};
static const struct wire_table routing_table = WIRE_TABLE(routing, 4);

/* Segments are in reverse order; addresses of the older types are not. */
static void ends_routing(const uint8_t *head, size_t n, struct wire_ends *e) {
  if (e->size != 16 || head[3] == 0 || n < 24)
    return;
  if (head[2] == 4)
    e->dst = head + 8;
  else if (head[2] == 0 || head[2] == 2)
    e->dst = head + n - 16;
}

const struct wire_layer wire_routing = {
  .name = "routing",
  .table = &routing_table,
  .ends = ends_routing,
  .six = true,
};

static const struct wire_field fragment[] = {
  NEXT_HEADER("next_header"),  RESERVED("reserved", 8),
  UINT("fragment_offset", 13), RESERVED("reserved2", 2),
  BIT("more_fragments"),       UINT("id", 32),
};
static const struct wire_table fragment_table = WIRE_TABLE(fragment, 8);

static int after_fragment(struct wire_decoder *d) {
  uint32_t offset = wire_16(d->bytes + d->start + 2);
  if (offset >= 8)
    d->next = NULL;
  else if ((offset & 1) != 0)
    first_fragment(d);
  return 0;
}

const struct wire_layer wire_fragment = {
  .name = "fragment",
  .table = &fragment_table,
  .after = after_fragment,
  .six = true,
};

/* ---- security ---- */

static const struct wire_field ah[] = {
  NEXT_HEADER("next_header"),
  FIELD("length", UINT, 8, .role = WIRE_HEAD, .unit = 4, .bias = 8),
  RESERVED("reserved", 16),
  UINT("spi", 32),
  UINT("sequence", 32),
  REST("icv", BYTES),
};
static const struct wire_table ah_table = WIRE_TABLE(ah, 12);
const struct wire_layer wire_ah = {.name = "ah", .table = &ah_table};

static const struct wire_field esp[] = {
  UINT("spi", 32),
  UINT("sequence", 32),
};
static const struct wire_table esp_table = WIRE_TABLE(esp, 8);
const struct wire_layer wire_esp = {.name = "esp", .table = &esp_table};
