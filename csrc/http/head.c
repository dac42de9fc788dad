/* SPDX-License-Identifier: MIT
 * Heads of messages, line by line. */
#include "http/head.h"

#include "http/names.h"
#include "http/target.h"
#include "http/text.h"

enum { VERSION_LEN = 8 }; /* HTTP/1.1 */

bool http_method_is(const struct http_head *h, const char *bytes,
                    const char *method) {
  return strlen(method) == h->method.len &&
         memcmp(bytes + h->method.at, method, h->method.len) == 0;
}

void http_head_rewind(struct http_head *h, struct http_field *fields,
                      uint32_t room) {
  h->fields = fields;
  h->room = room;
  h->line = h->seen = h->nfields = 0;
  h->started = false;
}

static struct http_view view(const char *bytes, const char *p, const char *e) {
  return (struct http_view){(uint32_t)(p - bytes), (uint32_t)(e - p)};
}

/* Finds the CR LF that ends the line. */
static int line_end(struct http_head *h, const char *bytes, const char *end,
                    const char **line_ends) {
  uint32_t from = h->seen > h->line ? h->seen : h->line;
  const char *p = http_control(bytes + from, end);
  h->seen = (uint32_t)(p - bytes);
  if (p == end || (*p == '\r' && p + 1 == end))
    return HTTP_MORE;
  if (*p == '\n')
    return http_fail(h, 400, "a line ends with LF alone");
  if (*p != '\r')
    return http_fail(h, 400, *p == 0 ? "a NUL" : "a control character");
  if (p[1] != '\n')
    return http_fail(h, 400, "a CR without LF");
  *line_ends = p;
  return HTTP_DONE;
}

/* "HTTP/1.1"; what comes after 1.1 is to be taken for it (RFC 9110, 2.5). */
static int version(struct http_head *h, const char *p) {
  if (memcmp(p, "HTTP/", 5) != 0 || !http_is(p[5], HTTP_DIGIT) || p[6] != '.' ||
      !http_is(p[7], HTTP_DIGIT))
    return http_fail(h, 400, "malformed HTTP version");
  if (p[5] != '1')
    return http_fail(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  h->minor = p[7] != '0';
  return HTTP_DONE;
}

/* The method and the target, as far as they are there. Done when both are. */
static int method_and_target(struct http_head *h, const char *bytes,
                             const char *p, const char *end) {
  const char *method = p, *target;
  size_t most = h->limits.target;
  while (p < end && p - method <= HTTP_METHOD_MAX && http_is(*p, HTTP_TOKEN))
    p++;
  if (p == end)
    return HTTP_MORE;
  if (p - method > HTTP_METHOD_MAX)
    return http_fail(h, 501, "the method is too long");
  if (p == method || *p != ' ')
    return http_fail(h, 400, "malformed method");
  h->method = view(bytes, method, p);
  target = ++p;
  if ((size_t)(end - target) > most)
    end = target + most + 1;
  while (p < end && http_is(*p, HTTP_TARGET))
    p++;
  if (p < end && *p != ' ')
    return http_fail(h, 400, "the target holds a byte that must be encoded");
  if ((size_t)(p - target) > most)
    return http_fail(h, 414, "the target is too long");
  if (p == end)
    return HTTP_MORE;
  if (p == target)
    return http_fail(h, 400, "no target");
  h->target = view(bytes, target, p);
  return HTTP_DONE;
}

static int request_line(struct http_head *h, const char *bytes, const char *p,
                        const char *end) {
  int done = method_and_target(h, bytes, p, end);
  if (done == HTTP_MORE)
    return http_fail(h, 400, "malformed request line");
  if (done < 0)
    return done;
  p = bytes + h->target.at + h->target.len + 1;
  if (end - p != VERSION_LEN)
    return http_fail(h, 400, "malformed HTTP version");
  done = version(h, p);
  return done < 0 ? done : http_target(h, bytes);
}

/* What is wrong already with a request line that has not ended. */
static int request_begun(struct http_head *h, const char *bytes,
                         const char *end) {
  int done = method_and_target(h, bytes, bytes + h->line, end);
  uint32_t after = h->target.at + h->target.len + 1;
  if (done == HTTP_DONE && end - (bytes + after) > VERSION_LEN)
    return http_fail(h, 400, "malformed HTTP version");
  return done < 0 ? done : HTTP_MORE;
}

/* HTTP/1.1 200 reason; the second space may be missing with the reason. */
static int status_line(struct http_head *h, const char *bytes, const char *p,
                       const char *end) {
  int done;
  if (end - p < VERSION_LEN + 4 || p[VERSION_LEN] != ' ')
    return http_fail(h, 400, "malformed status line");
  done = version(h, p);
  if (done < 0)
    return done;
  p += VERSION_LEN + 1;
  if (!http_all(p, 3, HTTP_DIGIT) || *p == '0' || (end - p > 3 && p[3] != ' '))
    return http_fail(h, 400, "malformed status");
  h->status = (unsigned)((p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0');
  p += end - p > 3 ? 4 : 3;
  h->target = view(bytes, p, end);
  return HTTP_DONE;
}

/* A line that begins with a blank goes on with the value before it. */
static int folded_line(struct http_head *h, const char *bytes, const char *p,
                       const char *end) {
  struct http_text text = http_trim(p, end);
  struct http_field *f;
  if (h->nfields == 0)
    return http_fail(h, 400, "a blank before the first field");
  if (h->kind != HTTP_RESPONSE)
    return http_fail(h, 400, "a folded line");
  if (h->nfields > h->room || text.n == 0)
    return HTTP_DONE;
  f = &h->fields[h->nfields - 1];
  if (f->value_len == 0)
    f->value = (uint32_t)(text.p - bytes);
  f->value_len = (uint32_t)(text.p + text.n - bytes) - f->value;
  f->folded = 1;
  return HTTP_DONE;
}

static int bad_name(struct http_head *h, const char *name, const char *colon) {
  if (colon == name)
    return http_fail(h, 400, "a field without a name");
  if (http_blank(colon[-1]))
    return http_fail(h, 400, "a blank before a colon");
  return http_fail(h, 400, "a field name that is no token");
}

static int field_line(struct http_head *h, const char *bytes, const char *p,
                      const char *end) {
  const char *colon;
  struct http_text value;
  unsigned id;
  if (http_blank(*p))
    return folded_line(h, bytes, p, end);
  if (h->nfields == h->limits.fields)
    return http_fail(h, 431, "too many fields");
  colon = http_find(p, end, ':');
  if (colon == end)
    return http_fail(h, 400, "a line without a colon");
  id = http_name_id(p, (size_t)(colon - p));
  if (id == HTTP_OTHER && !http_all(p, (size_t)(colon - p), HTTP_TOKEN))
    return bad_name(h, p, colon);
  if (colon - p > UINT16_MAX)
    return http_fail(h, 431, "a field name is too long");
  if (h->nfields < h->room) {
    value = http_trim(colon + 1, end);
    h->fields[h->nfields] = (struct http_field){
      .name = (uint32_t)(p - bytes),
      .value = (uint32_t)(value.p - bytes),
      .value_len = (uint32_t)value.n,
      .name_len = (uint16_t)(colon - p),
      .id = (uint8_t)id,
    };
  }
  h->nfields++;
  return HTTP_DONE;
}

static int first_line(struct http_head *h, const char *bytes, const char *end) {
  const char *line_ends;
  int done;
  if (h->line == 0 && h->kind == HTTP_REQUEST && end - bytes >= 2 &&
      bytes[0] == '\r' && bytes[1] == '\n')
    h->line = 2;
  done = line_end(h, bytes, end, &line_ends);
  if (done <= 0 && h->kind == HTTP_REQUEST) {
    int begun = request_begun(h, bytes, bytes + h->seen);
    return begun < 0 ? begun : done;
  }
  if (done <= 0)
    return done;
  done = h->kind == HTTP_REQUEST
           ? request_line(h, bytes, bytes + h->line, line_ends)
           : status_line(h, bytes, bytes + h->line, line_ends);
  h->line = (uint32_t)(line_ends + 2 - bytes);
  return done;
}

static int lines(struct http_head *h, const char *bytes, const char *end) {
  int done;
  if (!h->started && h->kind != HTTP_TRAILERS) {
    done = first_line(h, bytes, end);
    if (done <= 0)
      return done;
  }
  if (!h->started) {
    h->started = true;
    h->first = h->line;
  }
  for (;;) {
    const char *p = bytes + h->line, *line_ends;
    done = line_end(h, bytes, end, &line_ends);
    if (done <= 0)
      return done;
    h->line = (uint32_t)(line_ends + 2 - bytes);
    if (p == line_ends)
      break;
    done = field_line(h, bytes, p, line_ends);
    if (done < 0)
      return done;
  }
  h->size = h->line;
  return HTTP_DONE;
}

int http_head_parse(struct http_head *h, const char *bytes, size_t n) {
  bool cut = n >= h->limits.head;
  int done = lines(h, bytes, bytes + (cut ? h->limits.head : n));
  if (done == HTTP_MORE && cut)
    return http_fail(h, 431, "the head is too long");
  return done;
}
