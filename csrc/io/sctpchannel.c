/* SPDX-License-Identifier: MIT */
#include "io/sctpchannel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "io/record.h"
#include "sys/sctp.h"
#include "sys/sock.h"

enum {
  WRITE_MOST = 64 * 1024, /* bytes without borders, in one message */
  WRITE_BLOCKS = 64
};

static struct sctpchannel *of(struct channel *c) {
  return container_of(c, struct sctpchannel, base);
}

/* ---- bytes ---- */

/* A notification came: whether its reader is to have it. */
static bool told(struct sctpchannel *s, const void *buf, size_t n,
                 unsigned flags) {
  bool again = s->midway;
  s->midway = !(flags & PARCEL_END);
  if (again)
    return false;
  switch (sctp_news(buf, n)) {
  case NEWS_CUT:
    s->cut = true;
    return s->tells_cuts;
  case NEWS_OVER:
    s->ended = 1;
    return s->tells_association;
  case NEWS_LOST:
    s->ended = -ECONNRESET;
    return s->tells_association;
  case NEWS_ASSOCIATION:
    return s->tells_association;
  default:
    return true;
  }
}

/* Nothing more is there. To who ended the association himself, the kernel says
 * only by a notification that it is over. */
static ssize_t nothing(const struct sctpchannel *s, ssize_t n) {
  if (n != -EAGAIN || s->many || s->ended == 0)
    return n;
  return s->ended > 0 ? 0 : s->ended;
}

static ssize_t sctp_read(struct channel *c, void *buf, size_t len) {
  struct sctpchannel *s = of(c);
  unsigned flags = 0;
  ssize_t n;
  c->want = CHANNEL_IN;
  while ((n = sctp_take(s->fd, buf, len, NULL, &flags)) > 0) {
    if (!(flags & PARCEL_TELLS))
      return n;
    told(s, buf, (size_t)n, flags);
  }
  return nothing(s, n);
}

/* The first blocks, with as many bytes as one message is to have. */
static int clip(struct iovec *clipped, const struct iovec *iov, int n,
                size_t room) {
  int count = 0;
  while (count < n && count < WRITE_BLOCKS && room > 0) {
    clipped[count] = iov[count];
    if (clipped[count].iov_len > room)
      clipped[count].iov_len = room;
    room -= clipped[count].iov_len;
    count++;
  }
  return count;
}

static ssize_t sctp_write(struct channel *c, const struct iovec *iov, int n) {
  static const struct parcel plain;
  struct iovec clipped[WRITE_BLOCKS];
  size_t room = WRITE_MOST;
  ssize_t sent;
  c->want = CHANNEL_OUT;
  do {
    int count = clip(clipped, iov, n, room);
    sent = sctp_put(of(c)->fd, clipped, count, &plain);
    room /= 2;
  } while (sent == -EMSGSIZE && room > 0); /* a small buffer */
  return sent;
}

/* ---- messages ---- */

static uint8_t to_flags(unsigned flags) {
  return (uint8_t)((flags & RECORD_UNORDERED ? PARCEL_UNORDERED : 0) |
                   (flags & RECORD_ABORT ? PARCEL_ABORT : 0) |
                   (flags & RECORD_SHUTDOWN ? PARCEL_SHUTDOWN : 0) |
                   (flags & RECORD_IMMEDIATE ? PARCEL_IMMEDIATE : 0));
}

static size_t length(const struct iovec *iov, int n) {
  size_t len = 0;
  int i;
  for (i = 0; i < n; i++)
    len += iov[i].iov_len;
  return len;
}

static ssize_t sctp_send(struct channel *c, const struct iovec *iov, int n,
                         const struct record *r) {
  struct parcel p = {0};
  size_t len = length(iov, n);
  bool ends = r->flags & RECORD_SHUTDOWN && !of(c)->many;
  ssize_t sent;
  if (!(r->flags & RECORD_END)) /* the kernel knows no parts of messages */
    return -EOPNOTSUPP;
  if (r->flags & RECORD_ABORT && !of(c)->many) /* but by close(2) */
    return -EOPNOTSUPP;
  if (ends && len == 0)
    return sys_shutdown(of(c)->fd, 1);
  p.association = r->association;
  p.ppid = r->ppid;
  p.context = r->context;
  p.value = r->value;
  p.stream = r->stream;
  p.key = r->key;
  p.policy = r->policy;
  p.flags = to_flags(ends ? r->flags & ~(unsigned)RECORD_SHUTDOWN : r->flags);
  if (r->addr.len > 0)
    p.addr = r->addr;
  else
    p.addr.len = 0;
  c->want = CHANNEL_OUT;
  sent = sctp_put(of(c)->fd, iov, n, &p);
  if (sent == -EMSGSIZE && sctp_makeroom(of(c)->fd, len))
    sent = sctp_put(of(c)->fd, iov, n, &p);
  if (sent > 0 && ends)
    sys_shutdown(of(c)->fd, 1);
  return sent == 0 ? (ssize_t)len : sent;
}

static ssize_t sctp_receive(struct channel *c, void *buf, size_t len,
                            struct record *r) {
  struct sctpchannel *s = of(c);
  struct parcel p;
  unsigned flags = 0;
  ssize_t n;
  c->want = CHANNEL_IN;
  do
    n = sctp_take(s->fd, buf, len, &p, &flags);
  while (n > 0 && flags & PARCEL_TELLS && !told(s, buf, (size_t)n, flags));
  if (n <= 0)
    return nothing(s, n);
  r->flags = (uint16_t)((flags & PARCEL_END ? RECORD_END : 0) |
                        (flags & PARCEL_TELLS ? RECORD_NOTIFICATION : 0) |
                        (p.flags & PARCEL_UNORDERED ? RECORD_UNORDERED : 0) |
                        (s->cut ? RECORD_CUT : 0));
  s->cut = false;
  r->association = p.association;
  r->ppid = p.ppid;
  r->tsn = p.tsn;
  r->cumtsn = p.cumtsn;
  r->context = p.context;
  r->stream = p.stream;
  r->ssn = p.ssn;
  r->addr = p.addr;
  return n;
}

/* ---- the rest ---- */

static int sctp_handshake(struct channel *c) {
  int n = sctp_connected(of(c)->fd);
  c->want = CHANNEL_OUT;
  if (n == 0)
    return -EAGAIN;
  return n < 0 ? n : 0;
}

static int sctp_shutdown(struct channel *c, int how) {
  (void)how; /* SCTP has no end of one direction */
  if (of(c)->mute)
    return 0;
  return of(c)->many ? -EOPNOTSUPP : sys_shutdown(of(c)->fd, 1);
}

static void sctp_close(struct channel *c, bool quiet) {
  (void)c, (void)quiet;
}

static const struct channel_ops sctp_ops = {
  .kind = "sctp",
  .read = sctp_read,
  .write = sctp_write,
  .handshake = sctp_handshake,
  .shutdown = sctp_shutdown,
  .close = sctp_close,
  .send = sctp_send,
  .receive = sctp_receive,
  .records = RECORD_SCTP,
};

void sctpchannel_init(struct sctpchannel *c, int fd, bool many,
                      const char *peer) {
  struct addr a;
  memset(c, 0, sizeof *c);
  c->base.magic = CHANNEL_MAGIC;
  c->base.version = CHANNEL_VERSION;
  c->base.size = sizeof c->base;
  c->base.ops = &sctp_ops;
  c->fd = fd;
  c->many = many;
  if (peer != NULL)
    snprintf(c->peer, sizeof c->peer, "%s", peer);
  else if (!many && sock_peername(fd, &a) == 0)
    addr_text(&a, c->peer);
  if (c->peer[0] != '\0')
    c->base.peer = c->peer;
}
