/* SPDX-License-Identifier: MIT
 * Loaded beside the sanitizer's runtime: takes LD_PRELOAD out of the
 * environment, so that the peers which specs start are not sanitized too. */
#include <stdlib.h>

__attribute__((constructor)) static void unpreload(void) {
  unsetenv("LD_PRELOAD");
}
