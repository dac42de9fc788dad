/* SPDX-License-Identifier: MIT
 * Dates as HTTP writes them. */
#include "http/date.h"

#include <string.h>

static void put2(char *to, unsigned value) {
  to[0] = (char)('0' + value / 10 % 10);
  to[1] = (char)('0' + value % 10);
}

/* The date of a day since 1970. The year is counted from March on, so that a
 * leap day is its last; 719468 days lie between the years 0 and 1970. */
static void civil(int64_t days, unsigned *year, unsigned *month,
                  unsigned *day) {
  unsigned shifted = (unsigned)(days + 719468);
  unsigned era = shifted / 146097, of_era = shifted % 146097;
  unsigned y =
    (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
  unsigned m = (5 * of_year + 2) / 153;
  *day = of_year - (153 * m + 2) / 5 + 1;
  *month = m < 10 ? m + 3 : m - 9;
  *year = y + era * 400 + (*month <= 2);
}

void http_date(char to[HTTP_DATE_LEN], int64_t seconds) {
  static const char days[] = "ThuFriSatSunMonTueWed";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int64_t day_number = seconds / 86400;
  unsigned rest = (unsigned)(seconds % 86400), year, month, day;
  civil(day_number, &year, &month, &day);
  memcpy(to, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_LEN);
  memcpy(to, days + 3 * (day_number % 7), 3);
  put2(to + 5, day);
  memcpy(to + 8, months + 3 * (month - 1), 3);
  put2(to + 12, year / 100);
  put2(to + 14, year % 100);
  put2(to + 17, rest / 3600);
  put2(to + 20, rest / 60 % 60);
  put2(to + 23, rest % 60);
}

const char *http_clock_text(struct http_clock *c, int64_t second) {
  if (c->second != second || c->text[0] == 0) {
    http_date(c->text, second);
    c->second = second;
  }
  return c->text;
}
