/* SPDX-License-Identifier: MIT
 * How a header is described: as a table of fields, in the order in which they
 * lie on the wire. The decoder and the encoder both follow the same table. */
#ifndef NEAP_WIRE_FIELD_H
#define NEAP_WIRE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

enum {
  WIRE_FIELDS = 28, /* in one table, at most */
  WIRE_LAYERS = 32, /* in one packet; those of an ICMP error's are apart */
};

enum wire_kind {
  /* a number of 1 to 32 bits */
  WIRE_UINT,
  WIRE_LITTLE, /* 32 bits, the least significant byte first */
  WIRE_BOOL,
  WIRE_FLAGS, /* `more`: letters, or words between commas, lowest bit first */
  WIRE_MARKS, /* the same, highest bit first */
  WIRE_LAST_NUMBER = WIRE_MARKS,

  /* bytes whose number is known */
  WIRE_MAC,
  WIRE_IP4,
  WIRE_IP6,
  WIRE_BOX, /* a hardware address of `by` bytes in a box of 8 */
  WIRE_LAST_FIXED = WIRE_BOX,

  /* as many bytes as `by` says, or all to the end of the header */
  WIRE_HEX,  /* aa:bb:cc... */
  WIRE_ADDR, /* the same, but 10.0.0.1 if there are four */
  WIRE_BYTES,
  WIRE_TEXT, /* in `unit` bytes, filled up with zeros */

  WIRE_CONTROL, /* 8 or 16 bits, as the lowest two tell (802.2) */
  WIRE_LIST,    /* of what the table in `more` says */
  WIRE_TLVS,    /* a list of items of the family in `more` */
  WIRE_CASE,    /* fields that depend on another: rows in `more` */
  WIRE_GROUP,   /* a table of its own, if there are bytes left for it */
  WIRE_NESTED,  /* the packet that an ICMP error is about */
};

/* What a number means for the header that it is in. */
enum wire_role {
  WIRE_PLAIN,
  WIRE_MUST,     /* has the preset value, or the header is malformed */
  WIRE_HEAD,     /* the header's length: value * unit + bias bytes */
  WIRE_TOTAL,    /* the length from the header's first byte on */
  WIRE_BODY,     /* the length behind the fixed part of the header */
  WIRE_ORIGINAL, /* the length of the nested packet: value * unit */
  WIRE_NEXT,     /* what follows, in the namespace `unit` */
  WIRE_TYPE,     /* that, or in the next row's words a length, if < 1501 */
  WIRE_SUM,      /* a checksum by the method `unit`; `bias`: the protocol */
};

enum wire_sum {
  WIRE_SUM_HEADER, /* RFC 1071 over the header */
  WIRE_SUM_ALL,    /* over all of the layer */
  WIRE_SUM_PSEUDO, /* with the pseudo header */
  WIRE_SUM_UDP,    /* the same, and 0 says that there is none */
  WIRE_SUM_LITE,   /* the same over as much as the length before it says */
  WIRE_SUM_GROUP,  /* RFC 1071 over the group that the field is in */
  WIRE_SUM_CRC32C, /* of SCTP */
  WIRE_SUM_IPX,    /* 0xFFFF says that there is none */
};

struct wire_field {
  const char *name; /* NULL: the item of a list is no table but this value */
  const void *more;
  uint32_t preset; /* the value of a number that is not given */
  uint8_t kind, bits, role, unit;
  int16_t bias;
  /* 1 + the index of the number that rules this field: for a number, whether
   * it is there; otherwise how many there are (value * unit + bias). */
  uint8_t by;
  bool quiet; /* not told when it has the preset value, or no bytes */
};

struct wire_table {
  const struct wire_field *fields;
  uint8_t n;
  uint8_t fixed; /* bytes of the fields in front that are always there */
};

/* Items of a type, a length and a body. */
struct wire_tlv {
  uint32_t type;
  const char *name;
  const struct wire_table *table; /* NULL: bytes, as `data` */
  const char *flags;              /* letters, lowest bit first, or NULL */
};

struct wire_family {
  const struct wire_tlv *rows;
  uint8_t n;
  uint8_t wide;   /* bytes of the type, and of the length */
  uint8_t single; /* bit 0: type 0 has no length and no body; bit 1: type 1 */
  bool ends;      /* type 0 ends the list */
  bool flags;     /* a byte of flags before the length */
  bool bare;      /* the length does not count the item's head */
  bool last;      /* the last item is padded, too */
  uint8_t unit;   /* of the length */
  uint8_t align;  /* items are padded to a multiple of it */
  uint8_t fill;   /* the list ends at a multiple of it, filled by PadN */
};

struct wire_case {
  uint32_t lo, hi;
  const struct wire_table *table;
  uint8_t min;    /* of bytes that must be there */
  uint8_t marker; /* 1 + the field which, when given, says that it is this */
};

struct wire_cases {
  const struct wire_case *rows; /* the first that fits */
  uint8_t n;
};

/* Source and destination as a pseudo header has them: 4 or 16 bytes each. */
struct wire_ends {
  const uint8_t *src, *dst;
  uint8_t size; /* 0: there is no IP below */
};

struct wire_decoder;

struct wire_layer {
  const char *name;
  const struct wire_table *table;
  /* After the fields: checks, and changes what comes next. 0 or -1. */
  int (*after)(struct wire_decoder *d);
  /* A length of 0: how many bytes it stands for, or a negative number. */
  int64_t (*zero)(const struct wire_decoder *d);
  /* Changes the addresses that are checksummed further up. The header has n
   * bytes. */
  void (*ends)(const uint8_t *head, size_t n, struct wire_ends *e);
  bool six;  /* never directly behind an IPv4 header */
  bool leaf; /* what follows is padding */
};

enum wire_space {
  WIRE_ETHER = 1,
  WIRE_COOKED,
  WIRE_PROTO,
  WIRE_SAP,
  WIRE_FAMILY,
  WIRE_PORT,
  WIRE_IPX_TYPE,
  WIRE_IPX_SOCKET
};

#define WIRE_TABLE(fields, fixed) \
  { fields, countof(fields), fixed }

#define UINT(name_, bits_) \
  { .name = name_, .kind = WIRE_UINT, .bits = bits_ }
#define RESERVED(name_, bits_) \
  { .name = name_, .kind = WIRE_UINT, .bits = bits_, .quiet = true }
#define BIT(name_) \
  { .name = name_, .kind = WIRE_BOOL, .bits = 1 }
#define FIELD(name_, kind_, bits_, ...) \
  { .name = name_, .kind = WIRE_##kind_, .bits = bits_, __VA_ARGS__ }
#define MAC(name_) \
  { .name = name_, .kind = WIRE_MAC, .bits = 48 }
#define IP4(name_) \
  { .name = name_, .kind = WIRE_IP4, .bits = 32 }
#define IP6(name_) \
  { .name = name_, .kind = WIRE_IP6, .bits = 128 }
#define REST(name_, kind_) \
  { .name = name_, .kind = WIRE_##kind_ }
#define SUM(bits_, how_) \
  { \
    .name = "checksum", .kind = WIRE_UINT, .bits = bits_, .role = WIRE_SUM, \
    .unit = WIRE_SUM_##how_ \
  }

static inline uint32_t wire_16(const uint8_t *p) {
  return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t wire_32(const uint8_t *p) {
  return wire_16(p) << 16 | wire_16(p + 2);
}

static inline bool wire_zero(const uint8_t *p, size_t n) {
  while (n > 0 && p[n - 1] == 0)
    n--;
  return n == 0;
}

/* With its bytes the other way round. */
static inline uint32_t wire_swapped(uint32_t v) {
  return v >> 24 | (v >> 8 & 0xff00) | (v & 0xff00) << 8 | v << 24;
}

/* The number of 1 to 32 bits that begins at this bit. */
static inline uint32_t wire_bits(const uint8_t *p, size_t bit, unsigned bits) {
  unsigned i, from = bit & 7, n = (from + bits + 7) / 8;
  uint64_t all = 0;
  p += bit / 8;
  for (i = 0; i < n; i++)
    all = all << 8 | p[i];
  return (uint32_t)(all >> (n * 8 - from - bits) & (UINT64_MAX >> (64 - bits)));
}

#endif
