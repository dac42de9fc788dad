/* SPDX-License-Identifier: MIT
 * The fields of a message, in order and with duplicates: rows that point into
 * a block of bytes. The memory is the caller's. */
#ifndef NEAP_HTTP_FIELDS_H
#define NEAP_HTTP_FIELDS_H

#include "http/head.h"

struct http_fields {
  struct http_field *rows;
  char *bytes;
  uint32_t n, room;          /* rows */
  uint32_t used, bytes_room; /* bytes */
};

#define HTTP_FIELDS_MAX (UINT32_MAX / 4) /* bytes in one block */

/* A name that is looked for. */
struct http_wanted {
  const char *name;
  size_t len;
  unsigned id;
};

struct http_wanted http_wanted(const char *name, size_t len);

/* The first row from `from` on that has the name; f->n if there is none. */
uint32_t http_fields_find(const struct http_fields *f, struct http_wanted w,
                          uint32_t from);

/* Is there room for one more? */
bool http_fields_fits(const struct http_fields *f, size_t name, size_t value);

/* Adds a row, for which there is room. */
void http_fields_add(struct http_fields *f, struct http_wanted w,
                     const char *value, size_t len);

/* Takes the row's name, or its value, from new bytes; there is room. */
void http_fields_replace(struct http_fields *f, uint32_t row, const char *value,
                         size_t len);

/* Removes the rows from `from` on that have the name; returns how many. */
uint32_t http_fields_remove(struct http_fields *f, struct http_wanted w,
                            uint32_t from);

/* Bytes that a copy needs. */
size_t http_fields_size(const struct http_fields *f);

/* Copies all into empty memory that has room for it. */
void http_fields_copy(struct http_fields *to, const struct http_fields *from);

/* Takes over what a head's parser found; `bytes` are the head's. There is
 * room for its rows, and for h->size - h->first bytes. Of trailers, those
 * that mean something only in a head are left out. */
void http_fields_take(struct http_fields *f, const struct http_head *h,
                      const char *bytes);

#endif
