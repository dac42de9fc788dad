/* SPDX-License-Identifier: MIT
 * Filters in tcpdump's language, compiled by libpcap to classic BPF. Knows
 * neither Lua nor the rest of neap; safe to be called by several threads. */
#ifndef NEAP_FILTER_COMPILE_H
#define NEAP_FILTER_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILTER_WHYLEN = 256 };

struct filter {
  void *program; /* libpcap's; NULL when there is none */
};

/* Compiles for packets that begin as the link type says (a LINKTYPE_ of
 * libpcap's registry) and lets `snaplen` bytes through. Returns 0, or -1 with
 * libpcap's words in why. */
int filter_compile(struct filter *f, const char *text, int linktype,
                   int snaplen, char why[FILTER_WHYLEN]);

/* How many instructions there are, and the i-th as { code, jt, jf, k }. */
size_t filter_count(const struct filter *f);
void filter_instruction(const struct filter *f, size_t i, uint32_t parts[4]);

/* Harmless on one that holds nothing. */
void filter_free(struct filter *f);

#endif
