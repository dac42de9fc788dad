/* SPDX-License-Identifier: MIT
 * The interface of anything that carries bytes: a socket, a pipe, a session
 * over another channel. A channel never waits; after -EAGAIN `want` says for
 * which readiness of the descriptor its owner must, whatever was asked of it.
 * An object outside of the core hands one over, with magic, version and size
 * first. */
#ifndef NEAP_IO_CHANNEL_H
#define NEAP_IO_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/fd.h"

#define CHANNEL_MAGIC 0x6e656170u
#define CHANNEL_VERSION 4

/* Failures are -errno, or one of these, which base/error.h has too. */
enum {
  CHANNEL_EOF = -10001,
  CHANNEL_CLOSED = -10002,
  CHANNEL_FAILED = -10003, /* ops->why tells what happened */
  CHANNEL_PAUSED = -10004  /* the handshake: its owner is to decide something */
};

enum { CHANNEL_IN = 1, CHANNEL_OUT = 2 }; /* as the poller has them */

struct record; /* io/record.h */

struct channel {
  uint32_t magic;
  uint16_t version;
  uint16_t size;
  const struct channel_ops *ops;
  struct channel *under; /* what carries its bytes, or NULL */
  size_t held;           /* bytes that were taken and wait to go down */
  bool more;             /* after a read's -EAGAIN: not all was read that is
                          * there, others have their turn first */
  bool drained;          /* after a read, and where no descriptor carries the
                          * bytes at first: it took all that was there */
  uint8_t want;          /* CHANNEL_IN or CHANNEL_OUT, after -EAGAIN */
  bool direct;           /* what is written to the descriptor itself needs no
                          * more done to it: the kernel encrypts */
  const char *peer;      /* who is at the other end, for messages; NULL: the
                          * descriptor knows */
  uint64_t midway;       /* bytes so far of a record whose end has not come:
                          * the stream's own */
  uint32_t maxrecord;    /* longer ones fail with EMSGSIZE */

  /* Where no descriptor carries the bytes: the stream's own, to be called on
   * its thread when reading (CHANNEL_IN) or writing (CHANNEL_OUT) is worth
   * another try. NULL while there is no stream. */
  void (*report)(void *owner, unsigned ready);
  void *owner;
};

/* All return >= 0 or a failure. */
struct channel_ops {
  const char *kind;
  /* At least one byte, 0 at the end, -EAGAIN. */
  ssize_t (*read)(struct channel *c, void *buf, size_t len);
  /* What was taken of n blocks, at least one byte, or -EAGAIN. */
  ssize_t (*write)(struct channel *c, const struct iovec *iov, int n);
  /* What is held goes down: 0 once all has, or -EAGAIN. NULL where nothing is
   * ever held. */
  int (*flush)(struct channel *c);
  /* 0, -EAGAIN, or CHANNEL_PAUSED; NULL where there is none. */
  int (*handshake)(struct channel *c);
  /* 0 read, 1 write, 2 both; may be -EAGAIN. */
  int (*shutdown)(struct channel *c, int how);
  /* At once, and all that is under it. quiet: nothing is sent, because the
   * connection is another process's. */
  void (*close)(struct channel *c, bool quiet);
  /* After CHANNEL_FAILED: the text for people, and the code for programs. */
  const char *(*why)(struct channel *c, const char **code);
  /* Calls back with the descriptor that carries the bytes, with SIGPIPE held
   * off, and returns what that returned. NULL where there is none. */
  long (*guarded)(struct channel *c, long (*call)(void *arg, int fd),
                  void *arg);
  /* Where records keep their borders (io/record.h); NULL elsewhere. send: what
   * was taken, and the record has ended only once all was. receive: at least
   * one byte of one record, 0 at the end, -EAGAIN. */
  ssize_t (*send)(struct channel *c, const struct iovec *iov, int n,
                  const struct record *r);
  ssize_t (*receive)(struct channel *c, void *buf, size_t len,
                     struct record *r);
  int records; /* enum record_kind */
};

#endif
