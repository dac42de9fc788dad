/* SPDX-License-Identifier: MIT
 * Bytes that nobody can guess. */
#ifndef NEAP_SYS_ENTROPY_H
#define NEAP_SYS_ENTROPY_H

#include <stddef.h>

/* 0, or -errno: then none of the bytes may be used. Waits only where the
 * system has just booted and knows nothing random yet. */
int sys_entropy(void *bytes, size_t n);

#endif
