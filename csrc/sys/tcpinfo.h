/* SPDX-License-Identifier: MIT
 * The fields of TCP_INFO, by name. */
#ifndef NEAP_SYS_TCPINFO_H
#define NEAP_SYS_TCPINFO_H

#include <stddef.h>
#include <stdint.h>

/* The next field that the kernel filled in, from *at (0 at first), of `len`
 * bytes of TCP_INFO. Returns its name without "tcpi_", or NULL at the end. */
const char *tcpinfo_field(const void *info, size_t len, size_t *at,
                          uint64_t *value);

#endif
