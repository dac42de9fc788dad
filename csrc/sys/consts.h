/* SPDX-License-Identifier: MIT
 * The system's numbers by their names: families, types, protocols, flags.
 * Those of socket options are in the table of sockopt.h. */
#ifndef NEAP_SYS_CONSTS_H
#define NEAP_SYS_CONSTS_H

#include <stddef.h>
#include <stdint.h>

/* The i-th name and its number; NULL after the last. */
const char *consts_row(size_t i, int64_t *number);

#endif
