/* SPDX-License-Identifier: MIT
 * Addresses and flags as text, and back. Nothing is NUL-terminated. */
#ifndef NEAP_WIRE_TEXT_H
#define NEAP_WIRE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "wire/field.h"

enum {
  WIRE_IP4TEXT = 15,
  WIRE_IP6TEXT = 45,
  WIRE_FLAGTEXT = 64,
  WIRE_HEXMAX = 2048, /* bytes of a hardware address: an option of ND */
};

/* Each returns the number of characters. */
size_t wire_ip4text(const uint8_t *ip, char *text);
size_t wire_ip6text(const uint8_t *ip, char *text); /* RFC 5952 */
size_t wire_hextext(const uint8_t *bytes, size_t n, char *text);

/* Each returns the number of bytes, or -1 if the text is malformed. */
int wire_ip4(const char *text, size_t len, uint8_t *ip);
int wire_ip6(const char *text, size_t len, uint8_t *ip);
int wire_hex(const char *text, size_t len, uint8_t bytes[WIRE_HEXMAX]);

/* The names of the bits that are set; -1 if one of them has no name. */
int wire_flagtext(const struct wire_field *f, uint32_t value, char *text);

/* The bits that the names stand for; -1 if one is not known. */
int64_t wire_flags(const struct wire_field *f, const char *text, size_t len);

#endif
