/* SPDX-License-Identifier: MIT
 * The fields of a table, one after the other: what they hold goes to the sink,
 * and what they mean changes where the decoder is. */
#include "wire/check.h"
#include "wire/decode.h"
#include "wire/layers.h"

/* ---- numbers, and what they mean ---- */

struct walk {
  const struct wire_table *t;
  size_t base, bit; /* `bit` counts from the byte `base` */
  size_t end;       /* of what the table may take */
  unsigned i;
  uint32_t v[WIRE_FIELDS];
};

int wire_set_end(struct wire_decoder *d, size_t end) {
  if (end > d->end)
    return WIRE_BAD;
  if (end > d->cap) {
    if (d->rest.truncated == NULL)
      d->rest.truncated = d->layer->name;
  } else if (end < d->cap) {
    if (d->bounded) {
      d->sink->bytes(d->sink, &wire_common, WIRE_COMMON_TRAILER, d->bytes + end,
                     d->cap - end);
    } else {
      d->rest.padding = d->bytes + end;
      d->rest.padding_len = d->cap - end;
    }
    d->cap = end;
  }
  d->end = end;
  d->bounded = true;
  return 0;
}

static int set_length(struct wire_decoder *d, struct walk *w,
                      const struct wire_field *f, uint32_t v) {
  size_t head = d->head > 0 ? d->head - d->start : w->t->fixed;
  int64_t n = (int64_t)v;
  if (f->role == WIRE_BODY)
    n += w->t->fixed;
  if (v == 0 && d->layer->zero != NULL) {
    n = d->layer->zero(d);
    if (n == (int64_t)WIRE_OPEN)
      return 0;
  }
  if (n < (int64_t)head || wire_set_end(d, d->start + (size_t)n) < 0)
    return wire_bad(d, f->name, v);
  if (d->head == 0)
    w->end = d->end;
  return 0;
}

static int set_head(struct wire_decoder *d, struct walk *w,
                    const struct wire_field *f, uint32_t v) {
  size_t n = (size_t)((int64_t)v * f->unit + f->bias);
  if (n < w->t->fixed || n > d->end - d->start)
    return wire_bad(d, f->name, v);
  d->head = w->end = d->start + n;
  return d->head > d->cap ? WIRE_CUT : 0;
}

/* Returns 1 if the bits are the next row's. */
static int heed(struct wire_decoder *d, struct walk *w,
                const struct wire_field *f, uint32_t v) {
  switch (f->role) {
  case WIRE_MUST:
    return v == f->preset ? 0 : wire_bad(d, f->name, v);
  case WIRE_HEAD:
    return set_head(d, w, f, v);
  case WIRE_TOTAL:
  case WIRE_BODY:
    return set_length(d, w, f, v);
  case WIRE_ORIGINAL:
    d->original = (size_t)v * f->unit;
    return 0;
  case WIRE_TYPE:
    if (v <= 1500)
      return 1;
    w->i++; /* it is no length */
    d->next = wire_next(f->unit, v);
    return 0;
  case WIRE_NEXT:
    d->next = wire_next(f->unit, v);
    return 0;
  default: /* WIRE_SUM */
    d->sum = f;
    d->sum_at = w->base + w->bit / 8;
    d->lite = w->i > 0 ? w->v[w->i - 1] : 0;
    return 0;
  }
}

static int number(struct wire_decoder *d, struct walk *w,
                  const struct wire_field *f) {
  const uint8_t *p = d->bytes + w->base;
  unsigned i = w->i;
  uint32_t v;
  int r;
  w->v[i] = 0;
  if (f->by > 0 && w->v[f->by - 1] == 0)
    return 0;
  if (w->bit / 8 >= w->t->fixed) {
    r = wire_need(d, w->base + (w->bit + f->bits + 7) / 8, w->end);
    if (r < 0)
      return r;
  }
  v = wire_bits(p, w->bit, f->bits);
  if (f->kind == WIRE_LITTLE)
    v = wire_swapped(v);
  w->v[i] = v;
  if (f->role != WIRE_PLAIN) {
    r = heed(d, w, f, v);
    if (r != 0)
      return r < 0 ? r : 0;
  }
  w->bit += f->bits;
  if (!f->quiet || v != f->preset)
    d->sink->number(d->sink, w->t, i, v);
  return 0;
}

/* ---- bytes ---- */

/* How many there are of a field. A negative number is malformed. */
static int64_t count(const struct walk *w, const struct wire_field *f) {
  return (int64_t)w->v[f->by - 1] * f->unit + f->bias;
}

static int fixed(struct wire_decoder *d, struct walk *w,
                 const struct wire_field *f) {
  size_t n = f->bits / 8u, at = w->base + w->bit / 8, told = n;
  int r = 0;
  if (w->bit / 8 >= w->t->fixed)
    r = wire_need(d, at + n, w->end);
  if (r < 0)
    return r;
  if (f->kind == WIRE_BOX && w->v[f->by - 1] < n &&
      wire_zero(d->bytes + at + w->v[f->by - 1], n - w->v[f->by - 1]))
    told = w->v[f->by - 1];
  d->sink->bytes(d->sink, w->t, w->i, d->bytes + at, told);
  w->bit += f->bits;
  return 0;
}

/* Without the zeros that fill it up. */
static int text(struct wire_decoder *d, struct walk *w,
                const struct wire_field *f) {
  const uint8_t *p = d->bytes + d->at;
  size_t n = f->unit;
  int r = wire_need(d, d->at + n, w->end);
  if (r < 0)
    return r;
  while (n > 0 && p[n - 1] == 0)
    n--;
  d->sink->bytes(d->sink, w->t, w->i, p, n);
  d->at += f->unit;
  return 0;
}

static int variable(struct wire_decoder *d, struct walk *w,
                    const struct wire_field *f) {
  int64_t n = (int64_t)(w->end - d->at);
  int r;
  if (f->by > 0)
    n = count(w, f);
  if (n < 0)
    return wire_bad(d, w->t->fields[f->by - 1].name, w->v[f->by - 1]);
  r = wire_need(d, d->at + (size_t)n, w->end);
  if (r < 0)
    return r;
  if (n > 0 || !f->quiet)
    d->sink->bytes(d->sink, w->t, w->i, d->bytes + d->at, (size_t)n);
  d->at += (size_t)n;
  return 0;
}

/* The control field of 802.2: only that of U frames has one byte. */
static int control(struct wire_decoder *d, struct walk *w) {
  const uint8_t *p = d->bytes + d->at;
  int r = wire_need(d, d->at + 1, w->end);
  size_t n;
  if (r < 0)
    return r;
  n = (*p & 3) == 3 ? 1 : 2;
  r = wire_need(d, d->at + n, w->end);
  if (r < 0)
    return r;
  d->sink->number(d->sink, w->t, w->i, n == 1 ? *p : *p | (uint32_t)p[1] << 8);
  d->at += n;
  return 0;
}

/* ---- what is made of other things ---- */

static int list_item(struct wire_decoder *d, const struct wire_table *t,
                     size_t end) {
  int r;
  if (t->fields[0].name == NULL)
    return wire_walk(d, t, end);
  d->sink->item(d->sink, t);
  r = wire_walk(d, t, end);
  if (r == 0)
    d->sink->end_item(d->sink);
  return r;
}

static int list(struct wire_decoder *d, struct walk *w,
                const struct wire_field *f) {
  int64_t n = f->by > 0 ? count(w, f) : INT64_MAX;
  int r = 0;
  if (n < 0)
    return wire_bad(d, w->t->fields[f->by - 1].name, w->v[f->by - 1]);
  d->sink->open(d->sink, w->t, w->i);
  for (; r == 0 && n > 0 && (f->by > 0 || d->at < w->end); n--)
    r = list_item(d, f->more, w->end);
  if (r == 0)
    d->sink->close(d->sink);
  return r;
}

static int tlvs(struct wire_decoder *d, struct walk *w,
                const struct wire_field *f) {
  int r;
  if (d->at >= w->end)
    return 0;
  d->sink->open(d->sink, w->t, w->i);
  r = wire_tlvs(d, f->more, w->end);
  if (r == 0)
    d->sink->close(d->sink);
  return r;
}

static int cases(struct wire_decoder *d, struct walk *w,
                 const struct wire_field *f) {
  const struct wire_cases *c = f->more;
  uint32_t v = w->v[f->by - 1];
  size_t left = w->end - d->at;
  unsigned i;
  for (i = 0; i < c->n; i++)
    if (c->rows[i].lo <= v && v <= c->rows[i].hi && c->rows[i].min <= left)
      return wire_walk(d, c->rows[i].table, w->end);
  return 0;
}

bool wire_sum_ok(const struct wire_decoder *d, size_t from, size_t end) {
  struct wire_summed s = {.bytes = d->bytes + from,
                          .n = end - from,
                          .at = d->sum_at - from,
                          .lite = d->lite,
                          .ends = d->ends};
  return wire_check(d->sum, &s);
}

static int group(struct wire_decoder *d, struct walk *w,
                 const struct wire_field *f) {
  const struct wire_field *sum = d->sum;
  size_t at = d->at, sum_at = d->sum_at;
  int r;
  if (at >= w->end || at >= d->cap)
    return 0;
  d->sum = NULL;
  d->sink->open(d->sink, w->t, w->i);
  r = wire_walk(d, f->more, w->end);
  if (r < 0)
    return r;
  if (d->sum != NULL && !d->unsummed && !wire_sum_ok(d, at, d->at))
    d->sink->number(d->sink, &wire_common, WIRE_COMMON_CHECKSUM_OK, 0);
  d->sink->close(d->sink);
  d->sum = sum;
  d->sum_at = sum_at;
  return 0;
}

/* Where the nested packet ends: RFC 4884 is believed only where it fits, as
 * what came before it may have put anything there. */
static size_t nested_end(const struct wire_decoder *d, size_t end) {
  size_t n = d->original;
  end = end < d->cap ? end : d->cap;
  if (n == 0 || n > end - d->at || end - d->at - n < 4 ||
      d->bytes[d->at + n] >> 4 != 2)
    return end;
  return d->at + n;
}

/* Within a nested packet no other is decoded, so this ends. */
static int nested(struct wire_decoder *d, struct walk *w) {
  size_t stop = nested_end(d, w->end);
  struct wire_decoder outer = *d;
  if (stop == d->at)
    return 0;
  if (d->nested) {
    d->sink->bytes(d->sink, w->t, w->i, d->bytes + d->at, stop - d->at);
    d->at = stop;
    return 0;
  }
  d->cap = stop;
  d->end = WIRE_OPEN;
  d->bounded = false;
  d->nested = true;
  d->ends.size = 0;
  d->rest = (struct wire_rest){0};
  d->sink->packet(d->sink, w->t, w->i);
  wire_chain(d, wire_ip(d->bytes[d->at]));
  *d = outer;
  d->at = stop;
  return 0;
}

static int composite(struct wire_decoder *d, struct walk *w,
                     const struct wire_field *f) {
  int r;
  d->at = w->base + w->bit / 8;
  switch (f->kind) {
  case WIRE_CONTROL:
    r = control(d, w);
    break;
  case WIRE_TEXT:
    r = text(d, w, f);
    break;
  case WIRE_LIST:
    r = list(d, w, f);
    break;
  case WIRE_TLVS:
    r = tlvs(d, w, f);
    break;
  case WIRE_CASE:
    r = cases(d, w, f);
    break;
  case WIRE_GROUP:
    r = group(d, w, f);
    break;
  case WIRE_NESTED:
    r = nested(d, w);
    break;
  default:
    r = variable(d, w, f);
  }
  w->bit = (d->at - w->base) * 8;
  return r;
}

int wire_walk(struct wire_decoder *d, const struct wire_table *t, size_t end) {
  struct walk w;
  int r = wire_need(d, d->at + t->fixed, end);
  w.t = t;
  w.base = d->at;
  w.bit = 0;
  w.end = end;
  for (w.i = 0; r == 0 && w.i < t->n; w.i++) {
    const struct wire_field *f = &t->fields[w.i];
    if (f->kind <= WIRE_LAST_NUMBER)
      r = number(d, &w, f);
    else if (f->kind <= WIRE_LAST_FIXED)
      r = fixed(d, &w, f);
    else
      r = composite(d, &w, f);
  }
  d->at = w.base + w.bit / 8;
  return r;
}
