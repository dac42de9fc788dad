/* SPDX-License-Identifier: MIT
 * libFuzzer over the parsers of csrc/http (`make fuzz`). The first byte says
 * which parser, the second how the rest is split. Whatever comes, all splits
 * must have the same verdict, views must lie within the bytes, and what is
 * taken must be taken again when it is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/chunk.h"
#include "http/fields.h"
#include "http/frame.h"
#include "http/framing.h"
#include "http/names.h"
#include "http/target.h"
#include "http/text.h"

#define CHECK(what) \
  do { \
    if (!(what)) { \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
      abort(); \
    } \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 40, HEAD = 600, TARGET = 100 };

/* How long the next piece is. */
static size_t piece(unsigned *seed, size_t left) {
  size_t n;
  *seed = *seed * 1103515245 + 12345;
  n = *seed >> 16 & 15;
  return n < left ? n + (n == 0) : left;
}

static struct http_head new_head(unsigned kind) {
  return (struct http_head){
    .kind = (enum http_kind)kind,
    .limits = {HEAD, FIELDS, TARGET},
  };
}

/* In pieces, each in memory of its own size, so that a sanitizer sees what
 * reads too far. */
static int parse_in_pieces(struct http_head *h, const char *p, size_t n,
                           unsigned seed) {
  size_t have = 0;
  int done = HTTP_MORE;
  while (have < n && done == HTTP_MORE) {
    char *copy;
    have += piece(&seed, n - have);
    copy = malloc(have);
    memcpy(copy, p, have);
    done = http_head_parse(h, copy, have);
    free(copy);
  }
  return done;
}

static bool inside(struct http_view v, size_t n) {
  return v.at <= n && v.len <= n - v.at;
}

/* The fields in a block of just their size, and what is found in it. */
static void take_fields(const struct http_head *h, const char *p) {
  size_t bytes = h->size - h->first;
  struct http_fields f = {
    .rows = malloc(h->nfields * sizeof *f.rows + 1),
    .bytes = malloc(bytes + 1),
    .room = h->nfields,
    .bytes_room = (uint32_t)bytes,
  };
  uint32_t i;
  http_fields_take(&f, h, p);
  CHECK(f.n <= h->nfields && f.used <= bytes);
  for (i = 0; i < f.n; i++) {
    const struct http_field *row = &f.rows[i];
    struct http_wanted w = http_wanted(f.bytes + row->name, row->name_len);
    CHECK(w.id == row->id);
    CHECK(http_all(w.name, w.len, HTTP_TOKEN));
    CHECK(http_value(f.bytes + row->value, row->value_len));
    CHECK(http_fields_find(&f, w, 0) <= i);
  }
  free(f.rows);
  free(f.bytes);
}

/* A request that is taken has one reading of its length. */
static void check_framing(struct http_head *h, const char *p, unsigned seed) {
  static const char *const methods[] = {NULL, "GET", "HEAD", "CONNECT"};
  struct http_framing f;
  int done = http_framing(h, p, methods[seed % 4], &f);
  uint32_t i, lengths = 0, codings = 0;
  if (done < 0) {
    CHECK(h->why != NULL && done <= -400 && done >= -505);
    return;
  }
  for (i = 0; i < h->nfields; i++) {
    lengths += h->fields[i].id == HTTP_CONTENT_LENGTH;
    codings += h->fields[i].id == HTTP_TRANSFER_ENCODING;
  }
  if (h->kind == HTTP_REQUEST) {
    CHECK(lengths + codings <= 1);
    CHECK((f.body == HTTP_CHUNKED) == (codings == 1));
    CHECK((f.body == HTTP_LENGTH) == (lengths == 1 && !f.tunnel) || f.tunnel);
    CHECK(f.host != NULL || h->minor == 0);
    CHECK(f.length <= INT64_MAX);
  }
}

static void fuzz_head(unsigned kind, unsigned seed, const char *p, size_t n) {
  struct http_field rows[FIELDS];
  struct http_head whole = new_head(kind), parts = new_head(kind);
  int done, again;
  http_head_rewind(&whole, rows, FIELDS);
  done = http_head_parse(&whole, p, n);
  again = parse_in_pieces(&parts, p, n, seed);
  CHECK(done == again);
  CHECK(done >= 0 || strcmp(whole.why, parts.why) == 0);
  if (done <= 0)
    return;
  CHECK(whole.size == parts.size && whole.nfields == parts.nfields);
  CHECK(whole.size <= n && whole.size <= HEAD && whole.nfields <= FIELDS);
  CHECK(memcmp(p + whole.size - 2, "\r\n", 2) == 0);
  if (kind == HTTP_REQUEST) {
    CHECK(inside(whole.method, n) && inside(whole.target, n));
    CHECK(inside(whole.authority, n) && whole.target.len <= TARGET);
  }
  take_fields(&whole, p);
  if (kind != HTTP_TRAILERS)
    check_framing(&whole, p, seed);
}

/* Decodes into `to`; returns how many bytes, *done is the last verdict. */
static size_t decode(struct http_chunk *c, const char *p, size_t n, size_t step,
                     char *to, int *done) {
  size_t at = 0, made = 0, used;
  *done = HTTP_MORE;
  while (at < n && *done != HTTP_DONE) {
    size_t most = n - at < step ? n - at : step;
    *done = http_chunk_next(c, p + at, most, &used);
    if (*done < 0)
      return made;
    CHECK(used > 0 && used <= most);
    if (*done == HTTP_CHUNK_DATA) {
      memcpy(to + made, p + at, used);
      made += used;
    }
    at += used;
  }
  return made;
}

static void fuzz_chunks(unsigned seed, const char *p, size_t n) {
  struct http_chunk whole = {0}, parts = {0};
  char *a = malloc(n + 1), *b = malloc(n + 1);
  int done, again;
  size_t na = decode(&whole, p, n, n, a, &done);
  size_t nb = decode(&parts, p, n, seed % 7 + 1, b, &again);
  CHECK((done < 0) == (again < 0) &&
        (done == HTTP_DONE) == (again == HTTP_DONE));
  CHECK(na == nb && memcmp(a, b, na) == 0);
  CHECK(done >= 0 || strcmp(whole.why, parts.why) == 0);
  free(a);
  free(b);
}

/* UTF-8 as RFC 3629 has it, character by character. */
static bool is_utf8(const uint8_t *p, size_t n) {
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  while (n > 0) {
    unsigned more = *p < 0x80             ? 0
                    : (*p & 0xe0) == 0xc0 ? 1
                    : (*p & 0xf0) == 0xe0 ? 2
                    : (*p & 0xf8) == 0xf0 ? 3
                                          : 9;
    uint32_t c = more == 0 ? *p : *p & (0x3fu >> more);
    unsigned i;
    if (more > 3 || more >= n)
      return false;
    for (i = 1; i <= more; i++) {
      if ((p[i] & 0xc0) != 0x80)
        return false;
      c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
      return false;
    p += more + 1;
    n -= more + 1;
  }
  return true;
}

static void fuzz_text(unsigned seed, const char *p, size_t n) {
  struct utf8 whole = {0}, parts = {0};
  bool good = utf8_feed(&whole, p, n) && utf8_whole(&whole), again = true;
  size_t at, step;
  for (at = 0; at < n && again; at += step) {
    step = piece(&seed, n - at);
    again = utf8_feed(&parts, p + at, step);
  }
  CHECK(good == (again && utf8_whole(&parts)));
  CHECK(good == is_utf8((const uint8_t *)p, n));
}

static void fuzz_frames(unsigned seed, const char *p, size_t n) {
  struct ws_rules rules = {.most = 1000, .masked = seed & 1, .rsv = seed & 4};
  struct ws_header h, again;
  char head[WS_HEADER_MAX], *payload;
  const char *why = NULL;
  size_t len, i;
  while (n > 0) {
    for (len = 0; len < n; len++) { /* a part never has another verdict */
      struct ws_rules copy = rules;
      int part = ws_header(&copy, p, len, &again);
      if (part != HTTP_MORE)
        break;
    }
    struct ws_rules before = rules;
    int done = ws_header(&rules, p, n, &h);
    CHECK(len == n || done == ws_header(&before, p, len, &again));
    if (done <= 0) {
      CHECK(done == 0 || rules.why != NULL);
      return;
    }
    CHECK(h.size <= n && rules.so_far <= rules.most);
    again = h;
    CHECK(ws_header_put(head, &again) == h.size);
    CHECK(memcmp(head, p, h.size) == 0);
    if (h.length > n - h.size)
      return;
    len = (size_t)h.length;
    payload = malloc(len + 1);
    ws_mask(payload, p + h.size, len, h.key, seed);
    for (i = 0; i < len; i++)
      CHECK((payload[i] ^ p[h.size + i]) == (char)h.key[(seed + i) % 4]);
    if (h.opcode == WS_CLOSE && ws_close(payload, len, &why) < 0)
      CHECK(why != NULL);
    free(payload);
    p += h.size + len;
    n -= h.size + len;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *p = (const char *)data + 2;
  unsigned seed;
  if (size < 2)
    return 0;
  seed = data[1];
  size -= 2;
  switch (data[0] % 6) {
  case 3:
    fuzz_chunks(seed, p, size);
    break;
  case 4:
    fuzz_text(seed, p, size);
    break;
  case 5:
    fuzz_frames(seed, p, size);
    break;
  default:
    fuzz_head(data[0] % 6, seed, p, size);
  }
  return 0;
}
