/* SPDX-License-Identifier: MIT
 * The chunked coding. */
#include "http/chunk.h"

#include "http/head.h"
#include "http/text.h"

enum state {
  SIZE,       /* its first digit */
  DIGITS,     /* another, or what ends it */
  BEFORE_EXT, /* after a blank: only an extension goes on with one */
  NAME_FIRST, /* after ';' */
  NAME,
  AFTER_NAME, /* after a blank */
  EQUALS,     /* after '=' */
  TOKEN,
  QUOTED,
  ESCAPED,
  QUOTE_END,
  AFTER_VALUE, /* after a blank */
  LINE_FEED,
  DATA,
  DATA_CR,
  DATA_LF,
  ENDED,
};

static int refuse(struct http_chunk *c, const char *why) {
  c->why = why;
  return -400;
}

static unsigned hex(char c) {
  return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

static int digit(struct http_chunk *c, char byte) {
  if (c->digits == HTTP_CHUNK_DIGITS || c->left > INT64_MAX / 16)
    return refuse(c, "the chunk's size is too large");
  c->left = 16 * c->left + hex(byte);
  c->digits++;
  c->state = DIGITS;
  return HTTP_MORE;
}

/* The state after a byte that may follow what is complete: a blank (then
 * `blank` goes on, and the line may not end), another extension, the line's
 * end; else it is refused. */
static int follows(struct http_chunk *c, char byte, enum state blank) {
  if (http_blank(byte))
    c->state = (uint8_t)blank;
  else if (byte == ';')
    c->state = NAME_FIRST;
  else if (byte == '\r' && c->state != blank)
    c->state = LINE_FEED;
  else
    return refuse(c, c->state <= BEFORE_EXT ? "malformed chunk size"
                                            : "malformed chunk extension");
  return HTTP_MORE;
}

/* A byte of an extension: name, name=token or name="text", with blanks
 * between the parts. */
static int extension(struct http_chunk *c, char byte) {
  bool blank = http_blank(byte), token = http_is(byte, HTTP_TOKEN);
  switch (c->state) {
  case NAME_FIRST:
  case EQUALS:
    if (blank)
      return HTTP_MORE;
    if (token)
      c->state = c->state == EQUALS ? TOKEN : NAME;
    else if (c->state == EQUALS && byte == '"')
      c->state = QUOTED;
    else
      return refuse(c, "malformed chunk extension");
    return HTTP_MORE;
  case NAME:
  case AFTER_NAME:
    if (c->state == NAME && token)
      return HTTP_MORE;
    if (byte == '=') {
      c->state = EQUALS;
      return HTTP_MORE;
    }
    return follows(c, byte, AFTER_NAME);
  case QUOTED:
    if (byte == '"')
      c->state = QUOTE_END;
    else if (byte == '\\')
      c->state = ESCAPED;
    else if (!http_is(byte, HTTP_QUOTED))
      return refuse(c, "malformed chunk extension");
    return HTTP_MORE;
  case ESCAPED:
    c->state = QUOTED;
    return http_iscontrol(byte) ? refuse(c, "malformed chunk extension")
                                : HTTP_MORE;
  default: /* TOKEN, QUOTE_END, AFTER_VALUE */
    if (c->state == TOKEN && token)
      return HTTP_MORE;
    return follows(c, byte, AFTER_VALUE);
  }
}

static int line_feed(struct http_chunk *c, char byte) {
  if (byte != '\n')
    return refuse(c, "a CR without LF");
  if (c->state == DATA_LF) {
    c->state = SIZE;
    c->digits = 0;
    return HTTP_MORE;
  }
  c->state = c->left > 0 ? DATA : ENDED;
  return c->left > 0 ? HTTP_MORE : HTTP_DONE;
}

static int step(struct http_chunk *c, char byte) {
  switch (c->state) {
  case SIZE:
    if (http_is(byte, HTTP_HEX))
      return digit(c, byte);
    return refuse(c, "malformed chunk size");
  case DIGITS:
    if (http_is(byte, HTTP_HEX))
      return digit(c, byte);
    return follows(c, byte, BEFORE_EXT);
  case BEFORE_EXT:
    return follows(c, byte, BEFORE_EXT);
  case LINE_FEED:
  case DATA_LF:
    return line_feed(c, byte);
  case DATA_CR:
    if (byte != '\r')
      return refuse(c, "a chunk is longer than its size");
    c->state = DATA_LF;
    return HTTP_MORE;
  default:
    return extension(c, byte);
  }
}

int http_chunk_next(struct http_chunk *c, const char *p, size_t n,
                    size_t *used) {
  size_t i;
  int done;
  *used = 0;
  if (c->state == ENDED)
    return HTTP_DONE;
  for (i = 0; i < n; i++) {
    if (c->state == DATA) {
      if (i > 0)
        break;
      *used = n < c->left ? n : (size_t)c->left;
      c->left -= *used;
      if (c->left == 0)
        c->state = DATA_CR;
      return HTTP_CHUNK_DATA;
    }
    if (c->state >= BEFORE_EXT && c->state <= AFTER_VALUE &&
        ++c->extensions > HTTP_EXTENSIONS_MAX)
      return refuse(c, "chunk extensions are too long");
    done = step(c, p[i]);
    if (done != HTTP_MORE) {
      *used = i + 1;
      return done;
    }
  }
  *used = i;
  return HTTP_MORE;
}

size_t http_chunk_head(char to[HTTP_CHUNK_HEAD], uint64_t size) {
  static const char digits[] = "0123456789abcdef";
  size_t n = 1, i;
  while (n < HTTP_CHUNK_DIGITS && size >> (4 * n) != 0)
    n++;
  for (i = 0; i < n; i++)
    to[i] = digits[size >> (4 * (n - 1 - i)) & 15];
  to[n] = '\r';
  to[n + 1] = '\n';
  return n + 2;
}
