/* SPDX-License-Identifier: MIT
 * A channel whose bytes somebody else carries (SPX: a task in Lua): two queues
 * with room for so much, the borders of records kept in both. The stream is at
 * one side; whoever carries is at the other, and is told by a hub which of its
 * relays have something for it. */
#ifndef NEAP_IO_RELAY_H
#define NEAP_IO_RELAY_H

#include "base/bytes.h"
#include "base/list.h"
#include "io/channel.h"
#include "loop/loop.h"

enum { RELAY_WHYLEN = 128, RELAY_CODELEN = 24, RELAY_PEERLEN = 64 };

/* Record types from here on are the protocol's own. */
enum { RELAY_TYPES = 0xfc };

/* What is shut, or has ended: in this order. */
enum relay_end { RELAY_OPEN, RELAY_WRITTEN, RELAY_OVER };

/* Who carries: waits until one of its relays was written to, was read from
 * after it had been full, was shut or closed. */
struct relay_hub {
  struct loop *loop;
  struct list waiters;
  struct list busy; /* relays, by their node */
  bool rung;        /* wake without one */
};

/* So many bytes, then another record's or another type's. */
struct border {
  uint32_t length;
  uint8_t type;
  bool end; /* of the record */
};

struct relay_queue {
  struct bytes bytes;
  struct bytes borders; /* struct border */
};

struct relay {
  struct channel base;
  struct relay_hub *hub; /* NULL once it is gone */
  struct list node;
  struct relay_queue in, out; /* to the stream, from the stream */
  uint32_t room;              /* of each */
  int32_t key;                /* the carrier's own */
  uint8_t shut;               /* enum relay_end: what the stream asks for */
  uint8_t done;               /* and what has been carried */
  bool connected, closed, quiet;
  bool halves;  /* one direction can end alone */
  bool ended;   /* nothing more comes to the stream */
  bool hungup;  /* nothing more is taken from it */
  bool wanted;  /* the carrier had more than there was room for */
  bool failed;  /* why: below */
  bool refused; /* the stream wrote more than there was room for */
  char why[RELAY_WHYLEN], code[RELAY_CODELEN], peer[RELAY_PEERLEN];
};

void relay_hub_init(struct relay_hub *h, struct loop *l);

/* Its relays are nobody's any more. */
void relay_hub_close(struct relay_hub *h);

/* Whoever waits at the hub wakes. */
void relay_hub_wake(struct relay_hub *h);

/* The next that has something for the carrier, or NULL. */
struct relay *relay_next(struct relay_hub *h);

void relay_init(struct relay *r, struct relay_hub *h, uint32_t room);

/* The memory goes; the stream, if there is one, finds it closed. */
void relay_free(struct relay *r);

/* ---- what the carrier does ---- */

/* More for the stream. Returns 1; 0 if there is no room: the hub tells when
 * there is; -ENOMEM. */
int relay_put(struct relay *r, const char *data, size_t len, uint8_t type,
              bool end);

/* What is next of what was written: up to `max` bytes of one record, which lie
 * at *data until relay_taken. Returns how many (0: the end of a record alone),
 * or -EAGAIN. */
ssize_t relay_peek(const struct relay *r, size_t max, const char **data,
                   uint8_t *type, bool *end);

/* So many of them are carried. */
void relay_taken(struct relay *r, size_t n);

/* Is there anything to be taken? */
bool relay_waits(const struct relay *r);

/* The other end is there. */
void relay_connected(struct relay *r);

/* Nothing more comes. */
void relay_finish(struct relay *r);

/* Nothing more is taken. */
void relay_hangup(struct relay *r);

/* Writing fails with this, and reading, once it is finished. */
void relay_fail(struct relay *r, const char *code, const char *why);

/* What the stream has shut was carried. */
void relay_done(struct relay *r, enum relay_end end);

#endif
