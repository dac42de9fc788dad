/* SPDX-License-Identifier: MIT
 * What the unit tests share: CHECK, and RUN, which counts. */
#ifndef NEAP_TEST_CHECK_H
#define NEAP_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(what) \
  do { \
    if (!(what)) { \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
      abort(); \
    } \
  } while (0)

#define RUN(test) (test(), passed++)

#endif
