/* SPDX-License-Identifier: MIT
 * TCP (RFC 9293) with its options, UDP (RFC 768), UDP-Lite (RFC 3828). */
#include "wire/decode.h"
#include "wire/layers.h"

/* ---- TCP ---- */

static const struct wire_field mss[] = {UINT("mss", 16)};
static const struct wire_table mss_table = WIRE_TABLE(mss, 2);
static const struct wire_field scale[] = {UINT("shift", 8)};
static const struct wire_table scale_table = WIRE_TABLE(scale, 1);
static const struct wire_field nothing[] = {RESERVED("reserved", 8)};
static const struct wire_table empty_table = {nothing, 0, 0};

static const struct wire_field block[] = {UINT("left", 32), UINT("right", 32)};
static const struct wire_table block_table = WIRE_TABLE(block, 8);
static const struct wire_field sack[] = {
  FIELD("blocks", LIST, 0, .more = &block_table),
};
static const struct wire_table sack_table = WIRE_TABLE(sack, 0);

static const struct wire_field times[] = {UINT("tsval", 32), UINT("tsecr", 32)};
static const struct wire_table times_table = WIRE_TABLE(times, 8);

static const struct wire_field digest[] = {REST("digest", BYTES)};
static const struct wire_table digest_table = WIRE_TABLE(digest, 0);
static const struct wire_field user_timeout[] = {
  BIT("minutes"),
  UINT("timeout", 15),
};
static const struct wire_table timeout_table = WIRE_TABLE(user_timeout, 2);
static const struct wire_field ao[] = {
  UINT("key_id", 8),
  UINT("next_key_id", 8),
  REST("mac", BYTES),
};
static const struct wire_table ao_table = WIRE_TABLE(ao, 2);
static const struct wire_field cookie[] = {REST("cookie", BYTES)};
static const struct wire_table cookie_table = WIRE_TABLE(cookie, 0);

static const struct wire_tlv options[] = {
  {0,  "eol",            NULL,           NULL},
  {1,  "nop",            NULL,           NULL},
  {2,  "mss",            &mss_table,     NULL},
  {3,  "window_scale",   &scale_table,   NULL},
  {4,  "sack_permitted", &empty_table,   NULL},
  {5,  "sack",           &sack_table,    NULL},
  {8,  "timestamps",     &times_table,   NULL},
  {19, "md5",            &digest_table,  NULL},
  {28, "user_timeout",   &timeout_table, NULL},
  {29, "ao",             &ao_table,      NULL},
  {30, "mptcp",          NULL,           NULL},
  {34, "fast_open",      &cookie_table,  NULL},
};
static const struct wire_family family = {
  .rows = options,
  .n = countof(options),
  .wide = 1,
  .unit = 1,
  .single = 3,
  .ends = true,
};

static const struct wire_field tcp[] = {
  UINT("src_port", 16),
  UINT("dst_port", 16),
  UINT("seq", 32),
  UINT("ack", 32),
  FIELD("data_offset", UINT, 4, .role = WIRE_HEAD, .unit = 4),
  RESERVED("reserved", 3),
  FIELD("flags", FLAGS, 9, .more = "FSRPAUECN"),
  FIELD("window", UINT, 16, .preset = 65535),
  FIELD("checksum", UINT, 16, .role = WIRE_SUM, .unit = WIRE_SUM_PSEUDO,
        .bias = 6),
  UINT("urgent_pointer", 16),
  FIELD("options", TLVS, 0, .more = &family),
};
static const struct wire_table tcp_table = WIRE_TABLE(tcp, 20);
const struct wire_layer wire_tcp = {.name = "tcp", .table = &tcp_table};

/* ---- UDP ---- */

static const struct wire_field udp[] = {
  UINT("src_port", 16),
  FIELD("dst_port", UINT, 16, .role = WIRE_NEXT, .unit = WIRE_PORT),
  FIELD("length", UINT, 16, .role = WIRE_TOTAL),
  FIELD("checksum", UINT, 16, .role = WIRE_SUM, .unit = WIRE_SUM_UDP,
        .bias = 17),
};
static const struct wire_table udp_table = WIRE_TABLE(udp, 8);

/* In a jumbogram, 0 is all that there is (RFC 2675). */
static int64_t zero_udp(const struct wire_decoder *d) {
  return d->end - d->start > 65535 ? (int64_t)WIRE_OPEN : 0;
}

/* What is no IPX without a checksum is none of RFC 1234. */
static int after_udp(struct wire_decoder *d) {
  if (d->next == &wire_ipx &&
      (d->cap - d->at < 2 || wire_16(d->bytes + d->at) != 0xffff))
    d->next = NULL;
  return 0;
}
const struct wire_layer wire_udp = {
  .name = "udp",
  .table = &udp_table,
  .after = after_udp,
  .zero = zero_udp,
};

static const struct wire_field udplite[] = {
  UINT("src_port", 16),
  UINT("dst_port", 16),
  UINT("coverage", 16),
  FIELD("checksum", UINT, 16, .role = WIRE_SUM, .unit = WIRE_SUM_LITE,
        .bias = 136),
};
static const struct wire_table udplite_table = WIRE_TABLE(udplite, 8);

/* The header is covered, or else all; and no more than there is. */
static int after_udplite(struct wire_decoder *d) {
  uint32_t coverage = wire_16(d->bytes + d->start + 4);
  if ((coverage > 0 && coverage < 8) || coverage > d->end - d->start)
    return wire_bad(d, "coverage", coverage);
  return 0;
}
const struct wire_layer wire_udplite = {
  .name = "udplite",
  .table = &udplite_table,
  .after = after_udplite,
};
