/* SPDX-License-Identifier: MIT
 * The head of a request or of a response, and trailers: bytes to views of
 * them, as RFC 9112 says. Strict: what the RFC lets a recipient refuse or
 * repair is refused; so a line ends with CR LF, in requests and responses.
 * Three things are taken, because they occur and lead nowhere: one empty line
 * before a request; a response without the space before its missing reason;
 * and a folded line of a response, which RFC 9112 (5.2) tells us to unfold.
 *
 * A head that has not come whole is parsed again as it grows, from the line
 * that was not whole, and in that from where the last call stopped. Lines are
 * judged when they are whole, so that the verdict does not depend on how the
 * bytes were split. */
#ifndef NEAP_HTTP_HEAD_H
#define NEAP_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE, HTTP_TRAILERS };

/* What parsers return besides failures, which are negative: minus the status
 * that a server answers. */
enum { HTTP_MORE = 0, HTTP_DONE = 1 };

enum { HTTP_METHOD_MAX = 64 };

struct http_limits {
  uint32_t head;   /* bytes, with all line ends */
  uint32_t fields; /* lines after the first */
  uint32_t target; /* bytes */
};

/* Offsets count from where the head's bytes begin. */
struct http_view {
  uint32_t at, len;
};

struct http_field {
  uint32_t name, value, value_len;
  uint16_t name_len;
  uint8_t id;     /* names.h */
  uint8_t folded; /* CR LF in the value mean spaces */
};

enum http_form { HTTP_ORIGIN, HTTP_ABSOLUTE, HTTP_AUTHORITY, HTTP_ASTERISK };

struct http_head {
  enum http_kind kind;
  struct http_limits limits;
  struct http_field *fields; /* the first of them */
  uint32_t room;             /* for so many; the others are counted */
  const char *why;           /* it failed */

  /* How far it is; 0 at first. */
  uint32_t line; /* where the line begins that is not whole */
  uint32_t seen; /* no line ends before this */
  bool started;  /* the first line is done */

  uint32_t nfields;
  uint32_t first;          /* where the first field begins */
  uint32_t size;           /* bytes of it, when it is done */
  uint32_t minor;          /* HTTP/1.minor */
  unsigned status;         /* of a response */
  struct http_view method; /* of a request */
  struct http_view target; /* of a request; of a response its reason */
  struct http_view authority;
  enum http_form form;
};

/* HTTP_DONE, HTTP_MORE, or minus a status, then `why` is set. Called again
 * after HTTP_MORE with the same bytes and more of them. */
int http_head_parse(struct http_head *h, const char *bytes, size_t n);

/* To parse from the beginning, with room for fields. */
void http_head_rewind(struct http_head *h, struct http_field *fields,
                      uint32_t room);

/* Fails with this status and reason. */
static inline int http_fail(struct http_head *h, int status, const char *why) {
  h->why = why;
  return -status;
}

/* Is the method this one? */
bool http_method_is(const struct http_head *h, const char *bytes,
                    const char *method);

#endif
