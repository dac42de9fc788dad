/* SPDX-License-Identifier: MIT
 * Items of a type, a length and a body. One whose body is not what its type
 * has is told as bytes; one whose length is wrong is malformed. */
#include "wire/decode.h"
#include "wire/text.h"

static const struct wire_field item_fields[] = {
  UINT("type", 16),    RESERVED("flags", 8),   UINT("length", 16),
  REST("data", BYTES), REST("padding", BYTES),
};
const struct wire_table wire_item = WIRE_TABLE(item_fields, 0);

static const struct wire_tlv *find(const struct wire_family *f, uint32_t type) {
  unsigned i;
  for (i = 0; i < f->n; i++)
    if (f->rows[i].type == type)
      return &f->rows[i];
  return NULL;
}

/* Whether a body of n bytes is one of these fields. */
static bool fits(const struct wire_table *t, size_t n) {
  const struct wire_field *last;
  if (t->n == 0 || n < t->fixed)
    return n == t->fixed;
  last = &t->fields[t->n - 1];
  if (last->kind == WIRE_LIST && last->by == 0)
    return (n - t->fixed) % ((const struct wire_table *)last->more)->fixed == 0;
  return last->kind > WIRE_LAST_FIXED || n == t->fixed;
}

static void tell_type(struct wire_decoder *d, const struct wire_tlv *row,
                      uint32_t type) {
  if (row != NULL)
    d->sink->word(d->sink, &wire_item, WIRE_ITEM_TYPE, row->name);
  else
    d->sink->number(d->sink, &wire_item, WIRE_ITEM_TYPE, type);
}

static void tell_flags(struct wire_decoder *d, const struct wire_tlv *row,
                       uint32_t flags) {
  struct wire_field f = {.kind = WIRE_FLAGS, .bits = 8};
  char text[WIRE_FLAGTEXT];
  int n = -1;
  if (flags == 0)
    return;
  if (row != NULL && row->flags != NULL) {
    f.more = row->flags;
    n = wire_flagtext(&f, flags, text);
  }
  if (n < 0) {
    d->sink->number(d->sink, &wire_item, WIRE_ITEM_FLAGS, flags);
    return;
  }
  text[n] = '\0';
  d->sink->word(d->sink, &wire_item, WIRE_ITEM_FLAGS, text);
}

static void tell_bytes(struct wire_decoder *d, unsigned i, size_t from,
                       size_t n) {
  if (n > 0)
    d->sink->bytes(d->sink, &wire_item, i, d->bytes + from, n);
}

/* An item without a length. One that ends the list takes the rest, which is
 * told unless it is what the encoder would fill up with. */
static int single(struct wire_decoder *d, const struct wire_family *f,
                  uint32_t type, size_t end) {
  size_t rest;
  int r = 0;
  d->sink->item(d->sink, &wire_item);
  tell_type(d, find(f, type), type);
  d->at++;
  if (type == 0 && f->ends) {
    r = wire_need(d, end, end);
    if (r < 0)
      return r;
    rest = end - d->at;
    if (rest > 3 || !wire_zero(d->bytes + d->at, rest))
      tell_bytes(d, WIRE_ITEM_DATA, d->at, rest);
    d->at = end;
  }
  d->sink->end_item(d->sink);
  return 0;
}

/* Padding is told when it is not what the encoder would put there: full and
 * zero, and none behind the last item unless the family says so. */
static int pad(struct wire_decoder *d, const struct wire_family *f, size_t n,
               size_t end) {
  size_t full = (f->align - n % f->align) % f->align, left = end - d->at;
  size_t got = full < left ? full : left;
  int r;
  if (f->last && got < full)
    return wire_badat(d, "padding is cut short", d->at);
  r = wire_need(d, d->at + got, end);
  if (r < 0)
    return r;
  if (!wire_zero(d->bytes + d->at, got) || (!f->last && got == left))
    tell_bytes(d, WIRE_ITEM_PADDING, d->at, got);
  d->at += got;
  return 0;
}

/* The body, from d->at up to stop. If it is not what it should be, it is told
 * as bytes even if there are none: else the encoder would make it right. */
static int body(struct wire_decoder *d, const struct wire_tlv *row, bool odd,
                size_t stop) {
  int r;
  if (odd || row == NULL || row->table == NULL) {
    if (odd || stop > d->at)
      d->sink->bytes(d->sink, &wire_item, WIRE_ITEM_DATA, d->bytes + d->at,
                     stop - d->at);
    d->at = stop;
    return 0;
  }
  r = wire_walk(d, row->table, stop);
  if (r == 0 && d->at != stop)
    return wire_badat(d, "item has bytes left over", d->at);
  return r;
}

static int bad_length(struct wire_decoder *d, size_t value, size_t at) {
  wire_bad(d, "item length", (uint32_t)value);
  d->error.at = at;
  return WIRE_BAD;
}

static int item(struct wire_decoder *d, const struct wire_family *f,
                size_t end) {
  size_t at = d->at, head = f->flags ? 4 : 2u * f->wide, length, told;
  const struct wire_tlv *row;
  const uint8_t *p = d->bytes + at;
  uint32_t type;
  bool odd;
  int r = wire_need(d, at + f->wide, end);
  if (r < 0)
    return r;
  type = f->wide == 1 ? *p : wire_16(p);
  if (type < 8 && (f->single >> type & 1) != 0)
    return single(d, f, type, end);
  r = wire_need(d, at + head, end);
  if (r < 0)
    return r;
  told = head == 4 ? wire_16(p + 2) : p[1];
  length = told * f->unit + (f->bare ? head : 0);
  if (length < head || length > end - at)
    return bad_length(d, told, at);
  r = wire_need(d, at + length, end);
  if (r < 0)
    return r;
  row = find(f, type);
  odd = row != NULL && row->table != NULL && !fits(row->table, length - head);
  if (odd)
    row = NULL;
  d->sink->item(d->sink,
                row != NULL && row->table != NULL ? row->table : &wire_item);
  tell_type(d, row, type);
  if (f->flags)
    tell_flags(d, row, d->bytes[at + f->wide]);
  d->at = at + head;
  r = body(d, row, odd, at + length);
  if (r == 0 && f->align > 1)
    r = pad(d, f, length, end);
  if (r == 0)
    d->sink->end_item(d->sink);
  return r;
}

int wire_tlvs(struct wire_decoder *d, const struct wire_family *f, size_t end) {
  int r = 0;
  while (r == 0 && d->at < end)
    r = item(d, f, end);
  return r;
}
