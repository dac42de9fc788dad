/* SPDX-License-Identifier: MIT
 * Bytes as HTTP sorts them, and the loops over them that must be fast. */
#ifndef NEAP_HTTP_TEXT_H
#define NEAP_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum http_class {
  HTTP_TOKEN = 1,
  HTTP_TARGET = 2, /* printable, but for " # < > */
  HTTP_HOSTNAME = 4,
  HTTP_HEX = 8,
  HTTP_SCHEME = 16,
  HTTP_QUOTED = 32, /* within a quoted string, without a backslash */
  HTTP_DIGIT = 64,
};

extern const uint8_t http_classes[256];

static inline bool http_is(char c, unsigned class) {
  return (http_classes[(uint8_t)c] & class) != 0;
}

static inline bool http_blank(char c) {
  return c == ' ' || c == '\t';
}

/* Is this a control character that no line of a head may hold? */
static inline bool http_iscontrol(char c) {
  return ((uint8_t)c < 0x20 && c != '\t') || c == 0x7f;
}

#ifdef __SSE2__
static inline __m128i http_load(const char *p) {
  return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* A bit for each of 16 bytes: is it a control character? */
static inline unsigned http_controls(const char *p) {
  __m128i x = http_load(p);
  __m128i bad = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
  bad = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')), bad);
  bad = _mm_or_si128(bad, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
  return (unsigned)_mm_movemask_epi8(bad);
}

/* A bit for each of 16 bytes: is it c? */
static inline unsigned http_equals(const char *p, char c) {
  __m128i x = _mm_cmpeq_epi8(http_load(p), _mm_set1_epi8(c));
  return (unsigned)_mm_movemask_epi8(x);
}

/* Where `bits` of p first says yes, for p from `from` on; of the last bytes,
 * those are looked at again that lie before. */
#define HTTP_SEARCH(from, end, bits) \
  const char *p = from; \
  unsigned at; \
  for (; end - p >= 16; p += 16) { \
    at = bits; \
    if (at != 0) \
      return p + __builtin_ctz(at); \
  } \
  if (p < end && end - from >= 16) { \
    size_t seen = (size_t)(16 - (end - p)); \
    p = end - 16; \
    at = bits >> seen << seen; \
    return at != 0 ? p + __builtin_ctz(at) : end; \
  }
#else
#define HTTP_SEARCH(from, end, bits) const char *p = from;
#endif

/* The first control character in [from, end), or end. */
static inline const char *http_control(const char *from, const char *end) {
  HTTP_SEARCH(from, end, http_controls(p))
  while (p < end && !http_iscontrol(*p))
    p++;
  return p;
}

/* The first c in [from, end), or end. */
static inline const char *http_find(const char *from, const char *end, char c) {
  HTTP_SEARCH(from, end, http_equals(p, c))
  while (p < end && *p != c)
    p++;
  return p;
}

static inline uint64_t http_word(const char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

/* Do n bytes equal `lower`, a text in lower case, whatever their case is?
 * Exact where p holds no control characters and `lower` is made of letters,
 * digits and '-'. */
static inline bool http_same(const char *p, const char *lower, size_t n) {
  const uint64_t bit = 0x2020202020202020;
  size_t i;
  if (n >= 8) {
    for (i = 0; i + 8 <= n; i += 8)
      if ((http_word(p + i) | bit) != http_word(lower + i))
        return false;
    return (http_word(p + n - 8) | bit) == http_word(lower + n - 8);
  }
  for (i = 0; i < n; i++)
    if ((p[i] | 0x20) != lower[i])
      return false;
  return true;
}

/* The same with a literal. */
#define http_is_word(p, n, lower) \
  ((n) == sizeof(lower) - 1 && http_same(p, lower, sizeof(lower) - 1))

/* Two names in any case. */
bool http_alike(const char *a, const char *b, size_t n);

/* Are all the bytes of the class? False of none. */
bool http_all(const char *p, size_t n, unsigned class);

/* May a field's value be this? */
bool http_value(const char *p, size_t n);

struct http_text {
  const char *p;
  size_t n;
};

/* Without the blanks at both ends. */
struct http_text http_trim(const char *p, const char *end);

/* The next item of a comma-separated list, which is taken off it; items that
 * are empty do not count. False at the end. */
bool http_item(struct http_text *list, struct http_text *item);

/* Digits alone, up to 2^63 - 1. */
bool http_number(const char *p, size_t n, uint64_t *number);

#endif
