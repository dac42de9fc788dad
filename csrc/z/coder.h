/* SPDX-License-Identifier: MIT
 * What decodes one coded unit: a gzip member, a zlib stream, a brotli stream,
 * a zstd frame. decode.h makes of it what a peer sends. Knows neither Lua nor
 * the rest of neap, and no clock and no file. */
#ifndef NEAP_Z_CODER_H
#define NEAP_Z_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes to take and room to fill; both move on as they are used. */
struct zspan {
  const uint8_t *in;
  size_t nin;
  uint8_t *out;
  size_t nout;
};

enum { ZCODER_MORE = 0, ZCODER_END = 1 };

struct zcoder;

struct zcoder_ops {
  /* Takes and fills until there is no more of either, or to the unit's end.
   * ZCODER_MORE, ZCODER_END, or -errno: -EBADMSG, -ENOMEM. */
  int (*run)(struct zcoder *c, struct zspan *s);
  /* Gets ready for another unit; -errno. */
  int (*reset)(struct zcoder *c);
  void (*free)(struct zcoder *c);
  /* How many bytes tell whether another unit follows (0: none can), and
   * whether these are they, or the first of them. */
  size_t nmagic;
  bool (*magic)(const uint8_t *bytes, size_t n);
};

struct zcoder {
  const struct zcoder_ops *ops;
};

/* NULL when there is no memory. */
struct zcoder *zcoder_gzip(void);
struct zcoder *zcoder_deflate(void);
struct zcoder *zcoder_raw(int window_bits);
struct zcoder *zcoder_brotli(void);
struct zcoder *zcoder_zstd(void);

/* Of a raw one: the unit has ended, another begins with what the last one
 * wrote in view. -errno. */
int zcoder_raw_go_on(struct zcoder *c);

/* Of a raw one: does it stand between two blocks, at a byte's edge? */
bool zcoder_raw_between(const struct zcoder *c);

#endif
