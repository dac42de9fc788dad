/* SPDX-License-Identifier: MIT */
#include "wire/encode.h"

#include <stdlib.h>
#include <string.h>

#include "wire/check.h"
#include "wire/layers.h"

/* ---- the buffer ---- */

/* Room for n more bytes. */
static void reserve(struct wire_encoder *e, size_t n) {
  if (e->room - e->n < n)
    e->source->grow(e->source, e, e->n + n);
}

void wire_append(struct wire_encoder *e, const void *bytes, size_t n) {
  if (n == 0)
    return;
  reserve(e, n);
  memcpy(e->bytes + e->n, bytes, n);
  e->n += n;
}

void wire_pad(struct wire_encoder *e, size_t from, size_t unit) {
  if (unit > 1)
    wire_zeros(e, (unit - (e->n - from) % unit) % unit);
}

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

void wire_zeros(struct wire_encoder *e, size_t n) {
  reserve(e, n);
  memset(e->bytes + e->n, 0, n);
  e->n += n;
}

_Noreturn void wire_fail(struct wire_encoder *e, const struct wire_table *t,
                         unsigned i, const char *why) {
  e->source->fail(e->source, t, i, why);
  abort(); /* the source has broken its promise */
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
  if (v < 0 && (f->unit == WIRE_PORT || f->unit == WIRE_SAP ||
                f->unit == WIRE_IPX_TYPE || f->unit == WIRE_IPX_SOCKET))
    return;
  if (v < 0 && f->unit == WIRE_PROTO && m->next == NULL && e->n == m->head)
    v = 59; /* IPv6: no next header */
  if (v < 0)
    wire_fail(e, t, i, "cannot be told from what follows: it must be given");
  wire_put_bits(e, bit, f->bits,
                f->kind == WIRE_LITTLE ? wire_swapped((uint32_t)v)
                                       : (uint32_t)v);
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
    wire_fail(e, t, i,
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
