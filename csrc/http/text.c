/* SPDX-License-Identifier: MIT
 * Bytes as HTTP sorts them. */
#include "http/text.h"

const uint8_t http_classes[256] = {
  0,   0,   0,   0,   0,   0,   0,   0,   0,   32,  0,  0,  0,  0,  0,  0,
  0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,  0,  0,  0,  0,
  32,  39,  0,   33,  39,  35,  39,  39,  38,  38,  39, 55, 38, 55, 55, 34,
  127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 34, 38, 32, 38, 32, 34,
  34,  63,  63,  63,  63,  63,  63,  55,  55,  55,  55, 55, 55, 55, 55, 55,
  55,  55,  55,  55,  55,  55,  55,  55,  55,  55,  55, 34, 2,  34, 35, 39,
  35,  63,  63,  63,  63,  63,  63,  55,  55,  55,  55, 55, 55, 55, 55, 55,
  55,  55,  55,  55,  55,  55,  55,  55,  55,  55,  55, 34, 35, 34, 39, 0,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
  32,  32,  32,  32,  32,  32,  32,  32,  32,  32,  32, 32, 32, 32, 32, 32,
};

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool http_alike(const char *a, const char *b, size_t n) {
  size_t i;
  for (i = 0; i < n; i++)
    if (lower(a[i]) != lower(b[i]))
      return false;
  return true;
}

bool http_all(const char *p, size_t n, unsigned class) {
  size_t i;
  for (i = 0; i < n; i++)
    if (!http_is(p[i], class))
      return false;
  return n > 0;
}

bool http_value(const char *p, size_t n) {
  return http_control(p, p + n) == p + n;
}

struct http_text http_trim(const char *p, const char *end) {
  while (p < end && http_blank(*p))
    p++;
  while (p < end && http_blank(end[-1]))
    end--;
  return (struct http_text){p, (size_t)(end - p)};
}

bool http_item(struct http_text *list, struct http_text *item) {
  while (list->n > 0) {
    const char *end = list->p + list->n;
    const char *comma = http_find(list->p, end, ',');
    *item = http_trim(list->p, comma);
    list->p = comma < end ? comma + 1 : end;
    list->n = (size_t)(end - list->p);
    if (item->n > 0)
      return true;
  }
  return false;
}

bool http_number(const char *p, size_t n, uint64_t *number) {
  uint64_t value = 0;
  size_t i;
  for (i = 0; i < n; i++) {
    unsigned digit = (uint8_t)p[i] - (unsigned)'0';
    if (digit > 9 || value > ((uint64_t)INT64_MAX - digit) / 10)
      return false;
    value = 10 * value + digit;
  }
  *number = value;
  return n > 0;
}
