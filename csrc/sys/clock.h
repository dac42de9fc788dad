/* SPDX-License-Identifier: MIT
 * The one clock: monotonic nanoseconds. */
#ifndef NEAP_SYS_CLOCK_H
#define NEAP_SYS_CLOCK_H

#include <stdint.h>

#define SYS_FOREVER INT64_MAX

int64_t sys_now(void);
int64_t sys_coarse(void); /* cheaper, some milliseconds behind */

#endif
