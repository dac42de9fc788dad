/* SPDX-License-Identifier: MIT
 * Signals as bytes in a pipe. The one thing here that belongs to the whole
 * process: a signal has one owner at a time, what was installed before is put
 * back when it is let go, and a child after fork hears nothing. */
#ifndef NEAP_SYS_SIGNALS_H
#define NEAP_SYS_SIGNALS_H

#include <stdint.h>

enum { SIGNALS_MAX = 65, SIGNALS_NAMELEN = 12 };

/* From "TERM" or "SIGTERM". Returns the number, or -EINVAL. */
int signals_number(const char *name);

/* "TERM"; for one without a name its number, written into buf. */
const char *signals_name(int number, char buf[SIGNALS_NAMELEN]);

/* A pipe for signals_claim: [0] to read from, [1]. Returns 0 or -errno. */
int signals_pipe(int fds[2]);

/* Every time the signal comes its number is written, as one byte, to fd.
 * Returns 0, -EBUSY if it is claimed, -EINVAL for one that cannot be waited
 * for (KILL, STOP, SEGV and its like), or -errno. */
int signals_claim(int number, int fd);

/* Puts back what was there before the claim. */
void signals_release(int number);

#endif
