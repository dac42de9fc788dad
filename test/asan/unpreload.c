/* SPDX-License-Identifier: MIT
 * Loaded beside the sanitizer's runtime: takes LD_PRELOAD out of the
 * environment, so that the peers which specs start are not sanitized too, and
 * lets threads end before leaks are looked for. */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

/* How many threads this process has; none if the system does not say. */
static int threads(void) {
  int count = -2; /* for . and .. */
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks)
    return 0;
  while (readdir(tasks))
    count++;
  closedir(tasks);
  return count;
}

/* Linked with the runtime, so this comes before its end. The resolver's threads
 * are detached, and told to end when the Lua state closes. What libc holds for
 * one that is just ending looks like a leak: the sanitizer has forgotten the
 * thread already, and libc has not yet. */
__attribute__((destructor)) static void settle(void) {
  for (int i = 0; i < 100 && threads() > 1; i++)
    usleep(2000);
}

__attribute__((constructor)) static void unpreload(void) {
  unsetenv("LD_PRELOAD");
}
