/* SPDX-License-Identifier: MIT
 * The fields of a message. */
#include "http/fields.h"

#include "http/names.h"
#include "http/text.h"

struct http_wanted http_wanted(const char *name, size_t len) {
  return (struct http_wanted){name, len, http_name_id(name, len)};
}

static bool has_name(const struct http_fields *f, const struct http_field *row,
                     struct http_wanted w) {
  if (row->id != HTTP_OTHER || w.id != HTTP_OTHER)
    return row->id == w.id;
  return row->name_len == w.len &&
         http_alike(f->bytes + row->name, w.name, w.len);
}

uint32_t http_fields_find(const struct http_fields *f, struct http_wanted w,
                          uint32_t from) {
  while (from < f->n && !has_name(f, &f->rows[from], w))
    from++;
  return from;
}

bool http_fields_fits(const struct http_fields *f, size_t name, size_t value) {
  size_t left = f->bytes_room - f->used;
  return f->n < f->room && name <= left && value <= left - name;
}

static uint32_t append(struct http_fields *f, const char *bytes, size_t n) {
  uint32_t at = f->used;
  if (n > 0)
    memcpy(f->bytes + at, bytes, n);
  f->used += (uint32_t)n;
  return at;
}

void http_fields_add(struct http_fields *f, struct http_wanted w,
                     const char *value, size_t len) {
  struct http_field *row = &f->rows[f->n++];
  row->name = append(f, w.name, w.len);
  row->name_len = (uint16_t)w.len;
  row->id = (uint8_t)w.id;
  row->folded = 0;
  row->value = append(f, value, len);
  row->value_len = (uint32_t)len;
}

void http_fields_replace(struct http_fields *f, uint32_t row, const char *value,
                         size_t len) {
  f->rows[row].value = append(f, value, len);
  f->rows[row].value_len = (uint32_t)len;
}

uint32_t http_fields_remove(struct http_fields *f, struct http_wanted w,
                            uint32_t from) {
  uint32_t i, kept = from, before = f->n;
  for (i = from; i < f->n; i++)
    if (!has_name(f, &f->rows[i], w))
      f->rows[kept++] = f->rows[i];
  if (from < before)
    f->n = kept;
  return before - f->n;
}

size_t http_fields_size(const struct http_fields *f) {
  size_t size = 0;
  uint32_t i;
  for (i = 0; i < f->n; i++)
    size += f->rows[i].name_len + f->rows[i].value_len;
  return size;
}

void http_fields_copy(struct http_fields *to, const struct http_fields *from) {
  uint32_t i;
  for (i = 0; i < from->n; i++) {
    const struct http_field *row = &from->rows[i];
    struct http_wanted w = {from->bytes + row->name, row->name_len, row->id};
    http_fields_add(to, w, from->bytes + row->value, row->value_len);
  }
}

/* The line ends of a folded value become spaces. */
static void unfold(char *p, uint32_t n) {
  uint32_t i;
  for (i = 0; i < n; i++)
    if (p[i] == '\r' || p[i] == '\n')
      p[i] = ' ';
}

void http_fields_take(struct http_fields *f, const struct http_head *h,
                      const char *bytes) {
  uint32_t i;
  append(f, bytes + h->first, h->size - h->first);
  for (i = 0; i < h->nfields; i++) {
    struct http_field row = h->fields[i];
    if (h->kind == HTTP_TRAILERS && http_names[row.id].flags & HTTP_IN_HEAD)
      continue;
    row.name -= h->first;
    row.value -= h->first;
    if (row.folded)
      unfold(f->bytes + row.value, row.value_len);
    row.folded = 0;
    f->rows[f->n++] = row;
  }
}
