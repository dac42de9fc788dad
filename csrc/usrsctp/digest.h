/* SPDX-License-Identifier: MIT
 * Numbers made of bytes: SipHash-2-4, and SCTP's CRC-32C. */
#ifndef NEAP_USRSCTP_DIGEST_H
#define NEAP_USRSCTP_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint64_t us_siphash(const uint64_t key[2], const void *bytes, size_t len);

/* As it stands in a packet. */
uint32_t us_crc32c(void *bytes, size_t len);

#endif
