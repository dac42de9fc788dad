/* SPDX-License-Identifier: MIT
 * The ring of a packet socket, by TPACKET_V3: blocks of packets that change
 * hands as a whole. What its headers say is not trusted. */
#include <errno.h>
#include <string.h>

#include "sys/packet.h"

#ifdef __linux__

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  BLOCK_SIZE = 1 << 20,
  BLOCKS = 8,
  TIMEOUT = 10,
  FRAME = 2048, /* only has to divide a block: packets vary in length */
  LINK_AT = (int)TPACKET_ALIGN((int)sizeof(struct tpacket3_hdr)),
  PACKET_HEAD = LINK_AT + sizeof(struct sockaddr_ll)
};

static int ask(int fd, const struct ring *r, unsigned timeout) {
  int version = TPACKET_V3;
  struct tpacket_req3 q;
  memset(&q, 0, sizeof q);
  q.tp_block_size = (unsigned)r->block_size;
  q.tp_block_nr = r->blocks;
  q.tp_frame_size = FRAME;
  q.tp_frame_nr = (unsigned)(r->block_size / FRAME) * r->blocks;
  q.tp_retire_blk_tov = timeout;
  if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) ==
        -1 ||
      setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == -1)
    return -errno;
  return 0;
}

/* Frees the kernel's side of it: the socket is as it was before. */
static void forget(int fd) {
  struct tpacket_req3 none;
  memset(&none, 0, sizeof none);
  setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &none, sizeof none);
}

int ring_open(struct ring *r, int fd, const struct ring_config *c) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  void *map;
  int err;
  memset(r, 0, sizeof *r);
  r->block_size = c->block_size > 0 ? c->block_size : BLOCK_SIZE;
  r->blocks = c->blocks > 0 ? c->blocks : BLOCKS;
  if (r->block_size % page != 0 || r->block_size > INT32_MAX ||
      r->blocks > INT32_MAX / r->block_size)
    return -EINVAL;
  err = ask(fd, r, c->timeout > 0 ? c->timeout : TIMEOUT);
  if (err < 0)
    return err;
  map = mmap(NULL, r->block_size * r->blocks, PROT_READ | PROT_WRITE,
             MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    err = -errno;
    forget(fd);
    return err;
  }
  r->map = map;
  return 0;
}

void ring_close(struct ring *r) {
  if (r->map != NULL)
    munmap(r->map, r->block_size * r->blocks);
  memset(r, 0, sizeof *r);
}

static struct tpacket_block_desc *block_at(const struct ring *r, unsigned i) {
  return (struct tpacket_block_desc *)(void *)(r->map + i * r->block_size);
}

/* What the kernel wrote before it gave the block away is seen after this. */
static bool ours(const struct ring *r, unsigned i) {
  return __atomic_load_n(&block_at(r, i)->hdr.bh1.block_status,
                         __ATOMIC_ACQUIRE) &
         TP_STATUS_USER;
}

/* What was read of the block was read before this. */
static void give_back(struct ring *r) {
  __atomic_store_n(&block_at(r, r->at)->hdr.bh1.block_status, TP_STATUS_KERNEL,
                   __ATOMIC_RELEASE);
  r->held = false;
  r->left = 0;
  r->at = (r->at + 1) % r->blocks;
}

static bool take_block(struct ring *r) {
  const struct tpacket_hdr_v1 *head = &block_at(r, r->at)->hdr.bh1;
  if (!ours(r, r->at))
    return false;
  r->held = true;
  r->left = head->num_pkts;
  r->offset = head->offset_to_first_pkt;
  return true;
}

static void describe(struct ring_packet *p, const struct tpacket3_hdr *h,
                     const unsigned char *link) {
  p->length = h->tp_len;
  p->snaplen = h->tp_snaplen;
  p->sec = h->tp_sec;
  p->nsec = h->tp_nsec;
  p->status = h->tp_status;
  p->hardware = (h->tp_status & TP_STATUS_TS_RAW_HARDWARE) != 0;
  p->has_vlan = (h->tp_status & TP_STATUS_VLAN_VALID) != 0;
  p->has_tpid = (h->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  p->vlan = p->has_vlan ? (uint16_t)h->hv1.tp_vlan_tci : 0;
  p->tpid = p->has_tpid ? h->hv1.tp_vlan_tpid : 0;
  memcpy(&p->addr.u, link, sizeof(struct sockaddr_ll));
  p->addr.len = sizeof(struct sockaddr_ll);
}

/* The packet at r->offset, which moves. False if its header leaves the block,
 * or says that it does not end where the next begins. */
static bool take_packet(struct ring *r, struct ring_packet *p) {
  const unsigned char *at = r->map + r->at * r->block_size + r->offset;
  struct tpacket3_hdr h;
  size_t room;
  if (r->offset >= r->block_size || r->block_size - r->offset < PACKET_HEAD)
    return false;
  room = r->block_size - r->offset;
  memcpy(&h, at, sizeof h);
  if (h.tp_mac < PACKET_HEAD || h.tp_mac > room ||
      h.tp_snaplen > room - h.tp_mac)
    return false;
  if (--r->left > 0) {
    if (h.tp_next_offset < PACKET_HEAD || h.tp_next_offset > room)
      r->left = 0; /* the others cannot be found */
    r->offset += h.tp_next_offset;
  }
  p->data = at + h.tp_mac;
  describe(p, &h, at + LINK_AT);
  return true;
}

bool ring_next(struct ring *r, struct ring_packet *p) {
  unsigned turns;
  if (r->map == NULL)
    return false;
  for (turns = 0; turns < r->blocks; turns++) {
    if (r->held && r->left == 0)
      give_back(r);
    if (!r->held && !take_block(r))
      return false;
    if (r->left > 0 && take_packet(r, p))
      return true;
    r->left = 0;
  }
  give_back(r);
  return false;
}

bool ring_ready(const struct ring *r) {
  if (r->map == NULL)
    return false;
  if (r->held && r->left > 0)
    return true;
  return ours(r, r->held ? (r->at + 1) % r->blocks : r->at);
}

#else

int ring_open(struct ring *r, int fd, const struct ring_config *c) {
  (void)fd;
  (void)c;
  memset(r, 0, sizeof *r);
  return -ENOTSUP;
}

bool ring_next(struct ring *r, struct ring_packet *p) {
  (void)r;
  (void)p;
  return false;
}

bool ring_ready(const struct ring *r) {
  (void)r;
  return false;
}

void ring_close(struct ring *r) {
  (void)r;
}

#endif
