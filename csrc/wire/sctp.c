/* SPDX-License-Identifier: MIT
 * SCTP (RFC 9260): the common header, chunks, parameters and causes. */
#include "wire/layers.h"

static const struct wire_field number16[] = {
  {.kind = WIRE_UINT, .bits = 16}
};
static const struct wire_table number16_table = WIRE_TABLE(number16, 2);
static const struct wire_field number8[] = {
  {.kind = WIRE_UINT, .bits = 8}
};
static const struct wire_table number8_table = WIRE_TABLE(number8, 1);
static const struct wire_field number32[] = {
  {.kind = WIRE_UINT, .bits = 32}
};
static const struct wire_table number32_table = WIRE_TABLE(number32, 4);

static const struct wire_field tsn[] = {UINT("tsn", 32)};
static const struct wire_table tsn_table = WIRE_TABLE(tsn, 4);
static const struct wire_field nothing[] = {RESERVED("reserved", 8)};
static const struct wire_table empty_table = {nothing, 0, 0};

/* ---- parameters ---- */

static const struct wire_field address4[] = {IP4("address")};
static const struct wire_table address4_table = WIRE_TABLE(address4, 4);
static const struct wire_field address6[] = {IP6("address")};
static const struct wire_table address6_table = WIRE_TABLE(address6, 16);
static const struct wire_field increment[] = {UINT("increment", 32)};
static const struct wire_table increment_table = WIRE_TABLE(increment, 4);
static const struct wire_field types16[] = {
  FIELD("types", LIST, 0, .more = &number16_table),
};
static const struct wire_table types16_table = WIRE_TABLE(types16, 0);
static const struct wire_field types8[] = {
  FIELD("types", LIST, 0, .more = &number8_table),
};
static const struct wire_table types8_table = WIRE_TABLE(types8, 0);

static const struct wire_tlv parameters[] = {
  {1,      "heartbeat_info",          NULL,             NULL},
  {5,      "ipv4_address",            &address4_table,  NULL},
  {6,      "ipv6_address",            &address6_table,  NULL},
  {7,      "state_cookie",            NULL,             NULL},
  {8,      "unrecognized_parameter",  NULL,             NULL},
  {9,      "cookie_preservative",     &increment_table, NULL},
  {11,     "host_name",               NULL,             NULL},
  {12,     "supported_address_types", &types16_table,   NULL},
  {0x8000, "ecn_capable",             &empty_table,     NULL},
  {0x8002, "random",                  NULL,             NULL},
  {0x8003, "chunk_list",              &types8_table,    NULL},
  {0x8004, "hmac_algorithms",         &types16_table,   NULL},
  {0x8005, "padding",                 NULL,             NULL},
  {0x8008, "supported_extensions",    &types8_table,    NULL},
  {0xc000, "forward_tsn_supported",   &empty_table,     NULL},
  {0xc006, "adaptation_layer",        NULL,             NULL},
};
static const struct wire_family parameter_family = {
  .rows = parameters,
  .n = countof(parameters),
  .wide = 2,
  .unit = 1,
  .align = 4,
};
#define PARAMETERS FIELD("parameters", TLVS, 0, .more = &parameter_family)

/* ---- causes ---- */

static const struct wire_field stream[] = {
  UINT("stream", 16),
  RESERVED("reserved", 16),
};
static const struct wire_table stream_table = WIRE_TABLE(stream, 4);
static const struct wire_field missing[] = {
  UINT("count", 32),
  FIELD("types", LIST, 0, .more = &number16_table),
};
static const struct wire_table missing_table = WIRE_TABLE(missing, 4);
static const struct wire_field stale[] = {UINT("staleness", 32)};
static const struct wire_table stale_table = WIRE_TABLE(stale, 4);

static const struct wire_tlv causes[] = {
  {1,  "invalid_stream",             &stream_table,  NULL},
  {2,  "missing_parameter",          &missing_table, NULL},
  {3,  "stale_cookie",               &stale_table,   NULL},
  {4,  "out_of_resource",            &empty_table,   NULL},
  {5,  "unresolvable_address",       NULL,           NULL},
  {6,  "unrecognized_chunk",         NULL,           NULL},
  {7,  "invalid_parameter",          &empty_table,   NULL},
  {8,  "unrecognized_parameters",    NULL,           NULL},
  {9,  "no_user_data",               &tsn_table,     NULL},
  {10, "cookie_while_shutting_down", &empty_table,   NULL},
  {11, "restart_with_new_addresses", NULL,           NULL},
  {12, "user_abort",                 NULL,           NULL},
  {13, "protocol_violation",         NULL,           NULL},
};
static const struct wire_family cause_family = {
  .rows = causes,
  .n = countof(causes),
  .wide = 2,
  .unit = 1,
  .align = 4,
};

/* ---- chunks ---- */

static const struct wire_field data[] = {
  UINT("tsn", 32),      UINT("stream", 16), UINT("stream_sequence", 16),
  UINT("protocol", 32), /* the payload's */
  REST("data", BYTES),
};
static const struct wire_table data_table = WIRE_TABLE(data, 12);

static const struct wire_field init[] = {
  UINT("initiate_tag", 32),
  FIELD("window", UINT, 32, .preset = 65535),
  FIELD("outbound_streams", UINT, 16, .preset = 1),
  FIELD("inbound_streams", UINT, 16, .preset = 1),
  UINT("initial_tsn", 32),
  PARAMETERS,
};
static const struct wire_table init_table = WIRE_TABLE(init, 16);

static const struct wire_field gap[] = {UINT("first", 16), UINT("last", 16)};
static const struct wire_table gap_table = WIRE_TABLE(gap, 4);
static const struct wire_field sack[] = {
  UINT("cumulative_tsn", 32),
  FIELD("window", UINT, 32, .preset = 65535),
  UINT("gap_count", 16),
  UINT("duplicate_count", 16),
  FIELD("gaps", LIST, 0, .more = &gap_table, .by = 3, .unit = 1),
  FIELD("duplicates", LIST, 0, .more = &number32_table, .by = 4, .unit = 1),
};
static const struct wire_table sack_table = WIRE_TABLE(sack, 12);

static const struct wire_field heartbeat[] = {PARAMETERS};
static const struct wire_table heartbeat_table = WIRE_TABLE(heartbeat, 0);
static const struct wire_field abort_chunk[] = {
  FIELD("causes", TLVS, 0, .more = &cause_family),
};
static const struct wire_table causes_table = WIRE_TABLE(abort_chunk, 0);
static const struct wire_field shutdown[] = {UINT("cumulative_tsn", 32)};
static const struct wire_table shutdown_table = WIRE_TABLE(shutdown, 4);
static const struct wire_field cookie[] = {REST("cookie", BYTES)};
static const struct wire_table cookie_table = WIRE_TABLE(cookie, 0);
static const struct wire_field skip[] = {
  UINT("stream", 16),
  UINT("stream_sequence", 16),
};
static const struct wire_table skip_table = WIRE_TABLE(skip, 4);
static const struct wire_field forward[] = {
  UINT("cumulative_tsn", 32),
  FIELD("streams", LIST, 0, .more = &skip_table),
};
static const struct wire_table forward_table = WIRE_TABLE(forward, 4);

static const struct wire_tlv chunks[] = {
  {0,   "data",              &data_table,      "EBUI"},
  {1,   "init",              &init_table,      NULL  },
  {2,   "init_ack",          &init_table,      NULL  },
  {3,   "sack",              &sack_table,      NULL  },
  {4,   "heartbeat",         &heartbeat_table, NULL  },
  {5,   "heartbeat_ack",     &heartbeat_table, NULL  },
  {6,   "abort",             &causes_table,    "T"   },
  {7,   "shutdown",          &shutdown_table,  NULL  },
  {8,   "shutdown_ack",      &empty_table,     NULL  },
  {9,   "error",             &causes_table,    NULL  },
  {10,  "cookie_echo",       &cookie_table,    NULL  },
  {11,  "cookie_ack",        &empty_table,     NULL  },
  {12,  "ecne",              &tsn_table,       NULL  },
  {13,  "cwr",               &tsn_table,       NULL  },
  {14,  "shutdown_complete", &empty_table,     "T"   },
  {15,  "auth",              NULL,             NULL  },
  {64,  "i_data",            NULL,             "EBUI"},
  {128, "asconf_ack",        NULL,             NULL  },
  {130, "re_config",         NULL,             NULL  },
  {132, "pad",               NULL,             NULL  },
  {192, "forward_tsn",       &forward_table,   NULL  },
  {193, "asconf",            NULL,             NULL  },
};
static const struct wire_family chunk_family = {
  .rows = chunks,
  .n = countof(chunks),
  .wide = 1,
  .flags = true,
  .unit = 1,
  .align = 4,
  .last = true,
};

static const struct wire_field sctp[] = {
  UINT("src_port", 16),
  UINT("dst_port", 16),
  UINT("verification_tag", 32),
  SUM(32, CRC32C),
  FIELD("chunks", TLVS, 0, .more = &chunk_family),
};
static const struct wire_table sctp_table = WIRE_TABLE(sctp, 12);
const struct wire_layer wire_sctp = {.name = "sctp", .table = &sctp_table};
