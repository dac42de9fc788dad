/* SPDX-License-Identifier: MIT
 * Headers to bytes: follows the tables of fields, and asks a source for what
 * is in them. What the source does not give is filled in: lengths, checksums,
 * what follows. Holds no memory but the buffer, which the caller lends. */
#ifndef NEAP_WIRE_ENCODE_H
#define NEAP_WIRE_ENCODE_H

#include "wire/field.h"

struct wire_encoder;

/* Where what is encoded comes from. There is always a table that the fields
 * are asked of: the layer's, or the one opened last. `fail` does not return:
 * it may longjmp, as the others may, when they are given what cannot be. */
struct wire_source {
  /* Each: whether the field is given. */
  bool (*number)(struct wire_source *s, const struct wire_table *t, unsigned i,
                 uint32_t *value);
  bool (*bytes)(struct wire_source *s, const struct wire_table *t, unsigned i,
                const uint8_t **bytes, size_t *n);
  /* A name, or with *word NULL a number. */
  bool (*word)(struct wire_source *s, const struct wire_table *t, unsigned i,
               const char **word, uint32_t *number);
  bool (*has)(struct wire_source *s, const struct wire_table *t, unsigned i);
  /* A list: the number of its items, or -1. Then item(k), from 0, and
   * end_item for each; then close. */
  long (*list)(struct wire_source *s, const struct wire_table *t, unsigned i);
  void (*item)(struct wire_source *s, const struct wire_table *t, long k);
  void (*end_item)(struct wire_source *s);
  /* A table of fields: whether it is given, then close. */
  bool (*group)(struct wire_source *s, const struct wire_table *t, unsigned i);
  void (*close)(struct wire_source *s);
  /* A packet, which is to be encoded between wire_begin and wire_finish. */
  bool (*packet)(struct wire_source *s, const struct wire_table *t, unsigned i,
                 struct wire_encoder *e);
  /* Makes e->room at least n; keeps what is in e->bytes. */
  void (*grow)(struct wire_source *s, struct wire_encoder *e, size_t n);
  /* What is asked, or fails, from now on is about this one of e->marks. */
  void (*revisit)(struct wire_source *s, struct wire_encoder *e, unsigned mark);
  void (*fail)(struct wire_source *s, const struct wire_table *t, unsigned i,
               const char *why);
};

enum { WIRE_AUTOS = 6 }; /* fields of a layer that can be filled in */

/* A layer that is written, with what is not known before the next ones are. */
struct wire_mark {
  const struct wire_layer *layer;
  const struct wire_layer *next; /* NULL: bytes, or nothing */
  const uint8_t *trailer;
  size_t trailer_len;
  size_t start, head; /* of the layer, and where its header ends */
  uint32_t lite;
  unsigned n;
  struct {
    const struct wire_table *table;
    uint8_t i;
    size_t bit; /* from the first byte of all */
  } autos[WIRE_AUTOS];
};

struct wire_encoder {
  uint8_t *bytes;
  size_t n, room;
  struct wire_source *source;
  struct wire_mark *mark; /* of the layer that is being written */
  struct wire_mark marks[2 * WIRE_LAYERS];
  unsigned nmarks, base; /* of them, and the first of this packet */
  unsigned depth;        /* of packets within packets */
};

/* Writes a header; `next` is the layer behind it, or NULL. The trailer comes
 * behind all that follows. False if there are too many. */
bool wire_layer(struct wire_encoder *e, const struct wire_layer *l,
                const struct wire_layer *next, const uint8_t *trailer,
                size_t trailer_len);

/* Bytes that are no header. */
void wire_append(struct wire_encoder *e, const void *bytes, size_t n);

/* A packet within the one that is being written, and the way back, when it is
 * finished. */
unsigned wire_begin(struct wire_encoder *e);
void wire_end(struct wire_encoder *e, unsigned base);

/* Fills in what could not be known before, in the packet of marks[base] on. */
void wire_finish(struct wire_encoder *e);

/* ---- shared by the encoder's files ---- */

/* The field cannot be encoded. */
_Noreturn void wire_fail(struct wire_encoder *e, const struct wire_table *t,
                         unsigned i, const char *why);

/* Zeros; and so many that what begins at `from` is a multiple of the unit. */
void wire_zeros(struct wire_encoder *e, size_t n);
void wire_pad(struct wire_encoder *e, size_t from, size_t unit);

/* Into bytes that are there. */
void wire_put_bits(struct wire_encoder *e, size_t bit, unsigned bits,
                   uint32_t value);

/* The fields of a table, and the items of a list of a family. */
void wire_put_table(struct wire_encoder *e, const struct wire_table *t);
void wire_put_tlvs(struct wire_encoder *e, const struct wire_family *f,
                   const struct wire_table *t, unsigned i);

#endif
