/* SPDX-License-Identifier: MIT
 * Where a message ends, by its head: one reading, or none (RFC 9112, 6). */
#ifndef NEAP_HTTP_FRAMING_H
#define NEAP_HTTP_FRAMING_H

#include "http/head.h"

enum http_body { HTTP_NONE, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

struct http_framing {
  enum http_body body;
  uint64_t length; /* of HTTP_LENGTH */
  bool close;      /* the connection ends with this message */
  bool expects;    /* 100 Continue is waited for */
  bool tunnel;     /* what follows is no HTTP: CONNECT, 101 */
  const struct http_field *host;
  const struct http_field *upgrade; /* asked for, and Connection says so */
};

/* Of a head that is done, with its fields. `method`: of the request that a
 * response answers, else NULL. HTTP_DONE or a failure. */
int http_framing(struct http_head *h, const char *bytes, const char *method,
                 struct http_framing *f);

#endif
