/* SPDX-License-Identifier: MIT
 * The one clock: monotonic nanoseconds. The time of day is for what is
 * written down, never for waiting. */
#ifndef NEAP_SYS_CLOCK_H
#define NEAP_SYS_CLOCK_H

#include <stdint.h>

#define SYS_FOREVER INT64_MAX

int64_t sys_now(void);
int64_t sys_coarse(void);   /* cheaper, some milliseconds behind */
int64_t sys_realtime(void); /* since 1970 */

#endif
