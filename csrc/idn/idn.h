/* SPDX-License-Identifier: MIT
 * Names beyond ASCII, by libidn2: IDNA2008 with the mapping of UTS 46, not
 * transitional. Knows neither Lua nor the rest of neap. */
#ifndef NEAP_IDN_IDN_H
#define NEAP_IDN_IDN_H

#include <stddef.h>

/* Enough for any name that DNS can hold. */
enum { IDN_MAXNAME = 2048 };

/* The name (UTF-8, ended by NUL) with its labels as xn--, or with those as
 * UTF-8 again. Returns 0, or libidn2's negative code. */
int idn_to_ascii(const char *name, char out[IDN_MAXNAME]);
int idn_to_unicode(const char *name, char out[IDN_MAXNAME]);

/* What the code means. */
const char *idn_why(int code);

#endif
