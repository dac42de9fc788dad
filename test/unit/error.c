/* SPDX-License-Identifier: MIT
 * The table of errors: complete, and consistent with itself. */
#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "check.h"

static int is(const char *a, const char *b) {
  return strcmp(a, b) == 0;
}

static void test_names(void) {
  char name[ERR_NAMELEN], text[ERR_TEXTLEN];
  CHECK(is(err_name(-ECONNREFUSED, name), "ECONNREFUSED"));
  CHECK(is(err_text(-ECONNREFUSED, text), "Connection refused"));
  CHECK(is(err_name(-EAGAIN, name), "EAGAIN"));
  CHECK(is(err_name(-EOPNOTSUPP, name), "EOPNOTSUPP"));
  CHECK(is(err_text(-ETIMEDOUT, text), "timed out"));
  CHECK(is(err_name(ERR_EOF, name), "EOF"));
  CHECK(is(err_text(ERR_EOF, text), "end of stream"));
  CHECK(is(err_name(ERR_CLOSED, name), "ECLOSED"));
  CHECK(is(err_name(ERR_EAI_NONAME, name), "EAI_NONAME"));
}

static void test_unknown(void) {
  char name[ERR_NAMELEN], text[ERR_TEXTLEN];
  CHECK(is(err_name(-4711, name), "E4711"));
  CHECK(is(err_text(-4711, text), "error 4711"));
  CHECK(is(err_name(INT_MIN, name), "E2147483648"));
  CHECK(is(err_name(0, name), "E0"));
}

/* A name each, no two of them the same, and each number leads back to the
 * first row that has it. */
static void test_rows(void) {
  char buf[ERR_NAMELEN], text[ERR_TEXTLEN];
  const char *name, *other;
  int number, same;
  size_t i, j;
  for (i = 0; (name = err_row(i, &number)) != NULL; i++) {
    CHECK(number < 0 && name[0] == 'E' && strlen(name) < ERR_NAMELEN);
    CHECK(strlen(err_text(number, text)) < ERR_TEXTLEN);
    for (j = 0; j < i; j++)
      CHECK(!is(err_row(j, &same), name));
    for (j = 0; (other = err_row(j, &same)) != NULL && same != number; j++)
      continue;
    CHECK(is(err_name(number, buf), other));
  }
  CHECK(i > 120);
}

#ifdef __linux__
/* Every number that the C library has a text for is in the table. */
static void test_complete(void) {
  char buf[ERR_NAMELEN];
  int n;
  for (n = 1; n < 134; n++)
    if (strncmp(strerror(n), "Unknown", 7) != 0)
      CHECK(err_name(-n, buf) != buf);
}
#endif

int main(void) {
  int passed = 0;
  RUN(test_names);
  RUN(test_unknown);
  RUN(test_rows);
#ifdef __linux__
  RUN(test_complete);
#endif
  printf("%d passed\n", passed);
  return 0;
}
