/* SPDX-License-Identifier: MIT */
#include "z/encode.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "z/alloc.h"

enum { GZIP = 16 };

/* zlib's deflate cannot do with 8 bits; with 9 its distances stay below 256,
 * which is what 8 promise. */
static int bits_for(enum zkind kind, int bits) {
  if (bits == 8)
    bits = 9;
  return kind == ZGZIP ? bits + GZIP : kind == ZRAW ? -bits : bits;
}

int zencoder_open(struct zencoder *e, enum zkind kind, int level,
                  int window_bits, int memory) {
  z_stream *z;
  e->z = NULL;
  if (kind != ZGZIP && kind != ZDEFLATE && kind != ZRAW)
    return -ENOTSUP;
  z = calloc(1, sizeof *z);
  if (z == NULL)
    return -ENOMEM;
  z->zalloc = zalloc_for_zlib;
  z->zfree = zalloc_free;
  if (deflateInit2(z, level, Z_DEFLATED, bits_for(kind, window_bits), memory,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    free(z);
    return -ENOMEM;
  }
  e->z = z;
  return 0;
}

void zencoder_close(struct zencoder *e) {
  if (e->z == NULL)
    return;
  deflateEnd(e->z);
  free(e->z);
  e->z = NULL;
}

int zencoder_run(struct zencoder *e, struct zspan *s, enum zend how) {
  static const int flush[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
  z_stream *z = e->z;
  unsigned nin, nout;
  int code;
  do {
    nin = s->nin > UINT_MAX ? UINT_MAX : (unsigned)s->nin;
    nout = s->nout > UINT_MAX ? UINT_MAX : (unsigned)s->nout;
    z->next_in = s->in;
    z->avail_in = nin;
    z->next_out = s->out;
    z->avail_out = nout;
    code = deflate(z, nin < s->nin ? Z_NO_FLUSH : flush[how]);
    s->in += nin - z->avail_in;
    s->nin -= nin - z->avail_in;
    s->out += nout - z->avail_out;
    s->nout -= nout - z->avail_out;
  } while (code == Z_OK && s->nin > 0 && s->nout > 0);
  return code == Z_STREAM_ERROR ? -EINVAL : 0;
}

void zencoder_reset(struct zencoder *e) {
  deflateReset(e->z);
}
