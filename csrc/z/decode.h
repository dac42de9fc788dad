/* SPDX-License-Identifier: MIT
 * Coded bytes, in whatever pieces they come, to plain ones.
 *
 * Units that follow each other (members of gzip, frames of zstd) are one text.
 * What follows the last one and begins no other is left out, as browsers and
 * gzip(1) do, and counted; more than ZTRAIL of it is a failure. No bytes at
 * all decode to none. */
#ifndef NEAP_Z_DECODE_H
#define NEAP_Z_DECODE_H

#include "z/coder.h"

enum { ZTRAIL = 4096, ZMAGIC = 4, ZENDS = 64 };

enum zkind { ZGZIP, ZDEFLATE, ZRAW, ZBROTLI, ZZSTD };

enum zstate {
  ZSTART,   /* nothing has come */
  ZRUNNING, /* in a unit */
  ZBETWEEN, /* a unit has ended; what tells of another is being held */
  ZTRAILING,
};

struct zdecoder {
  struct zcoder *coder; /* NULL when there is none */
  enum zkind kind;
  enum zstate state;
  uint8_t held[ZMAGIC];
  size_t nheld;
  size_t trail;  /* bytes that were left out */
  unsigned ends; /* last blocks of one piece of a message */
};

/* -ENOMEM, or -ENOTSUP for what is not compiled in. `window_bits` (8 to 15)
 * are of ZRAW. */
int zdecoder_open(struct zdecoder *d, enum zkind kind, int window_bits);

/* Harmless on one that was closed, or is zeroed. */
void zdecoder_close(struct zdecoder *d);

/* Takes and fills until there is no more of either: there may be more to come
 * while all the room was filled. 0, -EBADMSG or -ENOMEM; after a failure the
 * decoder is good for nothing. */
int zdecoder_run(struct zdecoder *d, struct zspan *s);

/* Is the text whole? 0 or -EBADMSG. */
int zdecoder_finish(const struct zdecoder *d);

/* How many bytes behind the text were left out. */
size_t zdecoder_trail(const struct zdecoder *d);

/* zdecoder_run with the payloads of messages of permessage-deflate (RFC 7692),
 * which never end: a block that says it is the last is followed by others, up
 * to ZENDS of them, as d->ends counts: going on costs a copy of the window. */
int zdecoder_message(struct zdecoder *d, struct zspan *s);

/* Between messages: forgets what the last ones said. -EBADMSG. */
int zdecoder_forget(struct zdecoder *d);

#endif
