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

static inline uint64_t http_word(const char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

/* What a search looks for: a byte, or control characters. */
enum { HTTP_CONTROLS = -1 };

static inline bool http_sought(char c, int what) {
  return what == HTTP_CONTROLS ? http_iscontrol(c) : c == (char)what;
}

#ifdef __SSE2__
enum { HTTP_STEP = 16 };

/* A bit for each of 16 bytes: is it what is sought? */
static inline unsigned http_hits(const char *p, int what) {
  __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p), hits;
  if (what != HTTP_CONTROLS) {
    hits = _mm_cmpeq_epi8(x, _mm_set1_epi8((char)what));
  } else {
    hits = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    hits = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')), hits);
    hits = _mm_or_si128(hits, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
  }
  return (unsigned)_mm_movemask_epi8(hits);
}
#else
enum { HTTP_STEP = 8 };

static inline uint64_t http_zeros(uint64_t x) {
  return (x - 0x0101010101010101) & ~x & 0x8080808080808080;
}

/* 0 if none of 8 bytes is sought; a tab may seem to be. */
static inline uint64_t http_hits(const char *p, int what) {
  uint64_t x = http_word(p);
  if (what != HTTP_CONTROLS)
    return http_zeros(x ^ 0x0101010101010101 * (uint8_t)what);
  return ((x - 0x2020202020202020) & ~x & 0x8080808080808080) |
         http_zeros(x ^ 0x7f7f7f7f7f7f7f7f);
}
#endif

static inline const char *http_search(const char *from, const char *end,
                                      int what) {
  const char *p = from;
  while (end - p >= HTTP_STEP && http_hits(p, what) == 0)
    p += HTTP_STEP;
#ifdef __SSE2__
  if (end - p >= HTTP_STEP)
    return p + __builtin_ctz(http_hits(p, what));
  if (p < end && end - from >= HTTP_STEP) { /* the last 16, some seen before */
    unsigned seen = (unsigned)(HTTP_STEP - (end - p));
    unsigned hits = http_hits(end - HTTP_STEP, what) >> seen;
    return hits != 0 ? p + __builtin_ctz(hits) : end;
  }
#endif
  while (p < end && !http_sought(*p, what))
    p++;
  return p;
}

/* The first control character in [from, end), or end. */
static inline const char *http_control(const char *from, const char *end) {
  return http_search(from, end, HTTP_CONTROLS);
}

/* The first c in [from, end), or end. */
static inline const char *http_find(const char *from, const char *end, char c) {
  return http_search(from, end, (uint8_t)c);
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
