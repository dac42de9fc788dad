/* SPDX-License-Identifier: MIT */
#include "sys/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t sys_now(void) {
  return read_clock(CLOCK_MONOTONIC);
}

int64_t sys_coarse(void) {
#ifdef CLOCK_MONOTONIC_COARSE
  return read_clock(CLOCK_MONOTONIC_COARSE);
#else
  return sys_now();
#endif
}

int64_t sys_realtime(void) {
  return read_clock(CLOCK_REALTIME);
}
