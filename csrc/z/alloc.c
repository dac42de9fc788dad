/* SPDX-License-Identifier: MIT */
#include "z/alloc.h"

#include <stdlib.h>

/* Zeroed: zlib's deflate compares bytes that it has not written. */
void *zalloc_for_zlib(void *unused, unsigned items, unsigned size) {
  (void)unused;
  return calloc(items, size);
}

void *zalloc_bytes(void *unused, size_t size) {
  (void)unused;
  return malloc(size);
}

void zalloc_free(void *unused, void *p) {
  (void)unused;
  free(p);
}
