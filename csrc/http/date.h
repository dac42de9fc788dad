/* SPDX-License-Identifier: MIT
 * Dates as HTTP writes them: Sun, 06 Nov 1994 08:49:37 GMT. */
#ifndef NEAP_HTTP_DATE_H
#define NEAP_HTTP_DATE_H

#include <stdint.h>

enum { HTTP_DATE_LEN = 29 };

#define HTTP_DATE_LAST 253402300799 /* the end of the year 9999 */

/* Seconds since 1970, from 0 to HTTP_DATE_LAST. */
void http_date(char to[HTTP_DATE_LEN], int64_t seconds);

/* The text of a second, kept until another is asked for. Zeroed at first. */
struct http_clock {
  int64_t second;
  char text[HTTP_DATE_LEN];
};

const char *http_clock_text(struct http_clock *c, int64_t second);

#endif
