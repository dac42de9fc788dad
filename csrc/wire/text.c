/* SPDX-License-Identifier: MIT */
#include "wire/text.h"

#include <stdbool.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

static char *put_decimal(char *to, unsigned byte) {
  if (byte >= 100)
    *to++ = (char)('0' + byte / 100);
  if (byte >= 10)
    *to++ = (char)('0' + byte / 10 % 10);
  *to++ = (char)('0' + byte % 10);
  return to;
}

size_t wire_ip4text(const uint8_t *ip, char *text) {
  char *to = put_decimal(text, ip[0]);
  int i;
  for (i = 1; i < 4; i++) {
    *to++ = '.';
    to = put_decimal(to, ip[i]);
  }
  return (size_t)(to - text);
}

static char *put_hex(char *to, unsigned group) {
  int shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0;
  for (; shift >= 0; shift -= 4)
    *to++ = digits[group >> shift & 15];
  return to;
}

/* The longest run of at least two zero groups, the first of equals. */
static int longest_run(const uint8_t *ip, int *len) {
  int i, run = 0, at = -1;
  *len = 1;
  for (i = 0; i < 8; i++) {
    run = wire_16(ip + 2 * i) == 0 ? run + 1 : 0;
    if (run > *len) {
      *len = run;
      at = i - run + 1;
    }
  }
  return at;
}

size_t wire_ip6text(const uint8_t *ip, char *text) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  int i, len, run;
  char *to = text;
  if (memcmp(ip, mapped, sizeof mapped) == 0) {
    memcpy(text, "::ffff:", 7);
    return 7 + wire_ip4text(ip + 12, text + 7);
  }
  run = longest_run(ip, &len);
  for (i = 0; i < 8; i++) {
    if (i == run) {
      *to++ = ':';
      i += len - 1;
      if (i == 7)
        *to++ = ':';
      continue;
    }
    if (i > 0)
      *to++ = ':';
    to = put_hex(to, wire_16(ip + 2 * i));
  }
  return (size_t)(to - text);
}

size_t wire_hextext(const uint8_t *bytes, size_t n, char *text) {
  char *to = text;
  size_t i;
  for (i = 0; i < n; i++) {
    if (i > 0)
      *to++ = ':';
    *to++ = digits[bytes[i] >> 4];
    *to++ = digits[bytes[i] & 15];
  }
  return (size_t)(to - text);
}

/* ---- and back ---- */

int wire_ip4(const char *text, size_t len, uint8_t *ip) {
  const char *end = text + len, *began;
  unsigned n;
  int i;
  for (i = 0; i < 4; i++) {
    if (i > 0 && (text == end || *text++ != '.'))
      return -1;
    for (n = 0, began = text; text < end && *text >= '0' && *text <= '9';
         text++) {
      n = n * 10 + (unsigned)(*text - '0');
      if (n > 255 || (text > began && *began == '0'))
        return -1;
    }
    if (text == began)
      return -1;
    ip[i] = (uint8_t)n;
  }
  return text == end ? 4 : -1;
}

static int nibble(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* A group of one to four digits. Returns how many there were. */
static size_t group(const char *text, const char *end, unsigned *value) {
  size_t n = 0;
  *value = 0;
  while (n < 4 && text + n < end && nibble(text[n]) >= 0)
    *value = *value << 4 | (unsigned)nibble(text[n++]);
  return n;
}

/* The bytes up to the gap, and those behind it, at out + 16 - their number. */
static bool expand(uint8_t *out, int n, int gap) {
  if (gap < 0)
    return n == 16;
  if (n > 14)
    return false;
  memmove(out + 16 - (n - gap), out + gap, (size_t)(n - gap));
  memset(out + gap, 0, (size_t)(16 - n));
  return true;
}

int wire_ip6(const char *text, size_t len, uint8_t *ip) {
  const char *end = text + len;
  int n = 0, gap = -1;
  size_t got;
  unsigned value;
  if (len >= 2 && text[0] == ':' && text[1] == ':') {
    gap = 0;
    text += 2;
  }
  while (text < end && n < 16) {
    if (n <= 12 && wire_ip4(text, (size_t)(end - text), ip + n) == 4) {
      n += 4;
      text = end;
      break;
    }
    got = group(text, end, &value);
    if (got == 0)
      return -1;
    ip[n++] = (uint8_t)(value >> 8);
    ip[n++] = (uint8_t)value;
    text += got;
    if (text == end)
      break;
    if (*text++ != ':' || text == end)
      return -1;
    if (*text == ':') {
      if (gap >= 0)
        return -1;
      gap = n;
      text++;
    }
  }
  return text == end && expand(ip, n, gap) ? 16 : -1;
}

int wire_hex(const char *text, size_t len, uint8_t bytes[WIRE_HEXMAX]) {
  size_t i, n = (len + 1) / 3;
  if (len == 0)
    return 0;
  if (len % 3 != 2 || n > WIRE_HEXMAX)
    return -1;
  for (i = 0; i < n; i++, text += 3) {
    int high = nibble(text[0]), low = nibble(text[1]);
    if (high < 0 || low < 0 || (i + 1 < n && text[2] != ':' && text[2] != '-'))
      return -1;
    bytes[i] = (uint8_t)(high << 4 | low);
  }
  return (int)n;
}

/* ---- flags ---- */

/* The name of the k-th bit in the list; words have commas between them. */
static const char *flag_name(const char *names, bool words, unsigned k,
                             size_t *len) {
  if (!words) {
    *len = 1;
    return strlen(names) > k && names[k] != '.' ? names + k : NULL;
  }
  for (; k > 0; k--) {
    names = strchr(names, ',');
    if (names == NULL)
      return NULL;
    names++;
  }
  *len = strcspn(names, ",");
  return names;
}

static unsigned bit_of(const struct wire_field *f, unsigned k) {
  return f->kind == WIRE_MARKS ? f->bits - 1u - k : k;
}

int wire_flagtext(const struct wire_field *f, uint32_t value, char *text) {
  bool words = strchr(f->more, ',') != NULL;
  char *to = text;
  const char *name;
  size_t len;
  unsigned k;
  for (k = 0; k < f->bits && value != 0; k++) {
    uint32_t bit = UINT32_C(1) << bit_of(f, k);
    if ((value & bit) == 0)
      continue;
    value &= ~bit;
    name = flag_name(f->more, words, k, &len);
    if (name == NULL)
      return -1;
    if (words && to > text)
      *to++ = '+';
    memcpy(to, name, len);
    to += len;
  }
  return (int)(to - text);
}

/* The bit of the name, of `len` characters; 0 if there is none. */
static uint32_t flag_named(const struct wire_field *f, bool words,
                           const char *text, size_t len) {
  size_t n;
  unsigned k;
  for (k = 0; k < f->bits; k++) {
    const char *name = flag_name(f->more, words, k, &n);
    if (name != NULL && n == len && memcmp(name, text, len) == 0)
      return UINT32_C(1) << bit_of(f, k);
  }
  return 0;
}

int64_t wire_flags(const struct wire_field *f, const char *text, size_t len) {
  bool words = strchr(f->more, ',') != NULL;
  const char *end = text + len, *plus;
  uint32_t value = 0, bit;
  while (text < end) {
    plus = words ? memchr(text, '+', (size_t)(end - text)) : text + 1;
    if (plus == NULL)
      plus = end;
    bit = flag_named(f, words, text, (size_t)(plus - text));
    if (bit == 0)
      return -1;
    value |= bit;
    text = words && plus < end ? plus + 1 : plus;
  }
  return value;
}
