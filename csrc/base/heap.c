/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>

int heap_reserve(struct heap *h, uint32_t count) {
  uint32_t room = h->room ? h->room : 8;
  struct timer **slots;
  if (count < h->room)
    return 0;
  while (room <= count)
    room *= 2;
  slots = realloc(h->slots, room * sizeof *slots);
  if (slots == NULL)
    return -ENOMEM;
  h->slots = slots;
  h->room = room;
  return 0;
}

void heap_free(struct heap *h) {
  free(h->slots);
  h->slots = NULL;
  h->count = h->room = 0;
}

static void put(struct heap *h, uint32_t at, struct timer *t) {
  h->slots[at] = t;
  t->at = at;
}

static void sift_up(struct heap *h, uint32_t at, struct timer *t) {
  while (at > 1 && h->slots[at / 2]->due > t->due) {
    put(h, at, h->slots[at / 2]);
    at /= 2;
  }
  put(h, at, t);
}

static void sift_down(struct heap *h, uint32_t at, struct timer *t) {
  for (;;) {
    uint32_t child = at * 2;
    if (child > h->count)
      break;
    if (child < h->count && h->slots[child + 1]->due < h->slots[child]->due)
      child++;
    if (h->slots[child]->due >= t->due)
      break;
    put(h, at, h->slots[child]);
    at = child;
  }
  put(h, at, t);
}

void heap_set(struct heap *h, struct timer *t, int64_t due) {
  t->due = due;
  if (t->at == 0)
    sift_up(h, ++h->count, t);
  else if (t->at > 1 && h->slots[t->at / 2]->due > due)
    sift_up(h, t->at, t);
  else
    sift_down(h, t->at, t);
}

void heap_remove(struct heap *h, struct timer *t) {
  struct timer *last;
  uint32_t at = t->at;
  if (at == 0)
    return;
  last = h->slots[h->count--];
  t->at = 0;
  if (last == t)
    return;
  last->at = at;
  h->slots[at] = last;
  heap_set(h, last, last->due);
}
