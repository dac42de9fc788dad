/* The window in which a program is measured.
 * SPDX-License-Identifier: MIT */
#include "common.h"
#include "load.h"
#include "target.h"

struct want want = {
  .size = 64, .count = 1, .depth = 1, .seconds = 1, .wait = 100, .path = "/"};

static struct {
  int64_t until, wall, cpu;
  double done;
  int warm;
} meter;

void meter_begin(void) {
  meter.until = clock_ns(CLOCK_MONOTONIC) + (int64_t)(want.before * 1e9);
}

int meter_over(double done) {
  int64_t now = clock_ns(CLOCK_MONOTONIC);
  if (now < meter.until)
    return 0;
  int64_t cpu = target_cpu();
  if (!meter.warm) {
    meter.warm = 1;
    meter.wall = now;
    meter.cpu = cpu;
    meter.done = done;
    meter.until = now + (int64_t)(want.seconds * 1e9);
    if (want.profile)
      target_profile(want.profile);
    return 0;
  }
  printf("ops=%.3f wall=%.9f cpu=%.9f\n", done - meter.done,
         (double)(now - meter.wall) / 1e9, (double)(cpu - meter.cpu) / 1e9);
  if (want.profile)
    target_unprofile();
  return 1;
}
