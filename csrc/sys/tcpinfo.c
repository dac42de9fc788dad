/* SPDX-License-Identifier: MIT */
#include "sys/tcpinfo.h"

#include <string.h>

#include "base/util.h"

struct field {
  const char *name;
  uint16_t offset;
  uint8_t size, shift, bits; /* bits: 0 for all of them */
};

/* Where the compiler puts a bit-field of a byte. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW_BITS(from, n) 8 - (from) - (n), n
#else
#define LOW_BITS(from, n) from, n
#endif

/* By offsets, not by <linux/tcp.h>: the kernel only ever appends, and may be
 * newer than the headers. What it calls 276 has changed its meaning, so the
 * table ends before. */
static const struct field fields[] = {
#ifdef __linux__
  {"state",                     0,   1, 0,          0 },
  {"ca_state",                  1,   1, 0,          0 },
  {"retransmits",               2,   1, 0,          0 },
  {"probes",                    3,   1, 0,          0 },
  {"backoff",                   4,   1, 0,          0 },
  {"options",                   5,   1, 0,          0 },
  {"snd_wscale",                6,   1, LOW_BITS(0, 4)},
  {"rcv_wscale",                6,   1, LOW_BITS(4, 4)},
  {"delivery_rate_app_limited", 7,   1, LOW_BITS(0, 1)},
  {"fastopen_client_fail",      7,   1, LOW_BITS(1, 2)},
  {"rto",                       8,   4, 0,          0 },
  {"ato",                       12,  4, 0,          0 },
  {"snd_mss",                   16,  4, 0,          0 },
  {"rcv_mss",                   20,  4, 0,          0 },
  {"unacked",                   24,  4, 0,          0 },
  {"sacked",                    28,  4, 0,          0 },
  {"lost",                      32,  4, 0,          0 },
  {"retrans",                   36,  4, 0,          0 },
  {"fackets",                   40,  4, 0,          0 },
  {"last_data_sent",            44,  4, 0,          0 },
  {"last_ack_sent",             48,  4, 0,          0 },
  {"last_data_recv",            52,  4, 0,          0 },
  {"last_ack_recv",             56,  4, 0,          0 },
  {"pmtu",                      60,  4, 0,          0 },
  {"rcv_ssthresh",              64,  4, 0,          0 },
  {"rtt",                       68,  4, 0,          0 },
  {"rttvar",                    72,  4, 0,          0 },
  {"snd_ssthresh",              76,  4, 0,          0 },
  {"snd_cwnd",                  80,  4, 0,          0 },
  {"advmss",                    84,  4, 0,          0 },
  {"reordering",                88,  4, 0,          0 },
  {"rcv_rtt",                   92,  4, 0,          0 },
  {"rcv_space",                 96,  4, 0,          0 },
  {"total_retrans",             100, 4, 0,          0 },
  {"pacing_rate",               104, 8, 0,          0 },
  {"max_pacing_rate",           112, 8, 0,          0 },
  {"bytes_acked",               120, 8, 0,          0 },
  {"bytes_received",            128, 8, 0,          0 },
  {"segs_out",                  136, 4, 0,          0 },
  {"segs_in",                   140, 4, 0,          0 },
  {"notsent_bytes",             144, 4, 0,          0 },
  {"min_rtt",                   148, 4, 0,          0 },
  {"data_segs_in",              152, 4, 0,          0 },
  {"data_segs_out",             156, 4, 0,          0 },
  {"delivery_rate",             160, 8, 0,          0 },
  {"busy_time",                 168, 8, 0,          0 },
  {"rwnd_limited",              176, 8, 0,          0 },
  {"sndbuf_limited",            184, 8, 0,          0 },
  {"delivered",                 192, 4, 0,          0 },
  {"delivered_ce",              196, 4, 0,          0 },
  {"bytes_sent",                200, 8, 0,          0 },
  {"bytes_retrans",             208, 8, 0,          0 },
  {"dsack_dups",                216, 4, 0,          0 },
  {"reord_seen",                220, 4, 0,          0 },
  {"rcv_ooopack",               224, 4, 0,          0 },
  {"snd_wnd",                   228, 4, 0,          0 },
  {"rcv_wnd",                   232, 4, 0,          0 },
  {"rehash",                    236, 4, 0,          0 },
  {"total_rto",                 240, 2, 0,          0 },
  {"total_rto_recoveries",      242, 2, 0,          0 },
  {"total_rto_time",            244, 4, 0,          0 },
  {"received_ce",               248, 4, 0,          0 },
  {"delivered_e1_bytes",        252, 4, 0,          0 },
  {"delivered_e0_bytes",        256, 4, 0,          0 },
  {"delivered_ce_bytes",        260, 4, 0,          0 },
  {"received_e1_bytes",         264, 4, 0,          0 },
  {"received_e0_bytes",         268, 4, 0,          0 },
  {"received_ce_bytes",         272, 4, 0,          0 },
#else
  {"", UINT16_MAX, 0, 0, 0}, /* never there */
#endif
};

static uint64_t load(const unsigned char *p, size_t size) {
  uint16_t two;
  uint32_t four;
  uint64_t eight;
  switch (size) {
  case 1:
    return *p;
  case 2:
    memcpy(&two, p, sizeof two);
    return two;
  case 4:
    memcpy(&four, p, sizeof four);
    return four;
  default:
    memcpy(&eight, p, sizeof eight);
    return eight;
  }
}

const char *tcpinfo_field(const void *info, size_t len, size_t *at,
                          uint64_t *value) {
  const struct field *f;
  if (*at >= countof(fields))
    return NULL;
  f = &fields[(*at)++];
  if (len < (size_t)f->offset + f->size)
    return NULL;
  *value = load((const unsigned char *)info + f->offset, f->size);
  if (f->bits > 0)
    *value = *value >> f->shift & ((1u << f->bits) - 1);
  return f->name;
}
