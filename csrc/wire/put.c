/* SPDX-License-Identifier: MIT
 * The fields of a table, one after the other, on their way out. What cannot be
 * known yet is 0, and remembered in the layer's mark. */
#include <stdlib.h>
#include <string.h>

#include "wire/check.h"
#include "wire/encode.h"
#include "wire/layers.h"

struct put {
  const struct wire_table *t;
  size_t base, bit; /* `bit` counts from the byte `base` */
  unsigned i;
  uint32_t given; /* bit i: field i is */
  uint32_t v[WIRE_FIELDS];
  size_t at[WIRE_FIELDS]; /* in bits, from the first byte of all */
};

/* Zero bytes up to this bit. */
static void extend(struct wire_encoder *e, size_t base, size_t bit) {
  size_t n = base + (bit + 7) / 8;
  if (n > e->n)
    wire_zeros(e, n - e->n);
}

/* What comes next, when all is known. */
static void later(struct wire_encoder *e, const struct put *p) {
  struct wire_mark *m = e->mark;
  if (m->n == WIRE_AUTOS)
    abort(); /* no table has so many: test/unit/wire.c */
  m->autos[m->n].table = p->t;
  m->autos[m->n].i = (uint8_t)p->i;
  m->autos[m->n].bit = p->at[p->i];
  m->n++;
}

/* A number that rules whether this one is there becomes true if it is. */
static bool ruled_out(struct wire_encoder *e, struct put *p,
                      const struct wire_field *f, bool given) {
  unsigned ruler = f->by - 1u;
  if (f->by == 0 || p->v[ruler] != 0)
    return false;
  if (!given || (p->given >> ruler & 1) != 0)
    return true;
  p->v[ruler] = 1;
  wire_put_bits(e, p->at[ruler], 1, 1);
  return false;
}

/* A type, unless it is a length: that is in the next row. */
static bool is_length(struct wire_encoder *e, const struct put *p, bool given) {
  return !given && (e->source->has(e->source, p->t, p->i + 1) ||
                    e->mark->next == &wire_llc);
}

static void number(struct wire_encoder *e, struct put *p,
                   const struct wire_field *f) {
  uint32_t v = f->preset;
  bool given = e->source->number(e->source, p->t, p->i, &v);
  if (f->role == WIRE_TYPE && is_length(e, p, given))
    return;
  p->v[p->i] = 0;
  if (ruled_out(e, p, f, given))
    return;
  p->v[p->i] = v;
  p->at[p->i] = p->base * 8 + p->bit;
  if (given)
    p->given |= UINT32_C(1) << p->i;
  extend(e, p->base, p->bit + f->bits);
  wire_put_bits(e, p->at[p->i], f->bits,
                f->kind == WIRE_LITTLE ? wire_swapped(v) : v);
  if (f->role == WIRE_SUM)
    e->mark->lite = p->i > 0 ? p->v[p->i - 1] : 0;
  if (!given && f->role > WIRE_MUST)
    later(e, p);
  p->bit += f->bits;
  if (f->role == WIRE_TYPE)
    p->i++;
}

/* How many of a field there are, in the number that rules it. */
static void tell_count(struct wire_encoder *e, struct put *p,
                       const struct wire_field *f, size_t n) {
  unsigned ruler = f->by - 1u, bits;
  int64_t v = ((int64_t)n - f->bias) / (f->unit > 0 ? f->unit : 1);
  if (f->by == 0 || (p->given >> ruler & 1) != 0)
    return;
  bits = p->t->fields[ruler].bits;
  if (v < 0 || (bits < 32 && v >> bits != 0))
    wire_fail(e, p->t, p->i, "has more or less than its count can tell");
  wire_put_bits(e, p->at[ruler], bits, (uint32_t)v);
  p->v[ruler] = (uint32_t)v;
  p->given |= UINT32_C(1) << ruler; /* the first says it for all */
}

/* ---- bytes ---- */

static void fixed(struct wire_encoder *e, struct put *p,
                  const struct wire_field *f) {
  const uint8_t *bytes;
  size_t n = f->bits / 8u, got, at = p->base + p->bit / 8;
  extend(e, p->base, p->bit + f->bits);
  if (e->source->bytes(e->source, p->t, p->i, &bytes, &got)) {
    if (got > n)
      wire_fail(e, p->t, p->i, "is too long");
    memcpy(e->bytes + at, bytes, got);
    if (f->kind == WIRE_BOX)
      tell_count(e, p, f, got);
  }
  p->bit += f->bits;
}

/* Of an address that is not given there are as many bytes as the number says;
 * where that is not given either, as many as ARP usually has. */
static void variable(struct wire_encoder *e, struct put *p,
                     const struct wire_field *f) {
  const uint8_t *bytes;
  size_t n, unit = f->unit > 0 ? f->unit : 1, from = e->n;
  if (e->source->bytes(e->source, p->t, p->i, &bytes, &n)) {
    wire_append(e, bytes, n);
    if (f->by > 0 && f->bias == 0)
      wire_pad(e, from, unit);
  } else if (f->by > 0 && f->kind != WIRE_BYTES) {
    n = (p->given >> (f->by - 1) & 1) != 0 ? p->v[f->by - 1]
        : f->kind == WIRE_HEX              ? 6
                                           : 4;
    wire_zeros(e, n);
  }
  tell_count(e, p, f, e->n - from);
}

static void text(struct wire_encoder *e, struct put *p,
                 const struct wire_field *f) {
  const uint8_t *bytes;
  size_t n = 0;
  if (e->source->bytes(e->source, p->t, p->i, &bytes, &n)) {
    if (n > f->unit)
      wire_fail(e, p->t, p->i, "is too long");
    wire_append(e, bytes, n);
  }
  wire_zeros(e, f->unit - n);
}

static void control(struct wire_encoder *e, struct put *p,
                    const struct wire_field *f) {
  uint32_t v = f->preset;
  uint8_t bytes[2];
  e->source->number(e->source, p->t, p->i, &v);
  bytes[0] = (uint8_t)v;
  bytes[1] = (uint8_t)(v >> 8);
  if ((v & 3) == 3 && v > 255)
    wire_fail(e, p->t, p->i, "has one byte when its lowest bits are set");
  wire_append(e, bytes, (v & 3) == 3 ? 1 : 2);
}

/* ---- what is made of other things ---- */

static void list(struct wire_encoder *e, struct put *p,
                 const struct wire_field *f) {
  const struct wire_table *t = f->more;
  long k, n = e->source->list(e->source, p->t, p->i);
  for (k = 0; k < n; k++) {
    e->source->item(e->source, t, k);
    wire_put_table(e, t);
    e->source->end_item(e->source);
  }
  if (n >= 0)
    e->source->close(e->source);
  if (f->by > 0)
    tell_count(e, p, f, n > 0 ? (size_t)n : 0);
}

static void cases(struct wire_encoder *e, struct put *p,
                  const struct wire_field *f) {
  const struct wire_cases *c = f->more;
  uint32_t v = p->v[f->by - 1];
  unsigned i;
  for (i = 0; i < c->n; i++) {
    const struct wire_case *r = &c->rows[i];
    if (r->lo <= v && v <= r->hi &&
        (r->marker == 0 ||
         e->source->has(e->source, r->table, r->marker - 1u))) {
      wire_put_table(e, r->table);
      return;
    }
  }
}

/* The checksum of a group is the only field that it fills in. */
static void group(struct wire_encoder *e, struct put *p,
                  const struct wire_field *f) {
  struct wire_mark *m = e->mark;
  unsigned was = m->n;
  size_t at = e->n;
  struct wire_summed s;
  if (!e->source->group(e->source, p->t, p->i))
    return;
  wire_put_table(e, f->more);
  e->source->close(e->source);
  if (m->n == was)
    return;
  m->n = was;
  s = (struct wire_summed){.bytes = e->bytes + at, .n = e->n - at};
  wire_put_bits(
    e, m->autos[was].bit, 16,
    wire_checksum(&m->autos[was].table->fields[m->autos[was].i], &s));
}

/* With an extension behind it, the original has 128 bytes at least, and its
 * length is told (RFC 4884). */
static void nested(struct wire_encoder *e, struct put *p) {
  struct wire_mark *m = e->mark;
  const struct wire_field *f;
  size_t from = e->n, n;
  unsigned i;
  e->source->packet(e->source, p->t, p->i, e);
  e->mark = m;
  if (p->i + 1u >= p->t->n || !e->source->has(e->source, p->t, p->i + 1))
    return;
  for (i = 0; i < m->n; i++) {
    f = &m->autos[i].table->fields[m->autos[i].i];
    if (f->role != WIRE_ORIGINAL)
      continue;
    if (e->n - from < 128)
      wire_zeros(e, 128 - (e->n - from));
    wire_pad(e, from, f->unit);
    n = (e->n - from) / f->unit;
    if (n >> f->bits != 0)
      wire_fail(e, p->t, p->i, "is too long");
    wire_put_bits(e, m->autos[i].bit, f->bits, (uint32_t)n);
  }
}

static void composite(struct wire_encoder *e, struct put *p,
                      const struct wire_field *f) {
  switch (f->kind) {
  case WIRE_CONTROL:
    control(e, p, f);
    break;
  case WIRE_TEXT:
    text(e, p, f);
    break;
  case WIRE_LIST:
    list(e, p, f);
    break;
  case WIRE_TLVS:
    wire_put_tlvs(e, f->more, p->t, p->i);
    break;
  case WIRE_CASE:
    cases(e, p, f);
    break;
  case WIRE_GROUP:
    group(e, p, f);
    break;
  case WIRE_NESTED:
    nested(e, p);
    break;
  default:
    variable(e, p, f);
  }
  p->bit = (e->n - p->base) * 8;
}

void wire_put_table(struct wire_encoder *e, const struct wire_table *t) {
  struct put p;
  p.t = t;
  p.base = e->n;
  p.bit = 0;
  p.given = 0;
  for (p.i = 0; p.i < t->n; p.i++) {
    const struct wire_field *f = &t->fields[p.i];
    if (f->kind <= WIRE_LAST_NUMBER)
      number(e, &p, f);
    else if (f->kind <= WIRE_LAST_FIXED)
      fixed(e, &p, f);
    else
      composite(e, &p, f);
  }
}
