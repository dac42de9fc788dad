/* SPDX-License-Identifier: MIT
 * The target of a request in its four forms, and what a Host field may be. */
#ifndef NEAP_HTTP_TARGET_H
#define NEAP_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct http_head;

/* Sets the form, and the authority of one that has it. HTTP_DONE or a
 * failure. The bytes are known to be HTTP_TARGET. */
int http_target(struct http_head *h, const char *bytes);

/* host, host:port, [v6], [v6]:port by RFC 3986; the host may be empty, as the
 * port after its colon, and the port is at most 65535. */
bool http_authority(const char *p, size_t n);

#endif
