/* SPDX-License-Identifier: MIT
 * The interface of anything that carries bytes: a socket, a pipe, a session
 * over another channel. A channel never waits; after -EAGAIN `want` says for
 * which readiness of `fd` its owner must, whatever was asked of it. An object
 * outside of the core hands one over, with magic, version and size first. */
#ifndef NEAP_IO_CHANNEL_H
#define NEAP_IO_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/fd.h"

#define CHANNEL_MAGIC 0x6e656170u
#define CHANNEL_VERSION 1

struct channel {
  uint32_t magic;
  uint16_t version;
  uint16_t size;
  const struct channel_ops *ops;
  uint8_t want; /* POLLER_IN or POLLER_OUT, after -EAGAIN */
};

/* All return >= 0 or a failure (base/error.h). */
struct channel_ops {
  const char *kind;
  /* At least one byte, 0 at the end, -EAGAIN. */
  ssize_t (*read)(struct channel *c, void *buf, size_t len);
  /* What was taken of n blocks, at least one byte, or -EAGAIN. */
  ssize_t (*write)(struct channel *c, const struct iovec *iov, int n);
  /* 0, or -EAGAIN; NULL where there is none. */
  int (*handshake)(struct channel *c);
  int (*shutdown)(struct channel *c, int how); /* 0 read, 1 write, 2 both */
  int (*close)(struct channel *c);
};

#endif
