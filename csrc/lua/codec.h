/* SPDX-License-Identifier: MIT
 * What decodes the bytes that a stream has received, and encodes those that it
 * sends, where they lie, so that no string is made of them. A codec is an
 * object outside of the core; its memory begins with magic, version and
 * size. */
#ifndef NEAP_LUA_CODEC_H
#define NEAP_LUA_CODEC_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/fd.h"

#define CODEC_MAGIC 0x6e656163u
#define CODEC_VERSION 1

enum {
  CODEC_AT = 2, /* where on the stack it is; its arguments come next */
  CODEC_BLOCKS = 3
};

struct codec {
  uint32_t magic;
  uint16_t version;
  uint16_t size; /* of struct codec */

  /* Pushes what it makes of n bytes, at least one; returns the number of
   * values, and in *used how many of the bytes it has taken. It never waits.
   * Once Lua allocates, a finalizer may run, and with it the bytes may go: so
   * what is needed of them is copied before. */
  int (*decode)(lua_State *L, const char *bytes, size_t n, size_t *used);

  /* Sets blocks, at least one byte in all; returns their number, or 0 if the
   * arguments are none that it takes. The blocks stay until the next call, as
   * long as the arguments stay on the stack. */
  int (*encode)(lua_State *L, struct iovec blocks[CODEC_BLOCKS]);
};

#endif
