/* SPDX-License-Identifier: MIT */
#include "wire/decode.h"

#include "wire/layers.h"

static const struct wire_field common_fields[] = {
  REST("layer", BYTES),
  UINT("offset", 32),
  FIELD("checksum_ok", BOOL, 1, .quiet = true),
  REST("trailer", BYTES),
};
const struct wire_table wire_common = WIRE_TABLE(common_fields, 0);

int wire_badat(struct wire_decoder *d, const char *what, size_t at) {
  d->error.layer = d->layer->name;
  d->error.what = what;
  d->error.valued = false;
  d->error.at = at;
  return WIRE_BAD;
}

int wire_bad(struct wire_decoder *d, const char *what, uint32_t value) {
  wire_badat(d, what, d->start);
  d->error.value = value;
  d->error.valued = true;
  return WIRE_BAD;
}

int wire_need(struct wire_decoder *d, size_t upto, size_t end) {
  if (upto > end)
    return wire_badat(d, "header is cut short", d->start);
  return upto > d->cap ? WIRE_CUT : 0;
}

/* ---- layers ---- */

static void check_sum(struct wire_decoder *d) {
  size_t end = d->sum->unit == WIRE_SUM_HEADER ? d->at : d->end;
  if (end <= d->cap && !wire_sum_ok(d, d->start, end))
    d->sink->number(d->sink, &wire_common, WIRE_COMMON_CHECKSUM_OK, 0);
}

static int layer(struct wire_decoder *d, const struct wire_layer *l) {
  int r;
  d->layer = l;
  d->next = NULL;
  d->sum = NULL;
  d->start = d->at;
  d->head = 0;
  d->original = 0;
  d->sink->layer(d->sink, l, d->at);
  r = wire_walk(d, l->table, d->end);
  if (r == 0 && l->after != NULL)
    r = l->after(d);
  if (r < 0)
    return r;
  if (l->leaf)
    wire_set_end(d, d->at);
  if (l->ends != NULL)
    l->ends(d->bytes + d->start, d->at - d->start, &d->ends);
  if (d->sum != NULL && !d->unsummed)
    check_sum(d);
  d->sink->done(d->sink);
  return 0;
}

void wire_chain(struct wire_decoder *d, const struct wire_layer *l) {
  unsigned n;
  int r = 0;
  for (n = 0; l != NULL; n++, l = d->next) {
    if (n > 0 && d->at >= d->cap) { /* nothing of it is there */
      if (d->at < d->end && d->rest.truncated == NULL)
        d->rest.truncated = l->name;
      break;
    }
    d->layer = l;
    r = n < WIRE_LAYERS ? layer(d, l)
                        : wire_badat(d, "more than 32 layers", d->at);
    if (r < 0)
      break;
  }
  if (r == WIRE_BAD && !d->nested)
    return;
  if (r < 0) {
    d->sink->drop(d->sink);
    d->at = n < WIRE_LAYERS ? d->start : d->at;
    *(r == WIRE_CUT ? &d->rest.truncated : &d->rest.malformed) = l->name;
  }
  d->rest.payload = d->bytes + d->at;
  d->rest.payload_len = d->cap - d->at;
  d->error.layer = NULL;
  d->sink->end_packet(d->sink, &d->rest);
}

const struct wire_layer *wire_ip(uint8_t byte) {
  return byte >> 4 == 4 ? &wire_ipv4 : byte >> 4 == 6 ? &wire_ipv6 : NULL;
}

int wire_decode(struct wire_decoder *d, const struct wire_layer *first) {
  d->at = 0;
  d->cap = d->size;
  d->end = d->partial ? WIRE_OPEN : d->size;
  d->bounded = d->nested = false;
  d->ends.size = 0;
  d->rest = (struct wire_rest){0};
  d->error = (struct wire_error){.layer = "ip", .what = "version"};
  if (first == NULL && d->size > 0)
    first = wire_ip(d->bytes[0]);
  if (first == NULL) {
    d->error.what = d->size > 0 ? "neither version 4 nor 6" : "no bytes";
    return -1;
  }
  /* The family in the byte order of who captured it. */
  if (first == &wire_null && d->size >= 4 && (d->bytes[2] | d->bytes[3]) != 0 &&
      (d->bytes[0] | d->bytes[1]) == 0)
    first = &wire_loop;
  wire_chain(d, first);
  return d->error.layer == NULL ? 0 : -1;
}
