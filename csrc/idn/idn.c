/* SPDX-License-Identifier: MIT */
#include "idn/idn.h"

#define IDN2_SKIP_LIBIDN_COMPAT
#include <idn2.h>
#include <string.h>

enum { FLAGS = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL };

/* Takes libidn2's memory over into the caller's. */
static int give(int code, char *made, char out[IDN_MAXNAME]) {
  size_t len;
  if (code != IDN2_OK)
    return code;
  len = strlen(made);
  if (len < IDN_MAXNAME)
    memcpy(out, made, len + 1);
  else
    code = IDN2_TOO_BIG_DOMAIN;
  idn2_free(made);
  return code;
}

int idn_to_ascii(const char *name, char out[IDN_MAXNAME]) {
  uint8_t *made = NULL;
  int code = idn2_lookup_u8((const uint8_t *)name, &made, FLAGS);
  return give(code, (char *)made, out);
}

int idn_to_unicode(const char *name, char out[IDN_MAXNAME]) {
  char *made = NULL;
  int code = idn2_to_unicode_8z8z(name, &made, FLAGS);
  return give(code, made, out);
}

const char *idn_why(int code) {
  return idn2_strerror(code);
}
