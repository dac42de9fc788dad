/* SPDX-License-Identifier: MIT */
#include "z/coder.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "z/alloc.h"

enum { WINDOW = 15, GZIP = 16, HEADER = 2 };

struct inflater {
  struct zcoder coder;
  z_stream z;
  uint8_t held[HEADER]; /* of a "deflate", until it is known which it is */
  unsigned nheld;
  bool asking;
  bool between; /* blocks, at a byte's edge */
};

static struct inflater *of(struct zcoder *c) {
  return (struct inflater *)c;
}

static unsigned at_most(size_t n) {
  return n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

/* What zlib's code means to us. Z_BUF_ERROR is no error: nothing to do. */
static int meaning(int code) {
  return code == Z_STREAM_END                  ? ZCODER_END
         : code == Z_OK || code == Z_BUF_ERROR ? ZCODER_MORE
         : code == Z_MEM_ERROR                 ? -ENOMEM
                                               : -EBADMSG;
}

/* data_type says where inflate stands, but not when it had nothing to do. 128:
 * after a block; 64: that was the last; below: so many bits are left. */
static void place(struct inflater *f, unsigned moved) {
  if (moved > 0)
    f->between = (f->z.data_type & 0xff) == 128;
}

static int run(struct zcoder *c, struct zspan *s) {
  z_stream *z = &of(c)->z;
  int code;
  do {
    unsigned nin = at_most(s->nin), nout = at_most(s->nout), taken, made;
    z->next_in = s->in;
    z->avail_in = nin;
    z->next_out = s->out;
    z->avail_out = nout;
    code = meaning(inflate(z, Z_NO_FLUSH));
    taken = nin - z->avail_in;
    made = nout - z->avail_out;
    s->in += taken;
    s->nin -= taken;
    s->out += made;
    s->nout -= made;
    place(of(c), taken + made);
  } while (code == ZCODER_MORE && s->nin > 0 && s->nout > 0);
  return code;
}

static int reset(struct zcoder *c) {
  return inflateReset(&of(c)->z) == Z_OK ? 0 : -EBADMSG;
}

static void dispose(struct zcoder *c) {
  inflateEnd(&of(c)->z);
  free(c);
}

static struct zcoder *make(const struct zcoder_ops *ops, int window_bits) {
  struct inflater *f = calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  f->coder.ops = ops;
  f->z.zalloc = zalloc_for_zlib;
  f->z.zfree = zalloc_free;
  if (inflateInit2(&f->z, window_bits) == Z_OK)
    return &f->coder;
  free(f);
  return NULL;
}

/* ---- gzip ---- */

static bool gzip_magic(const uint8_t *bytes, size_t n) {
  return bytes[0] == 0x1f && (n < 2 || bytes[1] == 0x8b);
}

struct zcoder *zcoder_gzip(void) {
  static const struct zcoder_ops ops = {run, reset, dispose, 2, gzip_magic};
  return make(&ops, WINDOW + GZIP);
}

/* ---- "deflate": zlib's format as HTTP says, or raw as some send ---- */

static bool is_zlib(const uint8_t h[HEADER]) {
  return (h[0] & 0x0f) == Z_DEFLATED && h[0] >> 4 <= WINDOW - 8 &&
         (h[0] << 8 | h[1]) % 31 == 0;
}

/* The first two bytes tell; they are held until both are there. */
static int run_either(struct zcoder *c, struct zspan *s) {
  struct inflater *f = of(c);
  struct zspan held = {f->held, HEADER, s->out, s->nout};
  int code;
  if (!f->asking)
    return run(c, s);
  while (f->nheld < HEADER && s->nin > 0) {
    f->held[f->nheld++] = *s->in++;
    s->nin--;
  }
  if (f->nheld < HEADER)
    return ZCODER_MORE;
  if (s->nout == 0) /* so that both are surely taken, below */
    return ZCODER_MORE;
  f->asking = false;
  if (!is_zlib(f->held) && inflateReset2(&f->z, -WINDOW) != Z_OK)
    return -EBADMSG;
  code = run(c, &held);
  s->out = held.out;
  s->nout = held.nout;
  return code == ZCODER_MORE ? run(c, s) : code;
}

struct zcoder *zcoder_deflate(void) {
  static const struct zcoder_ops ops = {run_either, reset, dispose, 0, NULL};
  struct zcoder *c = make(&ops, WINDOW);
  if (c != NULL)
    of(c)->asking = true;
  return c;
}

/* ---- raw ---- */

struct zcoder *zcoder_raw(int window_bits) {
  static const struct zcoder_ops ops = {run, reset, dispose, 0, NULL};
  return make(&ops, -window_bits);
}

int zcoder_raw_go_on(struct zcoder *c) {
  z_stream *z = &of(c)->z;
  uint8_t *window = malloc(1U << WINDOW);
  unsigned n = 0;
  int code;
  if (window == NULL)
    return -ENOMEM;
  code = inflateGetDictionary(z, window, &n);
  if (code == Z_OK)
    code = inflateReset(z);
  if (code == Z_OK && n > 0)
    code = inflateSetDictionary(z, window, n);
  free(window);
  return code == Z_OK ? 0 : code == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

bool zcoder_raw_between(const struct zcoder *c) {
  return ((const struct inflater *)c)->between;
}
