/* SPDX-License-Identifier: MIT
 * Checksums: the Internet's (RFC 1071), SCTP's CRC32c, and that of IPX. */
#ifndef NEAP_WIRE_SUM_H
#define NEAP_WIRE_SUM_H

#include <stddef.h>
#include <stdint.h>

/* The ones' complement sum of `sum` and the 16-bit numbers in the bytes, of
 * which an odd last one is a number's high byte; folded to 16 bits. */
uint32_t wire_sum(const void *bytes, size_t n, uint64_t sum);

/* That of what TCP, UDP and ICMPv6 put before themselves: two addresses of
 * `size` bytes, the protocol, and the length of what is summed. */
uint32_t wire_pseudo(const uint8_t *src, const uint8_t *dst, size_t size,
                     unsigned protocol, size_t n);

/* `crc`: that of the bytes before these, 0 if there are none. */
uint32_t wire_crc32c(const void *bytes, size_t n, uint32_t crc);

/* Of a whole IPX packet, as Linux and NetWare compute it: without the
 * checksum itself and the count of hops. */
uint32_t wire_ipxsum(const uint8_t *packet, size_t n);

#endif
