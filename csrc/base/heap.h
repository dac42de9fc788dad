/* SPDX-License-Identifier: MIT
 * A binary heap of timers, the nearest on top. The nodes live inside what is
 * timed; room for them is reserved beforehand, so that adding cannot fail. */
#ifndef NEAP_BASE_HEAP_H
#define NEAP_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct timer {
  int64_t due;
  uint32_t at; /* its place in the heap, from 1; 0: not in it */
};

struct heap {
  struct timer **slots; /* slots[1] is the nearest */
  uint32_t count, room;
};

/* Makes room for `count` timers in all. Returns 0 or -ENOMEM. */
int heap_reserve(struct heap *h, uint32_t count);
void heap_free(struct heap *h);

/* Puts it in, or moves it if it is in already. */
void heap_set(struct heap *h, struct timer *t, int64_t due);

/* Harmless on one that is not in. */
void heap_remove(struct heap *h, struct timer *t);

static inline struct timer *heap_nearest(const struct heap *h) {
  return h->count > 0 ? h->slots[1] : NULL;
}

#endif
