/* The C programs, by what they exchange.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_REFERENCE_H
#define BENCH_REFERENCE_H

#include <stddef.h>

/* Runs a role of datagrams or packets (reference_message.c); false if there is
 * none of this name. */
int message_role(const char *role, size_t size, int port);

/* The same of TLS (reference_tls.c, built where OpenSSL is found). */
int tls_role(const char *role, size_t size, int port);

#endif
