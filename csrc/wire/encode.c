/* SPDX-License-Identifier: MIT */
#include "wire/encode.h"

#include <stdlib.h>
#include <string.h>

#include "wire/check.h"
#include "wire/layers.h"

/* ---- the buffer ---- */

/* Room for n more bytes. */
void wire_reserve(struct wire_encoder *e, size_t n) {
  if (e->room - e->n < n)
    e->source->grow(e->source, e, e->n + n);
}

void wire_append(struct wire_encoder *e, const void *bytes, size_t n) {
  if (n == 0)
    return;
  wire_reserve(e, n);
  memcpy(e->bytes + e->n, bytes, n);
  e->n += n;
}

static void zeros(struct wire_encoder *e, size_t n) {
  wire_reserve(e, n);
  memset(e->bytes + e->n, 0, n);
  e->n += n;
}

/* Zeros, so that what begins at `from` is a multiple of the unit. */
void wire_pad(struct wire_encoder *e, size_t from, size_t unit) {
  if (unit > 1)
    zeros(e, (unit - (e->n - from) % unit) % unit);
}

/* Into bits that are there. */
void wire_put_bits(struct wire_encoder *e, size_t bit, unsigned bits,
                   uint32_t value) {
  unsigned i;
  for (i = 0; i < bits; i++, bit++) {
    uint8_t mask = (uint8_t)(0x80 >> (bit & 7));
    if ((value >> (bits - 1 - i) & 1) != 0)
      e->bytes[bit / 8] |= mask;
    else
      e->bytes[bit / 8] &= (uint8_t)~mask;
  }
}

static _Noreturn void fail(struct wire_encoder *e, const struct wire_table *t,
                           unsigned i, const char *why) {
  e->source->fail(e->source, t, i, why);
  abort(); /* the source has broken its promise */
}

/* ---- numbers ---- */

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
    zeros(e, n - e->n);
}

static uint32_t swapped(uint32_t v) {
  return v >> 24 | (v >> 8 & 0xff00) | (v & 0xff00) << 8 | v << 24;
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
                f->kind == WIRE_LITTLE ? swapped(v) : v);
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
    fail(e, p->t, p->i, "has more or less than its count can tell");
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
      fail(e, p->t, p->i, "is too long");
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
    zeros(e, n);
  }
  tell_count(e, p, f, e->n - from);
}

static void control(struct wire_encoder *e, struct put *p,
                    const struct wire_field *f) {
  uint32_t v = f->preset;
  uint8_t bytes[2];
  e->source->number(e->source, p->t, p->i, &v);
  bytes[0] = (uint8_t)v;
  bytes[1] = (uint8_t)(v >> 8);
  if ((v & 3) == 3 && v > 255)
    fail(e, p->t, p->i, "has one byte when its lowest bits are set");
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
      zeros(e, 128 - (e->n - from));
    wire_pad(e, from, f->unit);
    n = (e->n - from) / f->unit;
    if (n >> f->bits != 0)
      fail(e, p->t, p->i, "is too long");
    wire_put_bits(e, m->autos[i].bit, f->bits, (uint32_t)n);
  }
}

static void composite(struct wire_encoder *e, struct put *p,
                      const struct wire_field *f) {
  switch (f->kind) {
  case WIRE_CONTROL:
    control(e, p, f);
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

/* ---- layers ---- */

unsigned wire_begin(struct wire_encoder *e) {
  unsigned base = e->base;
  e->base = e->nmarks;
  e->depth++;
  return base;
}

void wire_end(struct wire_encoder *e, unsigned base) {
  e->nmarks = e->base;
  e->base = base;
  e->depth--;
}

/* The unit of the header's length, to which it is filled up. */
static size_t head_unit(const struct wire_table *t) {
  unsigned i;
  for (i = 0; i < t->n; i++)
    if (t->fields[i].role == WIRE_HEAD)
      return t->fields[i].unit;
  return 1;
}

bool wire_layer(struct wire_encoder *e, const struct wire_layer *l,
                const struct wire_layer *next, const uint8_t *trailer,
                size_t trailer_len) {
  struct wire_mark *m;
  if (e->nmarks - e->base == WIRE_LAYERS || e->nmarks == countof(e->marks))
    return false;
  m = e->mark = &e->marks[e->nmarks++];
  m->layer = l;
  m->next = next;
  m->trailer = trailer;
  m->trailer_len = trailer_len;
  m->start = e->n;
  m->lite = 0;
  m->n = 0;
  wire_put_table(e, l->table);
  wire_pad(e, m->start, head_unit(l->table));
  m->head = e->n;
  return true;
}

static struct wire_ends ends_below(const struct wire_encoder *e, unsigned k) {
  struct wire_ends ends = {.size = 0};
  unsigned i;
  for (i = e->base; i < k; i++) {
    const struct wire_mark *m = &e->marks[i];
    if (m->layer->ends != NULL && m->head - m->start >= m->layer->table->fixed)
      m->layer->ends(e->bytes + m->start, m->head - m->start, &ends);
  }
  return ends;
}

static void fill_next(struct wire_encoder *e, const struct wire_mark *m,
                      const struct wire_table *t, unsigned i, size_t bit) {
  const struct wire_field *f = &t->fields[i];
  int64_t v = m->next != NULL ? wire_number(f->unit, m->next) : -1;
  if (v < 0 && (f->unit == WIRE_PORT || f->unit == WIRE_SAP))
    return;
  if (v < 0 && f->unit == WIRE_PROTO && m->next == NULL && e->n == m->head)
    v = 59; /* IPv6: no next header */
  if (v < 0)
    fail(e, t, i, "cannot be told from what follows: it must be given");
  wire_put_bits(e, bit, f->bits,
                f->kind == WIRE_LITTLE ? swapped((uint32_t)v) : (uint32_t)v);
}

static void fill_length(struct wire_encoder *e, const struct wire_mark *m,
                        const struct wire_table *t, unsigned i, size_t bit) {
  const struct wire_field *f = &t->fields[i];
  int64_t v;
  if (f->role == WIRE_HEAD)
    v = ((int64_t)(m->head - m->start) - f->bias) / f->unit;
  else if (f->role == WIRE_BODY)
    v = (int64_t)(e->n - m->start) - t->fixed;
  else
    v = (int64_t)(e->n - m->start);
  if (v < 0 || v >> f->bits != 0)
    fail(e, t, i,
         f->role == WIRE_HEAD ? "cannot tell so long a header"
                              : "cannot tell so many bytes");
  wire_put_bits(e, bit, f->bits, (uint32_t)v);
}

static void fill_sum(struct wire_encoder *e, unsigned k,
                     const struct wire_field *f, size_t bit) {
  const struct wire_mark *m = &e->marks[k];
  struct wire_summed s = {.bytes = e->bytes + m->start,
                          .n = e->n - m->start,
                          .at = bit / 8 - m->start,
                          .lite = m->lite,
                          .ends = ends_below(e, k)};
  if (f->unit == WIRE_SUM_HEADER)
    s.n = m->head - m->start;
  wire_put_bits(e, bit, f->bits, wire_checksum(f, &s));
}

static void fill(struct wire_encoder *e, unsigned k) {
  struct wire_mark *m = e->mark = &e->marks[k];
  unsigned j, pass;
  for (pass = 0; pass < 2; pass++) /* checksums at last */
    for (j = 0; j < m->n; j++) {
      const struct wire_table *t = m->autos[j].table;
      const struct wire_field *f = &t->fields[m->autos[j].i];
      if ((f->role == WIRE_SUM) != (pass == 1) || f->role == WIRE_ORIGINAL)
        continue;
      if (f->role == WIRE_SUM)
        fill_sum(e, k, f, m->autos[j].bit);
      else if (f->role == WIRE_NEXT || f->role == WIRE_TYPE)
        fill_next(e, m, t, m->autos[j].i, m->autos[j].bit);
      else
        fill_length(e, m, t, m->autos[j].i, m->autos[j].bit);
    }
}

void wire_finish(struct wire_encoder *e) {
  unsigned k;
  for (k = e->nmarks; k-- > e->base;) {
    e->source->revisit(e->source, e, k);
    fill(e, k);
    wire_append(e, e->marks[k].trailer, e->marks[k].trailer_len);
  }
}
