/* SPDX-License-Identifier: MIT
 * The target of a request in its four forms, and what a Host field may be. */
#include "http/target.h"

#include "http/head.h"
#include "http/text.h"

/* 127.0.0.1, each number of up to 3 digits and without a zero before it. */
static bool dotted(const char *p, const char *end) {
  unsigned i;
  for (i = 0; i < 4; i++) {
    const char *from = p;
    unsigned value = 0;
    while (p < end && p - from < 3 && http_is(*p, HTTP_DIGIT))
      value = 10 * value + (unsigned)(*p++ - '0');
    if (p == from || value > 255 || (*from == '0' && p - from > 1))
      return false;
    if (i < 3 && (p == end || *p++ != '.'))
      return false;
  }
  return p == end;
}

/* An IPv6 address: up to 8 groups, "::" once, the last two perhaps dotted. */
static bool v6(const char *p, const char *end) {
  unsigned groups = 0;
  bool gap = false, colon = false; /* a group must follow a single colon */
  if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
    gap = true;
    p += 2;
  }
  while (p < end) {
    const char *from = p;
    while (p < end && http_is(*p, HTTP_HEX))
      p++;
    if (p < end && *p == '.')
      return (gap ? groups < 6 : groups == 6) && dotted(from, end);
    if (p == from || p - from > 4 || ++groups > 8)
      return false;
    colon = false;
    if (p == end)
      break;
    if (*p++ != ':')
      return false;
    colon = true;
    if (p < end && *p == ':') {
      if (gap)
        return false;
      gap = true;
      colon = false;
      p++;
    }
  }
  return !colon && (gap ? groups < 8 : groups == 8);
}

/* What is between brackets: v6, or v1.something of the future. */
static bool literal(const char *p, const char *end) {
  const char *dot;
  if (p == end || (*p | 0x20) != 'v')
    return v6(p, end);
  dot = http_find(p, end, '.');
  if (dot == end || !http_all(p + 1, (size_t)(dot - p - 1), HTTP_HEX))
    return false;
  for (p = dot + 1; p < end; p++)
    if (!http_is(*p, HTTP_HOSTNAME) && *p != ':')
      return false;
  return p > dot + 1;
}

static bool port(const char *p, const char *end) {
  uint64_t number = 0;
  return p == end ||
         (http_number(p, (size_t)(end - p), &number) && number <= 65535);
}

/* Where the host ends, or NULL. */
static const char *host(const char *p, const char *end) {
  if (p < end && *p == '[') {
    const char *bracket = http_find(p, end, ']');
    bool good = bracket < end && literal(p + 1, bracket);
    return good ? bracket + 1 : NULL;
  }
  while (p < end && *p != ':') {
    if (http_is(*p, HTTP_HOSTNAME))
      p++;
    else if (*p == '%' && end - p >= 3 && http_all(p + 1, 2, HTTP_HEX))
      p += 3;
    else
      return NULL;
  }
  return p;
}

bool http_authority(const char *p, size_t n) {
  const char *end = p + n;
  p = host(p, end);
  return p != NULL && (p == end || (*p == ':' && port(p + 1, end)));
}

/* host:port, neither of them empty. */
static int authority_form(struct http_head *h, const char *bytes) {
  const char *p = bytes + h->target.at, *end = p + h->target.len;
  if (!http_authority(p, h->target.len) || *p == ':' ||
      !http_is(end[-1], HTTP_DIGIT) || host(p, end) == end)
    return http_fail(h, 400, "CONNECT wants a host and a port");
  h->form = HTTP_AUTHORITY;
  h->authority = h->target;
  return HTTP_DONE;
}

/* scheme://authority, then a path or a query or nothing. */
static int absolute_form(struct http_head *h, const char *bytes) {
  const char *p = bytes + h->target.at, *end = p + h->target.len;
  const char *colon = http_find(p, end, ':'), *from;
  if (colon == end || end - colon < 3 || colon[1] != '/' || colon[2] != '/' ||
      !http_all(p, (size_t)(colon - p), HTTP_SCHEME) || (*p | 0x20) < 'a')
    return http_fail(h, 400, "malformed target");
  from = p = colon + 3;
  while (p < end && *p != '/' && *p != '?')
    p++;
  if (!http_authority(from, (size_t)(p - from)) || p == from || *from == ':')
    return http_fail(h, 400, "malformed host in the target");
  h->form = HTTP_ABSOLUTE;
  h->authority.at = (uint32_t)(from - bytes);
  h->authority.len = (uint32_t)(p - from);
  return HTTP_DONE;
}

int http_target(struct http_head *h, const char *bytes) {
  const char *p = bytes + h->target.at;
  h->authority.len = 0;
  if (http_method_is(h, bytes, "CONNECT"))
    return authority_form(h, bytes);
  h->form = HTTP_ORIGIN;
  if (*p == '/')
    return HTTP_DONE;
  if (h->target.len == 1 && *p == '*' && http_method_is(h, bytes, "OPTIONS")) {
    h->form = HTTP_ASTERISK;
    return HTTP_DONE;
  }
  return absolute_form(h, bytes);
}
