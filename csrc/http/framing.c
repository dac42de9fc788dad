/* SPDX-License-Identifier: MIT
 * Where a message ends, by its head. */
#include "http/framing.h"

#include "http/names.h"
#include "http/target.h"
#include "http/text.h"

/* What the fields say, before it is judged together. */
struct said {
  struct http_head *head;
  const char *bytes;
  struct http_framing *f;
  bool length, codings, keeps, closes, upgrades;
  bool chunked; /* the last coding of all */
  bool foreign; /* there is a coding before it */
};

static struct http_text value(const struct said *s,
                              const struct http_field *field) {
  return (struct http_text){s->bytes + field->value, field->value_len};
}

static int host(struct said *s, const struct http_field *field) {
  struct http_text text = value(s, field);
  if (s->head->kind != HTTP_REQUEST)
    return HTTP_DONE;
  if (s->f->host != NULL)
    return http_fail(s->head, 400, "more than one Host");
  if (!http_authority(text.p, text.n))
    return http_fail(s->head, 400, "malformed Host");
  s->f->host = field;
  return HTTP_DONE;
}

static bool empty_items(struct http_text list) {
  const char *end = list.p + list.n, *p = list.p;
  for (;;) {
    const char *comma = http_find(p, end, ',');
    if (http_trim(p, comma).n == 0)
      return true;
    if (comma == end)
      return false;
    p = comma + 1;
  }
}

/* A request has one length. In a response the same again does no harm (RFC
 * 9110, 8.6). */
static int content_length(struct said *s, const struct http_field *field) {
  struct http_text list = value(s, field), item;
  uint64_t length = 0;
  if (s->head->kind == HTTP_REQUEST) {
    if (s->length)
      return http_fail(s->head, 400, "more than one Content-Length");
    if (!http_number(list.p, list.n, &s->f->length))
      return http_fail(s->head, 400, "malformed Content-Length");
    s->length = true;
    return HTTP_DONE;
  }
  if (empty_items(list))
    return http_fail(s->head, 400, "malformed Content-Length");
  while (http_item(&list, &item)) {
    if (field->folded || !http_number(item.p, item.n, &length))
      return http_fail(s->head, 400, "malformed Content-Length");
    if (s->length && length != s->f->length)
      return http_fail(s->head, 400, "Content-Lengths that differ");
    s->length = true;
    s->f->length = length;
  }
  return HTTP_DONE;
}

/* Those that are registered, so that one knows that they do not delimit. */
static bool known_coding(struct http_text item) {
  return http_is_word(item.p, item.n, "gzip") ||
         http_is_word(item.p, item.n, "deflate") ||
         http_is_word(item.p, item.n, "compress") ||
         http_is_word(item.p, item.n, "x-gzip") ||
         http_is_word(item.p, item.n, "x-compress") ||
         http_is_word(item.p, item.n, "identity");
}

static int transfer_encoding(struct said *s, const struct http_field *field) {
  struct http_text list = value(s, field), item;
  /* Empty items are where recipients have differed. */
  if (field->folded || empty_items(list))
    return http_fail(s->head, 400, "malformed Transfer-Encoding");
  s->codings = true;
  while (http_item(&list, &item)) {
    const char *end = http_find(item.p, item.p + item.n, ';');
    struct http_text name = http_trim(item.p, end);
    if (!http_all(name.p, name.n, HTTP_TOKEN))
      return http_fail(s->head, 400, "malformed Transfer-Encoding");
    if (s->chunked)
      return http_fail(s->head, 400, "chunked is not the last coding");
    s->chunked = http_is_word(item.p, item.n, "chunked");
    if (!s->chunked && http_is_word(name.p, name.n, "chunked"))
      return http_fail(s->head, 400, "chunked has no parameters");
    if (!s->chunked && !known_coding(name))
      return http_fail(s->head, 501, "unknown transfer coding");
    s->foreign |= !s->chunked;
  }
  return HTTP_DONE;
}

static int connection(struct said *s, const struct http_field *field) {
  struct http_text list = value(s, field), item;
  while (http_item(&list, &item)) {
    s->closes |= http_is_word(item.p, item.n, "close");
    s->keeps |= http_is_word(item.p, item.n, "keep-alive");
    s->upgrades |= http_is_word(item.p, item.n, "upgrade");
  }
  return HTTP_DONE;
}

static int expect(struct said *s, const struct http_field *field) {
  struct http_text text = value(s, field);
  if (s->head->kind != HTTP_REQUEST || s->head->minor == 0)
    return HTTP_DONE;
  if (!http_is_word(text.p, text.n, "100-continue"))
    return http_fail(s->head, 417, "unknown expectation");
  s->f->expects = true;
  return HTTP_DONE;
}

static int fields(struct said *s) {
  const struct http_head *h = s->head;
  uint32_t i;
  int done = HTTP_DONE;
  for (i = 0; i < h->nfields && done > 0; i++) {
    const struct http_field *field = &h->fields[i];
    switch (field->id) {
    case HTTP_HOST:
      done = host(s, field);
      break;
    case HTTP_CONTENT_LENGTH:
      done = content_length(s, field);
      break;
    case HTTP_TRANSFER_ENCODING:
      done = transfer_encoding(s, field);
      break;
    case HTTP_CONNECTION:
      done = connection(s, field);
      break;
    case HTTP_UPGRADE:
      s->f->upgrade = field;
      break;
    case HTTP_EXPECT:
      done = expect(s, field);
      break;
    default:
      break;
    }
  }
  return done;
}

/* Transfer codings: of both kinds, chunked alone is understood. */
static int codings(struct said *s) {
  if (s->head->minor == 0)
    return http_fail(s->head, 400, "Transfer-Encoding in HTTP/1.0");
  if (s->length)
    return http_fail(s->head, 400, "Transfer-Encoding and Content-Length");
  if (!s->chunked && s->head->kind == HTTP_REQUEST)
    return http_fail(s->head, 400, "chunked is not the last coding");
  if (s->foreign || !s->chunked)
    return http_fail(s->head, 501, "a transfer coding besides chunked");
  s->f->body = HTTP_CHUNKED;
  return HTTP_DONE;
}

static int request(struct said *s) {
  struct http_head *h = s->head;
  if (s->f->host == NULL && h->minor == 1)
    return http_fail(h, 400, "no Host");
  s->f->tunnel = h->form == HTTP_AUTHORITY;
  if (s->f->tunnel && (s->codings || s->f->length > 0))
    return http_fail(h, 400, "CONNECT with a body");
  if (s->codings)
    return codings(s);
  s->f->body = s->length ? HTTP_LENGTH : HTTP_NONE;
  s->f->expects &= s->f->length > 0;
  return HTTP_DONE;
}

static int response(struct said *s, const char *method) {
  unsigned status = s->head->status;
  bool head = method != NULL && strcmp(method, "HEAD") == 0;
  bool connect = method != NULL && strcmp(method, "CONNECT") == 0;
  if (status == 101 || (connect && status / 100 == 2)) {
    s->f->tunnel = true;
    return HTTP_DONE;
  }
  if (status < 200 || status == 204) {
    /* A body that must not be there might follow all the same. */
    s->f->close |= s->codings || s->f->length > 0;
    return HTTP_DONE;
  }
  if (s->codings) {
    int done = codings(s);
    if (done < 0)
      return done;
  } else {
    s->f->body = s->length ? HTTP_LENGTH : HTTP_UNTIL_CLOSE;
  }
  if (head || status == 304)
    s->f->body = HTTP_NONE;
  s->f->close |= s->f->body == HTTP_UNTIL_CLOSE;
  return HTTP_DONE;
}

int http_framing(struct http_head *h, const char *bytes, const char *method,
                 struct http_framing *f) {
  struct said s = {.head = h, .bytes = bytes, .f = f};
  int done;
  memset(f, 0, sizeof *f);
  done = fields(&s);
  if (done < 0)
    return done;
  f->close = s.closes || (h->minor == 0 && !s.keeps);
  if (!s.upgrades || h->minor == 0)
    f->upgrade = NULL;
  return h->kind == HTTP_REQUEST ? request(&s) : response(&s, method);
}
