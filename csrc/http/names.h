/* SPDX-License-Identifier: MIT
 * The names of header fields that are usual, so that a name is compared once
 * and is a number from then on. */
#ifndef NEAP_HTTP_NAMES_H
#define NEAP_HTTP_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* Those that this layer asks for come first; the order of names.c. */
enum http_id {
  HTTP_OTHER, /* a name that is not in the table */
  HTTP_HOST,
  HTTP_CONTENT_LENGTH,
  HTTP_TRANSFER_ENCODING,
  HTTP_CONNECTION,
  HTTP_UPGRADE,
  HTTP_EXPECT,
  HTTP_SET_COOKIE,
  HTTP_COOKIE,
  HTTP_DATE,
};

enum {
  HTTP_IN_HEAD = 1, /* means nothing in trailers (RFC 9110, 6.5.1) */
  HTTP_FRAMING = 2, /* and is an attack there */
  HTTP_NAME_MAX = 32,
};

struct http_name {
  char name[HTTP_NAME_MAX + 1]; /* in lower case */
  uint8_t len, flags;
};

extern const struct http_name http_names[]; /* by id; [0] has no name */
extern const unsigned http_nnames;

/* An enum http_id or a later row, in whatever case the name is written. The
 * name must not hold control characters. */
unsigned http_name_id(const char *name, size_t n);

#endif
