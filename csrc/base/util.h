/* SPDX-License-Identifier: MIT
 * Two macros that every layer uses. */
#ifndef NEAP_BASE_UTIL_H
#define NEAP_BASE_UTIL_H

#include <stddef.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) \
  ((type *)((char *)(p)-offsetof(type, member)))

#endif
