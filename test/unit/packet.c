/* SPDX-License-Identifier: MIT
 * Addresses of packets, and a ring whose headers lie. */
#include "sys/packet.h"

#include <errno.h>
#include <string.h>
#ifdef __linux__
#include <linux/if_packet.h>
#endif

#include "base/util.h"
#include "check.h"

static const struct {
  const char *text;
  int bytes;
} macs[] = {
  {"aa:bb:cc:dd:ee:ff",          6      },
  {"AA:0b:Cc:9d:00:FF",          6      },
  {"01",                         1      },
  {"01:02:03:04:05:06:07:08",    8      },
  {"01:02:03:04:05:06:07:08:09", -EINVAL},
  {"",                           -EINVAL},
  {"1",                          -EINVAL},
  {"01:",                        -EINVAL},
  {"01:2",                       -EINVAL},
  {"01-02",                      -EINVAL},
  {"0g:02",                      -EINVAL},
  {":0102",                      -EINVAL},
  {"01:02:",                     -EINVAL},
};

static void test_mac(void) {
  unsigned char mac[PACKET_MACLEN];
  size_t i;
  for (i = 0; i < countof(macs); i++)
    CHECK(packet_mac(macs[i].text, strlen(macs[i].text), mac) == macs[i].bytes);
  CHECK(packet_mac("a1:0B", 5, mac) == 2 && mac[0] == 0xa1 && mac[1] == 11);
}

static void test_names(void) {
  CHECK(strcmp(packet_typename(0), "host") == 0);
  CHECK(strcmp(packet_typename(4), "outgoing") == 0);
  CHECK(packet_typename(5) == NULL);
  CHECK(packet_fanoutmode("nothing") == -EINVAL);
}

#ifdef __linux__

static void test_addr(void) {
  static const unsigned char mac[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct packet_from from;
  struct addr a;
  CHECK(packet_addr(&a, 7, 0x86dd, mac, 6) == 0);
  CHECK(addr_family(&a) == packet_family());
  CHECK(packet_from(&a, &from) && from.ifindex == 7 && from.maclen == 6);
  CHECK(from.protocol == 0x86dd && memcmp(from.mac, mac, 6) == 0);
  CHECK(packet_addr(&a, 7, 0, mac, 9) == -EINVAL);
  addr_any(&a, AF_INET, 80);
  CHECK(!packet_from(&a, &from) && from.ifindex == 0);
}

/* ---- a ring of our own making ---- */

enum { BLOCK = 4096, BLOCKS = 3, HEAD = 48, MAC = 80 };

static _Alignas(16) unsigned char map[BLOCK * BLOCKS];

static struct ring new_ring(void) {
  struct ring r = {.map = map, .block_size = BLOCK, .blocks = BLOCKS};
  memset(map, 0, sizeof map);
  return r;
}

static struct tpacket_hdr_v1 *block(unsigned i) {
  return &((struct tpacket_block_desc *)(void *)(map + i * BLOCK))->hdr.bh1;
}

static struct tpacket3_hdr *packet(unsigned i, size_t at) {
  return (struct tpacket3_hdr *)(void *)(map + i * BLOCK + at);
}

/* A block of n packets of 100 bytes, 256 bytes apart. */
static void fill(unsigned i, unsigned n) {
  unsigned j;
  struct tpacket_hdr_v1 *b = block(i);
  b->num_pkts = n;
  b->offset_to_first_pkt = HEAD;
  for (j = 0; j < n; j++) {
    struct tpacket3_hdr *p = packet(i, HEAD + 256 * j);
    p->tp_next_offset = j + 1 < n ? 256 : 0;
    p->tp_mac = MAC;
    p->tp_snaplen = 100;
    p->tp_len = 1000 + j;
    p->tp_sec = 5;
  }
  b->block_status = TP_STATUS_USER;
}

static void test_turns(void) {
  struct ring r = new_ring();
  struct ring_packet p;
  unsigned round, i;
  CHECK(!ring_ready(&r) && !ring_next(&r, &p));
  for (round = 0; round < 5; round++) {
    fill(round % BLOCKS, 2);
    CHECK(ring_ready(&r) && ring_next(&r, &p));
    CHECK(p.length == 1000 && p.snaplen == 100 && p.sec == 5);
    CHECK(ring_ready(&r) && ring_next(&r, &p) && p.length == 1001);
    CHECK(!ring_ready(&r));
    CHECK(block(round % BLOCKS)->block_status == TP_STATUS_USER);
    CHECK(!ring_next(&r, &p));
    CHECK(block(round % BLOCKS)->block_status == TP_STATUS_KERNEL);
  }
  for (i = 0; i < BLOCKS; i++)
    fill(i, 15);
  for (i = 0; i < 15 * BLOCKS; i++)
    CHECK(ring_next(&r, &p));
  CHECK(!ring_next(&r, &p));
}

static void test_empty_block(void) {
  struct ring r = new_ring();
  struct ring_packet p;
  fill(0, 0);
  fill(1, 1);
  CHECK(ring_next(&r, &p) && p.length == 1000);
  CHECK(!ring_next(&r, &p) && block(0)->block_status == TP_STATUS_KERNEL);
}

/* One lie each, in the first packet of two. Returns how many still come. */
static int after(void (*lie)(struct tpacket_hdr_v1 *, struct tpacket3_hdr *)) {
  struct ring r = new_ring();
  struct ring_packet p;
  int n = 0;
  fill(0, 2);
  lie(block(0), packet(0, HEAD));
  while (ring_next(&r, &p)) {
    const unsigned char *data = p.data;
    CHECK(data >= map && data + p.snaplen <= map + BLOCK);
    CHECK(++n <= BLOCK);
  }
  CHECK(block(0)->block_status == TP_STATUS_KERNEL && !r.held);
  return n;
}

#define LIE(name, what) \
  static void name(struct tpacket_hdr_v1 *b, struct tpacket3_hdr *p) { \
    (void)b; \
    (void)p; \
    what; \
  }

LIE(long_snap, p->tp_snaplen = BLOCK)
LIE(huge_snap, p->tp_snaplen = UINT32_MAX)
LIE(far_mac, p->tp_mac = UINT16_MAX)
LIE(near_mac, p->tp_mac = 8)
LIE(no_next, p->tp_next_offset = 0)
LIE(short_next, p->tp_next_offset = 16)
LIE(far_next, p->tp_next_offset = BLOCK)
LIE(huge_next, p->tp_next_offset = UINT32_MAX)
LIE(far_first, b->offset_to_first_pkt = BLOCK)
LIE(last_first, b->offset_to_first_pkt = BLOCK - 8)
LIE(huge_first, b->offset_to_first_pkt = UINT32_MAX)
LIE(too_many, b->num_pkts = UINT32_MAX)

static void test_lies(void) {
  CHECK(after(long_snap) == 0 && after(huge_snap) == 0);
  CHECK(after(far_mac) == 0 && after(near_mac) == 0);
  CHECK(after(no_next) == 1 && after(short_next) == 1);
  CHECK(after(far_next) == 1 && after(huge_next) == 1);
  CHECK(after(far_first) == 0 && after(last_first) == 0);
  CHECK(after(huge_first) == 0);
  CHECK(after(too_many) == 2);
}

static void test_vlan(void) {
  struct ring r = new_ring();
  struct ring_packet p;
  fill(0, 2);
  packet(0, HEAD)->tp_status = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
  packet(0, HEAD)->hv1.tp_vlan_tci = 42;
  packet(0, HEAD)->hv1.tp_vlan_tpid = 0x88a8;
  CHECK(ring_next(&r, &p) && p.has_vlan && p.has_tpid);
  CHECK(p.vlan == 42 && p.tpid == 0x88a8);
  CHECK(ring_next(&r, &p) && !p.has_vlan && !p.has_tpid);
}

static void test_closed(void) {
  struct ring r = {.map = NULL};
  struct ring_packet p;
  CHECK(!ring_ready(&r) && !ring_next(&r, &p));
  ring_close(&r);
}

#endif

int main(void) {
  int passed = 0;
  RUN(test_mac);
  RUN(test_names);
#ifdef __linux__
  RUN(test_addr);
  RUN(test_turns);
  RUN(test_empty_block);
  RUN(test_lies);
  RUN(test_vlan);
  RUN(test_closed);
#endif
  printf("%d passed\n", passed);
  return 0;
}
