/* SPDX-License-Identifier: MIT
 * Plain bytes to gzip, zlib's format or raw deflate. */
#ifndef NEAP_Z_ENCODE_H
#define NEAP_Z_ENCODE_H

#include "z/decode.h"

enum zend { ZGOES_ON, ZFLUSH, ZFINISH };

struct zencoder {
  void *z; /* zlib's; NULL when there is none */
};

/* Level -1 (zlib's own) to 9; window bits 8 to 15; memory level 1 to 9.
 * -ENOMEM, or -ENOTSUP for a kind that is only decoded. */
int zencoder_open(struct zencoder *e, enum zkind kind, int level,
                  int window_bits, int memory);

/* Harmless on one that was closed, or is zeroed. */
void zencoder_close(struct zencoder *e);

/* Takes and fills; to be called again while all the room was filled. ZFLUSH
 * brings out all that was taken, at a byte's edge; ZFINISH ends the text. 0, or
 * -EINVAL after the end. */
int zencoder_run(struct zencoder *e, struct zspan *s, enum zend how);

/* Begins a new text that knows nothing of the last. */
void zencoder_reset(struct zencoder *e);

#endif
