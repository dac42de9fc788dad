/* SPDX-License-Identifier: MIT
 * The chunked coding (RFC 9112, 7.1), byte by byte if need be. What follows
 * the last chunk, trailers and an empty line, is a head of HTTP_TRAILERS. */
#ifndef NEAP_HTTP_CHUNK_H
#define NEAP_HTTP_CHUNK_H

#include <stddef.h>
#include <stdint.h>

enum {
  HTTP_EXTENSIONS_MAX = 4096, /* bytes of chunk extensions in one body */
  HTTP_CHUNK_DIGITS = 16,
  HTTP_CHUNK_HEAD = HTTP_CHUNK_DIGITS + 2, /* room for a size and CR LF */
};

/* All 0 at first. */
struct http_chunk {
  uint64_t left; /* of the chunk's data */
  uint32_t extensions;
  uint8_t state, digits;
  const char *why; /* it failed */
};

/* What there is next in [p, p + n), of which *used are taken:
 *   HTTP_MORE         bytes of lines; the rest, if any, is asked for again
 *   HTTP_DONE         the last chunk's line has ended
 *   HTTP_CHUNK_DATA   *used bytes of data
 * or a failure, minus the status to answer. */
enum { HTTP_CHUNK_DATA = 2 };
int http_chunk_next(struct http_chunk *c, const char *p, size_t n,
                    size_t *used);

/* Writes the size of a chunk and CR LF; returns how many bytes. The chunk
 * itself and another CR LF follow. */
size_t http_chunk_head(char to[HTTP_CHUNK_HEAD], uint64_t size);

#endif
