/* SPDX-License-Identifier: MIT
 * Items of a type, a length and a body, on their way out. */
#include <string.h>

#include "wire/decode.h" /* wire_item */
#include "wire/encode.h"
#include "wire/text.h"

static _Noreturn void fail(struct wire_encoder *e, unsigned i,
                           const char *why) {
  wire_fail(e, &wire_item, i, why);
}

/* The row of the item's type; *raw: the body is given as bytes. */
static const struct wire_tlv *row_of(struct wire_encoder *e,
                                     const struct wire_family *f,
                                     uint32_t *type, bool *raw) {
  const char *word = NULL;
  unsigned i;
  *raw = true;
  if (!e->source->word(e->source, &wire_item, WIRE_ITEM_TYPE, &word, type))
    fail(e, WIRE_ITEM_TYPE, "is missing");
  for (i = 0; i < f->n; i++)
    if (word != NULL ? strcmp(word, f->rows[i].name) == 0
                     : f->rows[i].type == *type) {
      *type = f->rows[i].type;
      *raw =
        f->rows[i].table == NULL ||
        (word == NULL && e->source->has(e->source, &wire_item, WIRE_ITEM_DATA));
      return &f->rows[i];
    }
  if (word != NULL)
    fail(e, WIRE_ITEM_TYPE, "is no name that is known here");
  if (*type >> 8 * f->wide != 0)
    fail(e, WIRE_ITEM_TYPE, "is too large");
  return NULL;
}

static uint8_t flags_of(struct wire_encoder *e, const struct wire_tlv *row) {
  struct wire_field f = {.kind = WIRE_FLAGS, .bits = 8, .more = ""};
  const char *word = NULL;
  uint32_t v = 0;
  int64_t bits;
  if (!e->source->word(e->source, &wire_item, WIRE_ITEM_FLAGS, &word, &v))
    return 0;
  if (row != NULL && row->flags != NULL)
    f.more = row->flags;
  bits = word != NULL ? wire_flags(&f, word, strlen(word)) : (int64_t)v;
  if (bits < 0)
    fail(e, WIRE_ITEM_FLAGS, "has a letter that is not known here");
  if (bits > 255)
    fail(e, WIRE_ITEM_FLAGS, "is too large");
  return (uint8_t)bits;
}

static void append(struct wire_encoder *e, unsigned i) {
  const uint8_t *bytes;
  size_t n;
  if (e->source->bytes(e->source, &wire_item, i, &bytes, &n))
    wire_append(e, bytes, n);
}

static void put_length(struct wire_encoder *e, const struct wire_family *f,
                       size_t at, size_t head) {
  uint32_t v;
  unsigned bytes = head == 4 ? 2 : 1;
  size_t n = e->n - at - (f->bare ? head : 0);
  if (!e->source->number(e->source, &wire_item, WIRE_ITEM_LENGTH, &v)) {
    if (n / f->unit >> 8 * bytes != 0)
      fail(e, WIRE_ITEM_LENGTH, "cannot tell so many bytes");
    v = (uint32_t)(n / f->unit);
  }
  wire_put_bits(e, (at + head - bytes) * 8, 8 * bytes, v);
}

static void put_padding(struct wire_encoder *e, const struct wire_family *f,
                        size_t at, bool last) {
  if (e->source->has(e->source, &wire_item, WIRE_ITEM_PADDING))
    append(e, WIRE_ITEM_PADDING);
  else if (!last || f->last)
    wire_pad(e, at, f->align);
}

static void put_item(struct wire_encoder *e, const struct wire_family *f,
                     bool last) {
  uint32_t type = 0;
  bool raw;
  const struct wire_tlv *row = row_of(e, f, &type, &raw);
  size_t at = e->n, head = f->flags ? 4 : 2u * f->wide;
  uint8_t bytes[4] = {0};
  if (type < 8 && (f->single >> type & 1) != 0) {
    bytes[0] = (uint8_t)type;
    wire_append(e, bytes, 1);
    if (type == 0 && f->ends)
      append(e, WIRE_ITEM_DATA);
    return;
  }
  bytes[0] = (uint8_t)(f->wide == 2 ? type >> 8 : type);
  bytes[1] = (uint8_t)(f->wide == 2 ? type : 0);
  if (f->flags)
    bytes[1] = flags_of(e, row);
  wire_append(e, bytes, head);
  if (raw)
    append(e, WIRE_ITEM_DATA);
  else
    wire_put_table(e, row->table);
  wire_pad(e, at, f->unit);
  put_length(e, f, at, head);
  if (f->align > 1)
    put_padding(e, f, at, last);
}

/* Pad1 or PadN, up to a multiple of the header's unit. */
static void fill_up(struct wire_encoder *e, size_t from, size_t unit) {
  uint8_t pad[2] = {1, 0};
  size_t n = (unit - (e->n - from) % unit) % unit;
  if (n == 0)
    return;
  if (n == 1) {
    wire_append(e, "", 1);
    return;
  }
  pad[1] = (uint8_t)(n - 2);
  wire_append(e, pad, 2);
  wire_pad(e, from, unit);
}

void wire_put_tlvs(struct wire_encoder *e, const struct wire_family *f,
                   const struct wire_table *t, unsigned i) {
  long k, n = e->source->list(e->source, t, i);
  for (k = 0; k < n; k++) {
    e->source->item(e->source, &wire_item, k);
    put_item(e, f, k + 1 == n);
    e->source->end_item(e->source);
  }
  if (n >= 0)
    e->source->close(e->source);
  if (f->fill > 1)
    fill_up(e, e->mark->start, f->fill);
}
