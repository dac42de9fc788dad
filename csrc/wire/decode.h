/* SPDX-License-Identifier: MIT
 * Bytes to headers: follows the tables of fields, and tells a sink what it
 * finds. Holds no memory, so that a sink may leave by longjmp. Nothing is
 * believed: every length is checked against the bytes around it. */
#ifndef NEAP_WIRE_DECODE_H
#define NEAP_WIRE_DECODE_H

#include "wire/field.h"

/* What ends a packet: bytes that are no header, and what is wrong with it. */
struct wire_rest {
  const uint8_t *payload, *padding;
  size_t payload_len, padding_len;
  const char *truncated; /* the layer whose bytes are not all there, or NULL */
  const char *malformed; /* of a nested packet: the layer that is, or NULL */
};

/* Each is called with what it was given and, of a field, its table and index.
 * Layers and items are tables; between `open` and `close` are the items of a
 * list, or the fields of a group. */
struct wire_sink {
  void (*layer)(struct wire_sink *s, const struct wire_layer *l, size_t at);
  void (*done)(struct wire_sink *s);
  void (*drop)(struct wire_sink *s); /* the layer was never there */
  void (*number)(struct wire_sink *s, const struct wire_table *t, unsigned i,
                 uint32_t value);
  void (*bytes)(struct wire_sink *s, const struct wire_table *t, unsigned i,
                const uint8_t *bytes, size_t n);
  void (*word)(struct wire_sink *s, const struct wire_table *t, unsigned i,
               const char *word);
  void (*open)(struct wire_sink *s, const struct wire_table *t, unsigned i);
  void (*close)(struct wire_sink *s);
  void (*item)(struct wire_sink *s, const struct wire_table *t);
  void (*end_item)(struct wire_sink *s);
  /* A packet within the layer, of layers like any. */
  void (*packet)(struct wire_sink *s, const struct wire_table *t, unsigned i);
  void (*end_packet)(struct wire_sink *s, const struct wire_rest *r);
};

/* The fields that every layer may have; WIRE_COMMON_... are their indices. */
extern const struct wire_table wire_common;
enum {
  WIRE_COMMON_LAYER,
  WIRE_COMMON_OFFSET,
  WIRE_COMMON_CHECKSUM_OK,
  WIRE_COMMON_TRAILER,
};

/* And those of an item with a type and a length. */
extern const struct wire_table wire_item;
enum {
  WIRE_ITEM_TYPE,
  WIRE_ITEM_FLAGS,
  WIRE_ITEM_LENGTH,
  WIRE_ITEM_DATA,
  WIRE_ITEM_PADDING,
};

struct wire_error {
  const char *layer;
  const char *what; /* "header is cut short", or a field's name */
  uint32_t value;   /* of the field */
  bool valued;
  size_t at;
};

struct wire_decoder {
  /* The caller's. */
  const uint8_t *bytes;
  size_t size;
  struct wire_sink *sink;
  bool partial;  /* the packet may go on behind the bytes */
  bool unsummed; /* checksums are not verified */

  /* Where the decoder is. Bytes are there up to `cap`; what is being decoded
   * says that it ends at `end`, or nothing has said so (WIRE_OPEN). */
  size_t at, cap, end;
  const struct wire_layer *layer, *next;
  size_t start;    /* of the layer */
  size_t head;     /* where its header ends, if its length is told */
  bool bounded;    /* a layer has told its length */
  bool nested;     /* within an ICMP error */
  uint32_t lite;   /* the number before the checksum */
  size_t original; /* length of the nested packet, 0 if not told */
  const struct wire_field *sum;
  size_t sum_at;
  struct wire_ends ends;
  struct wire_rest rest;
  struct wire_error error;
};

#define WIRE_OPEN (SIZE_MAX / 4) /* two of them can be added */

/* Decodes a packet that begins with the layer (NULL: IP of either version, as
 * the first four bits say). Returns 0, or -1 and fills in error. */
int wire_decode(struct wire_decoder *d, const struct wire_layer *first);

/* For the hooks of a layer: the field of this value is malformed. -1. */
int wire_bad(struct wire_decoder *d, const char *what, uint32_t value);

/* Whether the IP header of this first byte is one, and which. */
const struct wire_layer *wire_ip(uint8_t byte);

/* ---- shared by the decoder's files ---- */

enum { WIRE_BAD = -1, WIRE_CUT = -2 };

/* Fails with `what` at this place. Returns WIRE_BAD. */
int wire_badat(struct wire_decoder *d, const char *what, size_t at);

/* Whether the bytes up to here are there: 0; or beyond what the layer may
 * have (WIRE_BAD), or cut off (WIRE_CUT). */
int wire_need(struct wire_decoder *d, size_t upto, size_t end);

/* The layer ends here: what is there beyond is not its own. WIRE_BAD if it
 * may not be so long. */
int wire_set_end(struct wire_decoder *d, size_t end);

/* Whether the checksum that d->sum is, over these bytes, is right. */
bool wire_sum_ok(const struct wire_decoder *d, size_t from, size_t end);

/* One layer after the other. A header that is cut off, and in a nested packet
 * one that is malformed, becomes payload; for any other that is malformed,
 * d->error is left behind. */
void wire_chain(struct wire_decoder *d, const struct wire_layer *l);

/* The fields of a table, of which the last may run up to `end`. */
int wire_walk(struct wire_decoder *d, const struct wire_table *t, size_t end);

/* The items of a family, up to `end`. */
int wire_tlvs(struct wire_decoder *d, const struct wire_family *f, size_t end);

#endif
