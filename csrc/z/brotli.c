/* SPDX-License-Identifier: MIT */
#include "z/coder.h"

#ifdef NEAP_BROTLI
#include <brotli/decode.h>
#include <errno.h>
#include <stdlib.h>

#include "z/alloc.h"

struct brotli {
  struct zcoder coder;
  BrotliDecoderState *state;
};

static int run(struct zcoder *c, struct zspan *s) {
  BrotliDecoderState *state = ((struct brotli *)c)->state;
  BrotliDecoderErrorCode why;
  switch (BrotliDecoderDecompressStream(state, &s->nin, &s->in, &s->nout,
                                        &s->out, NULL)) {
  case BROTLI_DECODER_RESULT_SUCCESS:
    return ZCODER_END;
  case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
  case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
    return ZCODER_MORE;
  default:
    why = BrotliDecoderGetErrorCode(state);
    return why <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
               why >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
             ? -ENOMEM
             : -EBADMSG;
  }
}

static int reset(struct zcoder *c) {
  (void)c; /* there is never a second */
  return -EBADMSG;
}

static void dispose(struct zcoder *c) {
  BrotliDecoderDestroyInstance(((struct brotli *)c)->state);
  free(c);
}

struct zcoder *zcoder_brotli(void) {
  static const struct zcoder_ops ops = {run, reset, dispose, 0, NULL};
  struct brotli *b = calloc(1, sizeof *b);
  if (b == NULL)
    return NULL;
  b->coder.ops = &ops;
  b->state = BrotliDecoderCreateInstance(zalloc_bytes, zalloc_free, NULL);
  if (b->state != NULL)
    return &b->coder;
  free(b);
  return NULL;
}
#endif
