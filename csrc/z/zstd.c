/* SPDX-License-Identifier: MIT */
#include "z/coder.h"

#ifdef NEAP_ZSTD
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* A frame may ask for so much memory: 8 MiB, as RFC 9659 bounds it. */
enum { WINDOW_LOG = 23, MAGIC = 4 };

struct zstd {
  struct zcoder coder;
  ZSTD_DCtx *state;
};

static int run(struct zcoder *c, struct zspan *s) {
  ZSTD_DCtx *state = ((struct zstd *)c)->state;
  ZSTD_inBuffer in = {s->in, s->nin, 0};
  ZSTD_outBuffer out = {s->out, s->nout, 0};
  size_t code;
  do
    code = ZSTD_decompressStream(state, &out, &in);
  while (!ZSTD_isError(code) && code != 0 && in.pos < in.size &&
         out.pos < out.size);
  s->in += in.pos;
  s->nin -= in.pos;
  s->out += out.pos;
  s->nout -= out.pos;
  if (ZSTD_isError(code))
    return ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? -ENOMEM
                                                                   : -EBADMSG;
  return code == 0 ? ZCODER_END : ZCODER_MORE;
}

static int reset(struct zcoder *c) {
  ZSTD_DCtx *state = ((struct zstd *)c)->state;
  return ZSTD_isError(ZSTD_DCtx_reset(state, ZSTD_reset_session_only))
           ? -EBADMSG
           : 0;
}

static void dispose(struct zcoder *c) {
  ZSTD_freeDCtx(((struct zstd *)c)->state);
  free(c);
}

/* A frame, or one to be skipped (RFC 8878, 3.1). */
static bool magic(const uint8_t *bytes, size_t n) {
  static const uint8_t frame[MAGIC] = {0x28, 0xb5, 0x2f, 0xfd};
  static const uint8_t skipped[MAGIC] = {0x50, 0x2a, 0x4d, 0x18};
  bool is_frame = true, is_skipped = (bytes[0] & 0xf0) == 0x50;
  size_t i;
  for (i = 0; i < n && i < MAGIC; i++) {
    is_frame = is_frame && bytes[i] == frame[i];
    is_skipped = is_skipped && (i == 0 || bytes[i] == skipped[i]);
  }
  return is_frame || is_skipped;
}

struct zcoder *zcoder_zstd(void) {
  static const struct zcoder_ops ops = {run, reset, dispose, MAGIC, magic};
  struct zstd *z = calloc(1, sizeof *z);
  if (z == NULL)
    return NULL;
  z->coder.ops = &ops;
  z->state = ZSTD_createDCtx();
  if (z->state != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(
                            z->state, ZSTD_d_windowLogMax, WINDOW_LOG)))
    return &z->coder;
  dispose(&z->coder);
  return NULL;
}
#endif
