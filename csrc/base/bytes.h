/* SPDX-License-Identifier: MIT
 * A queue of bytes. Bytes that are taken at once never leave the scratch
 * buffer that one thread's queues share: a queue borrows it to be filled, and
 * what is still there when another queue wants it moves to memory of its
 * own. So a queue that is empty holds no memory. */
#ifndef NEAP_BASE_BYTES_H
#define NEAP_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A little more than the usual large message, so that one of those is seen to
 * be short. */
enum { SCRATCH_SIZE = 68 * 1024 };

#define BYTES_MAX (UINT32_MAX / 4) /* in one queue */

struct bytes {
  char *data;
  uint32_t head, tail, room; /* what is queued is data[head .. tail) */
  bool lent;                 /* data lies in a scratch buffer */
};

struct scratch {
  struct bytes *user;
  char data[SCRATCH_SIZE];
};

static inline size_t bytes_len(const struct bytes *b) {
  return (size_t)b->tail - b->head;
}

static inline char *bytes_head(const struct bytes *b) {
  return b->data + b->head;
}

/* Room for n more bytes at the end, in memory of its own. Returns 0 or
 * -ENOMEM, then nothing has changed. */
int bytes_reserve(struct bytes *b, size_t n);

/* Lets an empty queue be filled in the scratch buffer, after whoever uses it
 * has moved out. Returns 0 or -ENOMEM. */
int bytes_borrow(struct bytes *b, struct scratch *s);

/* The scratch buffer itself, for as long as nothing else can run, after
 * whoever uses it has moved out. NULL if there is no memory for that. */
char *scratch_claim(struct scratch *s);

/* What lies in the scratch buffer moves to memory of its own. */
int bytes_settle(struct bytes *b);

/* Returns 0 or -ENOMEM, then nothing has changed. */
int bytes_append(struct bytes *b, const void *data, size_t n);
int bytes_prepend(struct bytes *b, const void *data, size_t n);

/* Frees everything. */
void bytes_free(struct bytes *b);

/* Takes n bytes away; an empty queue lets go of its memory. */
static inline void bytes_consume(struct bytes *b, size_t n) {
  b->head += (uint32_t)n;
  if (b->head == b->tail)
    bytes_free(b);
}

#endif
