/* SPDX-License-Identifier: MIT */
#include "z/decode.h"

#include <errno.h>
#include <string.h>

static struct zcoder *make(enum zkind kind, int window_bits, int *err) {
  *err = -ENOMEM;
  switch (kind) {
  case ZGZIP:
    return zcoder_gzip();
  case ZDEFLATE:
    return zcoder_deflate();
  case ZRAW:
    return zcoder_raw(window_bits);
#ifdef NEAP_BROTLI
  case ZBROTLI:
    return zcoder_brotli();
#endif
#ifdef NEAP_ZSTD
  case ZZSTD:
    return zcoder_zstd();
#endif
  default:
    *err = -ENOTSUP;
    return NULL;
  }
}

int zdecoder_open(struct zdecoder *d, enum zkind kind, int window_bits) {
  int err;
  memset(d, 0, sizeof *d);
  d->kind = kind;
  d->coder = make(kind, window_bits, &err);
  return d->coder == NULL ? err : 0;
}

void zdecoder_close(struct zdecoder *d) {
  if (d->coder != NULL)
    d->coder->ops->free(d->coder);
  d->coder = NULL;
}

/* The rest is no part of the text. */
static int trail(struct zdecoder *d, struct zspan *s) {
  d->trail += s->nin;
  s->in += s->nin;
  s->nin = 0;
  return d->trail > ZTRAIL ? -EBADMSG : 0;
}

/* Holds bytes until they are those that begin another unit, or are not. */
static int between(struct zdecoder *d, struct zspan *s) {
  const struct zcoder_ops *ops = d->coder->ops;
  struct zspan held = {d->held, 0, s->out, s->nout};
  int err;
  while (s->nin > 0 && d->nheld < ops->nmagic) {
    d->held[d->nheld++] = *s->in++;
    s->nin--;
    if (!ops->magic(d->held, d->nheld))
      break;
  }
  if (d->nheld == 0 && s->nin == 0)
    return 0;
  if (ops->nmagic == 0 || !ops->magic(d->held, d->nheld)) {
    d->state = ZTRAILING;
    d->trail = d->nheld;
    return 0;
  }
  if (d->nheld < ops->nmagic)
    return 0;
  err = ops->reset(d->coder);
  held.nin = d->nheld;
  d->nheld = 0;
  d->state = ZRUNNING;
  return err < 0 ? err : ops->run(d->coder, &held); /* takes but the magic */
}

int zdecoder_run(struct zdecoder *d, struct zspan *s) {
  int code;
  if (s->nin > 0 && d->state == ZSTART)
    d->state = ZRUNNING;
  for (;;) {
    code = 0;
    if (d->state == ZRUNNING) {
      code = d->coder->ops->run(d->coder, s);
      if (code != ZCODER_END)
        return code;
      d->state = ZBETWEEN;
    } else if (d->state == ZBETWEEN) {
      code = between(d, s);
    } else if (d->state == ZTRAILING) {
      code = trail(d, s);
    }
    if (code < 0)
      return code;
    if (s->nin == 0 && (d->state != ZRUNNING))
      return 0;
  }
}

int zdecoder_finish(const struct zdecoder *d) {
  return d->state == ZRUNNING ? -EBADMSG : 0;
}

size_t zdecoder_trail(const struct zdecoder *d) {
  return d->state == ZBETWEEN ? d->nheld : d->trail;
}

int zdecoder_message(struct zdecoder *d, struct zspan *s) {
  int code;
  for (;;) {
    if (s->nin > 0)
      d->state = ZRUNNING;
    code = d->coder->ops->run(d->coder, s);
    if (code != ZCODER_END)
      return code;
    d->state = ZSTART;
    code = ++d->ends > ZENDS ? -EBADMSG : zcoder_raw_go_on(d->coder);
    if (code < 0 || s->nin == 0)
      return code;
  }
}

int zdecoder_forget(struct zdecoder *d) {
  d->state = ZSTART;
  return d->coder->ops->reset(d->coder);
}
