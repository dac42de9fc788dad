/* SPDX-License-Identifier: MIT
 * zlib's memory comes from this object's malloc and not from zlib's own, so
 * that a test can make it fail. */
#ifndef NEAP_Z_ALLOC_H
#define NEAP_Z_ALLOC_H

#include <stddef.h>

void *zalloc_for_zlib(void *unused, unsigned items, unsigned size);
void *zalloc_bytes(void *unused, size_t size);
void zalloc_free(void *unused, void *p);

#endif
