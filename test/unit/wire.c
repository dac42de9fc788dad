/* SPDX-License-Identifier: MIT
 * neap.wire below Lua: the tables of fields are what they say they are, texts
 * and sums are right, and no byte outside of a packet is ever read. */
#include <string.h>

#include "base/util.h"
#include "check.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/layers.h"
#include "wire/sum.h"
#include "wire/text.h"

/* ---- the tables ---- */

enum { TABLES = 256 };

static const struct wire_table *tables[TABLES];
static unsigned ntables;

static void add(const struct wire_table *t) {
  unsigned i;
  for (i = 0; i < ntables; i++)
    if (tables[i] == t)
      return;
  CHECK(ntables < TABLES);
  tables[ntables++] = t;
}

static const char *const item_names[] = {"type", "flags", "length", "padding"};

/* The fields of an item's body are in one table with those of its head. */
static void check_family(const struct wire_family *f) {
  unsigned i, k, j;
  for (i = 0; i < f->n; i++) {
    const struct wire_table *t = f->rows[i].table;
    CHECK(f->rows[i].type >> 8 * f->wide == 0);
    if (t == NULL)
      continue;
    add(t);
    for (k = 0; k < t->n; k++)
      for (j = 0; j < countof(item_names); j++)
        if ((j != 1 || f->flags) && (j != 3 || f->align > 1))
          CHECK(strcmp(t->fields[k].name, item_names[j]) != 0);
  }
}

static void find_tables(void) {
  unsigned i, k, j;
  for (i = 0; i < WIRE_NAMES; i++) {
    CHECK(wire_layers[i] != NULL);
    CHECK(wire_named(wire_layers[i]->name) == wire_layers[i]);
    add(wire_layers[i]->table);
  }
  for (i = 0; i < ntables; i++)
    for (k = 0; k < tables[i]->n; k++) {
      const struct wire_field *f = &tables[i]->fields[k];
      const struct wire_cases *c = f->more;
      if (f->kind == WIRE_LIST || f->kind == WIRE_GROUP)
        add(f->more);
      else if (f->kind == WIRE_TLVS)
        check_family(f->more);
      else if (f->kind == WIRE_CASE)
        for (j = 0; j < c->n; j++)
          add(c->rows[j].table);
    }
}

/* The bytes that are always there, in front. */
static unsigned fixed_bytes(const struct wire_table *t) {
  unsigned i, bits = 0;
  for (i = 0; i < t->n; i++) {
    const struct wire_field *f = &t->fields[i];
    if (f->kind > WIRE_LAST_FIXED || (f->by > 0 && f->kind <= WIRE_LAST_NUMBER))
      break;
    bits += f->role == WIRE_TYPE ? 0 : f->bits; /* the next row has them */
  }
  CHECK(bits % 8 == 0);
  return bits / 8;
}

static void check_field(const struct wire_table *t, unsigned i) {
  const struct wire_field *f = &t->fields[i];
  CHECK(f->by <= i && (f->by == 0 || f->kind != WIRE_NESTED));
  CHECK(f->name != NULL || t->n == 1);
  if (f->kind <= WIRE_LAST_NUMBER)
    CHECK(f->bits >= 1 && f->bits <= 32);
  if (f->kind == WIRE_FLAGS || f->kind == WIRE_MARKS || f->kind == WIRE_LIST ||
      f->kind == WIRE_TLVS || f->kind == WIRE_CASE || f->kind == WIRE_GROUP)
    CHECK(f->more != NULL);
  if (f->kind == WIRE_CASE)
    CHECK(f->by > 0);
  /* A list ends only because each of its items has a length. */
  if (f->kind == WIRE_LIST)
    CHECK(((const struct wire_table *)f->more)->fixed > 0);
  if (f->role == WIRE_TYPE)
    CHECK(i + 1 < t->n && t->fields[i + 1].role == WIRE_BODY);
}

static void test_tables(void) {
  unsigned i, k, autos;
  find_tables();
  CHECK(ntables > 80);
  for (i = 0; i < ntables; i++) {
    const struct wire_table *t = tables[i];
    CHECK(t->n <= WIRE_FIELDS);
    CHECK(t->n == 0 || fixed_bytes(t) == t->fixed);
    for (k = 0, autos = 0; k < t->n; k++) {
      check_field(t, k);
      autos += t->fields[k].role > WIRE_MUST;
    }
    CHECK(autos + 2 <= WIRE_AUTOS); /* and two in a case or a group */
  }
}

/* ---- text ---- */

static void test_addresses(void) {
  static const struct {
    const char *in, *out; /* out NULL: malformed */
  } rows[] = {
    {"::",                    "::"                  },
    {"::1",                   "::1"                 },
    {"1::",                   "1::"                 },
    {"0:0:0:0:0:0:0:1",       "::1"                 },
    {"2001:DB8::A",           "2001:db8::a"         },
    {"2001:db8:0:1:1:1:1:1",  "2001:db8:0:1:1:1:1:1"},
    {"2001:0:0:1:0:0:0:1",    "2001:0:0:1::1"       },
    {"1:0:0:2:3:0:0:4",       "1::2:3:0:0:4"        },
    {"::ffff:1.2.3.4",        "::ffff:1.2.3.4"      },
    {"64:ff9b::1.2.3.4",      "64:ff9b::102:304"    },
    {"1:2:3:4:5:6:7::",       "1:2:3:4:5:6:7:0"     },
    {"::2:3:4:5:6:7:8",       "0:2:3:4:5:6:7:8"     },
    {"",                      NULL                  },
    {":",                     NULL                  },
    {":::",                   NULL                  },
    {"1:",                    NULL                  },
    {"1:2:3:4:5:6:7",         NULL                  },
    {"1:2:3:4:5:6:7:8:9",     NULL                  },
    {"1:2:3:4:5:6:7:8::",     NULL                  },
    {"::1::",                 NULL                  },
    {"12345::",               NULL                  },
    {"1.2.3.4",               NULL                  },
    {"1:2:3:4:5:6:7:1.2.3.4", NULL                  },
    {"fe80::1%eth0",          NULL                  },
  };
  uint8_t ip[16];
  char text[WIRE_IP6TEXT];
  size_t i, n;
  for (i = 0; i < countof(rows); i++) {
    int got = wire_ip6(rows[i].in, strlen(rows[i].in), ip);
    CHECK((got == 16) == (rows[i].out != NULL));
    if (got != 16)
      continue;
    n = wire_ip6text(ip, text);
    CHECK(n == strlen(rows[i].out) && memcmp(text, rows[i].out, n) == 0);
  }
  CHECK(wire_ip4("255.0.10.1", 10, ip) == 4 && ip[0] == 255 && ip[2] == 10);
  CHECK(wire_ip4("1.2.3", 5, ip) < 0 && wire_ip4("1.2.3.256", 9, ip) < 0);
  CHECK(wire_ip4("1.2.3.04", 8, ip) < 0 && wire_ip4("1.2.3.4.", 8, ip) < 0);
  CHECK(wire_ip4("", 0, ip) < 0 && wire_ip4("1..2.3", 6, ip) < 0);
}

static void test_hex(void) {
  uint8_t bytes[WIRE_HEXMAX];
  CHECK(wire_hex("", 0, bytes) == 0);
  CHECK(wire_hex("aB:0c-ff", 8, bytes) == 3 && bytes[0] == 0xab);
  CHECK(wire_hex("a", 1, bytes) < 0 && wire_hex("aa:", 3, bytes) < 0);
  CHECK(wire_hex("aa:b", 4, bytes) < 0 && wire_hex("aabb", 4, bytes) < 0);
  CHECK(wire_hex("gg", 2, bytes) < 0);
}

static void test_flags(void) {
  static const struct wire_field low = {
    .kind = WIRE_FLAGS, .bits = 4, .more = "A.C"};
  static const struct wire_field high = {
    .kind = WIRE_MARKS, .bits = 3, .more = "MOH"};
  static const struct wire_field words = {
    .kind = WIRE_FLAGS, .bits = 3, .more = "MF,DF,evil"};
  char text[WIRE_FLAGTEXT];
  CHECK(wire_flagtext(&low, 5, text) == 2 && memcmp(text, "AC", 2) == 0);
  CHECK(wire_flagtext(&low, 2, text) < 0 && wire_flagtext(&low, 8, text) < 0);
  CHECK(wire_flagtext(&low, 0, text) == 0);
  CHECK(wire_flagtext(&high, 6, text) == 2 && memcmp(text, "MO", 2) == 0);
  CHECK(wire_flagtext(&words, 6, text) == 7 && !memcmp(text, "DF+evil", 7));
  CHECK(wire_flags(&low, "CA", 2) == 5 && wire_flags(&low, ".", 1) < 0);
  CHECK(wire_flags(&high, "H", 1) == 1 && wire_flags(&high, "X", 1) < 0);
  CHECK(wire_flags(&words, "MF+DF", 5) == 3 && wire_flags(&words, "", 0) == 0);
  CHECK(wire_flags(&words, "DFX", 3) < 0 && wire_flags(&words, "DF+", 3) == 2);
}

/* ---- sums ---- */

static uint32_t slow_sum(const uint8_t *p, size_t n) {
  uint64_t sum = 0;
  size_t i;
  for (i = 0; i < n; i++)
    sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint32_t)sum;
}

static void test_sums(void) {
  uint8_t bytes[600];
  size_t i, n;
  for (i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 7 + i / 3);
  for (n = 0; n < 64; n++)
    for (i = 0; i < 8; i++)
      CHECK(wire_sum(bytes + i, n, 0) == slow_sum(bytes + i, n));
  memset(bytes, 0xff, sizeof bytes);
  CHECK(wire_sum(bytes, sizeof bytes, 0xffff) == 0xffff);
  CHECK(wire_crc32c("123456789", 9, 0) == 0xe3069283); /* RFC 3720 */
  CHECK(wire_crc32c("6789", 4, wire_crc32c("12345", 5, 0)) == 0xe3069283);
}

/* ---- the decoder reads nothing but the packet ---- */

struct toucher {
  struct wire_sink sink;
  unsigned touched; /* the sum of all bytes that were told */
  long depth;       /* of open tables */
};

static struct toucher *to(struct wire_sink *s) {
  return (struct toucher *)(void *)s;
}

static void on_layer(struct wire_sink *s, const struct wire_layer *l,
                     size_t at) {
  to(s)->touched += (unsigned)at + (l->name[0] == 'x');
}
static void on_none(struct wire_sink *s) {
  to(s)->touched++;
}
static void on_number(struct wire_sink *s, const struct wire_table *t,
                      unsigned i, uint32_t value) {
  CHECK(i < t->n);
  to(s)->touched += value;
}
static void on_bytes(struct wire_sink *s, const struct wire_table *t,
                     unsigned i, const uint8_t *bytes, size_t n) {
  CHECK(i < t->n);
  while (n-- > 0)
    to(s)->touched += bytes[n];
}
static void on_word(struct wire_sink *s, const struct wire_table *t, unsigned i,
                    const char *word) {
  CHECK(i < t->n && word != NULL);
  to(s)->touched++;
}
static void on_open(struct wire_sink *s, const struct wire_table *t,
                    unsigned i) {
  CHECK(i < t->n);
  to(s)->depth++;
}
static void on_item(struct wire_sink *s, const struct wire_table *t) {
  CHECK(t->fields != NULL);
  to(s)->depth++;
}
static void on_close(struct wire_sink *s) {
  to(s)->depth--;
}
static void on_end(struct wire_sink *s, const struct wire_rest *r) {
  size_t i;
  for (i = 0; i < r->payload_len; i++)
    to(s)->touched += r->payload[i];
  for (i = 0; i < r->padding_len; i++)
    to(s)->touched += r->padding[i];
}

static struct toucher toucher = {
  .sink = {.layer = on_layer,
           .done = on_none,
           .drop = on_none,
           .number = on_number,
           .bytes = on_bytes,
           .word = on_word,
           .open = on_open,
           .close = on_close,
           .item = on_item,
           .end_item = on_close,
           .packet = on_open,
           .end_packet = on_end},
};

/* From a block of memory that is just as long. */
static void decode(const uint8_t *bytes, size_t n,
                   const struct wire_layer *first) {
  uint8_t *copy = malloc(n > 0 ? n : 1);
  int partial;
  CHECK(copy != NULL);
  memcpy(copy, bytes, n);
  for (partial = 0; partial < 2; partial++) {
    struct wire_decoder d = {
      .bytes = copy, .size = n, .sink = &toucher.sink, .partial = partial};
    if (wire_decode(&d, first) < 0) {
      CHECK(d.error.layer != NULL && d.error.what != NULL);
      CHECK(d.error.at <= n);
    }
  }
  free(copy);
}

static uint32_t seed = 1;

static uint32_t dice(uint32_t n) {
  seed = seed * 1664525 + 1013904223;
  return (seed >> 8) % n;
}

static const uint8_t udp[] = {
  0x45, 0, 0,    36, 0, 1, 0, 0,  64, 17, 0, 0, 10, 0, 0, 1, 10, 0,
  0,    2, 0x30, 57, 0, 7, 0, 16, 0,  0,  1, 2, 3,  4, 5, 6, 7,  8,
};

static void test_bounds(void) {
  static const uint8_t lengths[] = {0, 1,    2,    3,    4,   5,
                                    8, 0x45, 0x7f, 0x80, 0xff};
  uint8_t bytes[160];
  unsigned round, i, n;
  for (n = 0; n <= sizeof udp; n++)
    decode(udp, n, NULL);
  for (round = 0; round < 40000; round++) {
    n = dice(sizeof bytes + 1);
    for (i = 0; i < n; i++)
      bytes[i] =
        dice(3) == 0 ? lengths[dice(countof(lengths))] : (uint8_t)dice(256);
    decode(bytes, n, round % 34 < WIRE_NAMES ? wire_layers[round % 34] : NULL);
  }
  CHECK(toucher.touched != 0);
}

/* Layers within layers end. */
static void test_depth(void) {
  uint8_t bytes[8 * 200];
  struct wire_decoder d = {.bytes = bytes, .size = sizeof bytes};
  d.sink = &toucher.sink;
  memset(bytes, 0, sizeof bytes); /* hop-by-hop options behind each other */
  CHECK(wire_decode(&d, &wire_hop_by_hop) < 0);
  CHECK(d.error.at == 8 * WIRE_LAYERS);
}

int main(void) {
  int passed = 0;
  RUN(test_tables);
  RUN(test_addresses);
  RUN(test_hex);
  RUN(test_flags);
  RUN(test_sums);
  RUN(test_bounds);
  RUN(test_depth);
  printf("%d passed\n", passed);
  return 0;
}
