/* SPDX-License-Identifier: MIT
 * csrc/http: what Lua cannot see or would take too long: the table of names,
 * scans at every alignment and up to the last byte, masks, numbers. */
#include "http/accept.h"
#include "http/chunk.h"
#include "http/date.h"
#include "http/fields.h"
#include "http/frame.h"
#include "http/framing.h"
#include "http/names.h"
#include "http/target.h"
#include "http/text.h"

#include "check.h"

/* A copy of just these bytes, so that a sanitizer sees what reads more. */
static char *copy_of(const char *p, size_t n) {
  char *copy = malloc(n + (n == 0));
  CHECK(copy != NULL);
  if (n > 0)
    memcpy(copy, p, n);
  return copy;
}

static void test_names(void) {
  unsigned i, k;
  for (i = 1; i < http_nnames; i++) {
    size_t n = http_names[i].len;
    char *name = copy_of(http_names[i].name, n);
    CHECK(strlen(http_names[i].name) == n && n <= HTTP_NAME_MAX);
    CHECK(http_all(name, n, HTTP_TOKEN));
    CHECK(http_name_id(name, n) == i);
    for (k = 0; k < n; k++) {
      char was = name[k];
      CHECK(!(was >= 'A' && was <= 'Z'));
      if (was >= 'a' && was <= 'z')
        name[k] = (char)(was - 0x20);
      CHECK(http_name_id(name, n) == i);
      name[k] = was == 'x' ? 'y' : 'x';
      CHECK(http_name_id(name, n) != i);
      name[k] = was;
    }
    CHECK(http_name_id(name, n - 1) != i);
    free(name);
  }
  CHECK(http_name_id("host", 4) == HTTP_HOST);
  CHECK(http_name_id("Content-Length", 14) == HTTP_CONTENT_LENGTH);
  CHECK(http_name_id("TRANSFER-ENCODING", 17) == HTTP_TRANSFER_ENCODING);
  CHECK(http_name_id("connection", 10) == HTTP_CONNECTION);
  CHECK(http_name_id("upgrade", 7) == HTTP_UPGRADE);
  CHECK(http_name_id("expect", 6) == HTTP_EXPECT);
  CHECK(http_name_id("set-cookie", 10) == HTTP_SET_COOKIE);
  CHECK(http_name_id("cookie", 6) == HTTP_COOKIE);
  CHECK(http_name_id("date", 4) == HTTP_DATE);
  CHECK(http_name_id("", 0) == 0 && http_name_id("x", 1) == 0);
}

/* Each byte at each place of texts of each length. */
static void test_scans(void) {
  size_t n, at;
  unsigned c;
  for (n = 0; n < 40; n++) {
    char *p = copy_of("0123456789abcdefghij0123456789abcdefghij", n);
    CHECK(http_control(p, p + n) == p + n);
    CHECK(http_find(p, p + n, ':') == p + n);
    for (at = 0; at < n; at++) {
      char was = p[at];
      p[at] = ':';
      CHECK(http_find(p, p + n, ':') == p + at);
      for (c = 0; c < 256; c++) {
        bool control = (c < 32 && c != 9) || c == 127;
        p[at] = (char)c;
        CHECK(http_iscontrol((char)c) == control);
        CHECK(http_control(p, p + n) == (control ? p + at : p + n));
      }
      p[at] = was;
    }
    free(p);
  }
}

static void test_numbers(void) {
  static const struct {
    const char *text;
    uint64_t number;
    bool good;
  } rows[] = {
    {"0",                    0,         true },
    {"00042",                42,        true },
    {"9223372036854775807",  INT64_MAX, true },
    {"9223372036854775808",  0,         false},
    {"9223372036854775810",  0,         false},
    {"18446744073709551617", 0,         false},
    {"",                     0,         false},
    {"1 ",                   0,         false},
    {"-1",                   0,         false},
    {"1:",                   0,         false},
    {"1/",                   0,         false},
  };
  size_t i;
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint64_t number = 0;
    size_t n = strlen(rows[i].text);
    char *text = copy_of(rows[i].text, n);
    CHECK(http_number(text, n, &number) == rows[i].good);
    CHECK(!rows[i].good || number == rows[i].number);
    free(text);
  }
}

static void test_lists(void) {
  const char *text = " , a,b c ,\t, d ,";
  const char *const items[] = {"a", "b c", "d"};
  struct http_text list = {text, strlen(text)}, item;
  size_t i = 0;
  while (http_item(&list, &item)) {
    CHECK(i < 3 && item.n == strlen(items[i]));
    CHECK(memcmp(item.p, items[i], item.n) == 0);
    i++;
  }
  CHECK(i == 3);
}

static void test_masks(void) {
  static const uint8_t key[4] = {0x12, 0x34, 0x56, 0x78};
  char from[64], to[64];
  size_t n, at, start, i;
  for (i = 0; i < sizeof from; i++)
    from[i] = (char)(i * 7);
  for (n = 0; n < 40; n++)
    for (start = 0; start < 9; start++)
      for (at = 0; at < 9; at++) {
        ws_mask(to, from + start, n, key, at);
        for (i = 0; i < n; i++)
          CHECK(to[i] == (char)(from[start + i] ^ key[(at + i) % 4]));
      }
}

/* Of every code point, and of all that is near it. */
static void test_utf8(void) {
  uint32_t c;
  for (c = 0; c <= 0x1fffff; c++) {
    char p[4] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                 (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))};
    struct utf8 four = {0}, three = {0}, two = {0};
    bool good = utf8_feed(&four, p, 4) && utf8_whole(&four);
    CHECK(good == (c >= 0x10000 && c <= 0x10ffff));
    if (c > 0xffff)
      continue;
    p[1] = (char)(0xe0 | c >> 12);
    good = utf8_feed(&three, p + 1, 3) && utf8_whole(&three);
    CHECK(good == (c >= 0x800 && (c < 0xd800 || c > 0xdfff)));
    if (c > 0x7ff)
      continue;
    p[2] = (char)(0xc0 | c >> 6);
    good = utf8_feed(&two, p + 2, 2) && utf8_whole(&two);
    CHECK(good == (c >= 0x80));
  }
}

static void test_sizes(void) {
  char text[HTTP_CHUNK_HEAD + 1], want[HTTP_CHUNK_HEAD + 1];
  uint64_t size;
  unsigned i;
  for (i = 0; i < 64; i++)
    for (size = (1ull << i) - 1; size <= (1ull << i); size++) {
      size_t n = http_chunk_head(text, size);
      text[n] = 0;
      snprintf(want, sizeof want, "%llx\r\n", (unsigned long long)size);
      CHECK(strcmp(text, want) == 0);
    }
}

/* Rows are counted beyond the room that there is, and parsed once more. */
static void test_room(void) {
  static const char bytes[] =
    "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n";
  struct http_field rows[3];
  struct http_head h = {
    .kind = HTTP_REQUEST, .limits = {100, 3, 10}
  };
  http_head_rewind(&h, rows, 1);
  CHECK(http_head_parse(&h, bytes, sizeof bytes - 1) == HTTP_DONE);
  CHECK(h.nfields == 3 && rows[0].id == HTTP_HOST);
  http_head_rewind(&h, rows, 3);
  CHECK(http_head_parse(&h, bytes, sizeof bytes - 1) == HTTP_DONE);
  CHECK(h.nfields == 3 && bytes[rows[2].value] == 'd');
  h.limits.fields = 2;
  http_head_rewind(&h, rows, 0);
  CHECK(http_head_parse(&h, bytes, sizeof bytes - 1) == -431);
}

static void test_dates(void) {
  char text[HTTP_DATE_LEN];
  struct http_clock clock = {0};
  http_date(text, 784111777);
  CHECK(memcmp(text, "Sun, 06 Nov 1994 08:49:37 GMT", HTTP_DATE_LEN) == 0);
  CHECK(memcmp(http_clock_text(&clock, 0), "Thu, 01 Jan 1970 00:00:00 GMT",
               HTTP_DATE_LEN) == 0);
  CHECK(http_clock_text(&clock, 784111777)[1] == 'u');
  CHECK(memcmp(http_clock_text(&clock, 784111777), text, HTTP_DATE_LEN) == 0);
}

static void test_sha1(void) {
  static const uint8_t abc[] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
                                0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
                                0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
  static const uint8_t many[] = {0x34, 0xaa, 0x97, 0x3c, 0xd4, 0xc4, 0xda,
                                 0xa4, 0xf6, 0x1e, 0xeb, 0x2b, 0xdb, 0xad,
                                 0x27, 0x31, 0x65, 0x34, 0x01, 0x6f};
  uint8_t hash[SHA1_LEN];
  char *a = malloc(1000000);
  CHECK(a != NULL);
  memset(a, 'a', 1000000);
  sha1(hash, "abc", 3);
  CHECK(memcmp(hash, abc, SHA1_LEN) == 0);
  sha1(hash, a, 1000000);
  CHECK(memcmp(hash, many, SHA1_LEN) == 0);
  free(a);
}

int main(void) {
  int passed = 0;
  RUN(test_names);
  RUN(test_scans);
  RUN(test_numbers);
  RUN(test_lists);
  RUN(test_masks);
  RUN(test_utf8);
  RUN(test_sizes);
  RUN(test_room);
  RUN(test_dates);
  RUN(test_sha1);
  printf("%d passed\n", passed);
  return 0;
}
