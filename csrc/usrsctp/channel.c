/* SPDX-License-Identifier: MIT */
#include "usrsctp/channel.h"

#include <errno.h>
#include <string.h>
#include <usrsctp.h>

#include "base/util.h"
#include "io/record.h"
#include "usrsctp/notice.h"

enum {
  WHOLE = 16 * 1024,  /* the longest message that write makes */
  LEAST = 1024,       /* and the shortest part that it tries */
  SNDBUF_USE = 0x1101 /* usrsctp's SCTP_GET_SNDBUF_USE, which it keeps inside */
};

static struct us_channel *channel_of(struct channel *c) {
  return container_of(c, struct us_channel, base);
}

/* The end, locked; or NULL. */
static struct us_end *enter(struct us_channel *c) {
  if (!us_enter(c->home))
    return NULL;
  if (c->end != NULL)
    return c->end;
  us_leave();
  return NULL;
}

static ssize_t leave(struct us_channel *c, ssize_t result) {
  us_deliver(c->home);
  us_leave();
  return result;
}

static ssize_t wait_for(struct us_channel *c, uint8_t what) {
  c->base.want = what;
  return -EAGAIN;
}

/* usrsctp says ECONNABORTED where nobody answered, too; but then its ABORT has
 * no cause. What the network said explains why that was. */
static int reason(const struct us_end *e, int number) {
  const struct us_peer *p = e->peer;
  if (number == ECONNABORTED && p != NULL && !p->aborted)
    number = ETIMEDOUT;
  if (number == ETIMEDOUT && p != NULL && p->error != 0)
    return -p->error;
  return number == ENOENT || number == ESHUTDOWN ? -EPIPE : -number;
}

/* ---- receiving ---- */

static void put_address(struct record *r, const struct sockaddr_conn *from) {
  const struct us_peer *p = us_peer_find(from->sconn_addr);
  if (p == NULL)
    return;
  r->addr = p->addr;
  addr_unmap(&r->addr);
  addr_setport(&r->addr, ntohs(from->sconn_port));
}

static void fill(struct us_end *e, struct record *r,
                 const struct sctp_rcvinfo *info, int flags) {
  r->flags = flags & MSG_EOR ? RECORD_END : 0;
  if (e->cut)
    r->flags |= RECORD_CUT;
  e->cut = false;
  if (info->rcv_flags & SCTP_UNORDERED)
    r->flags |= RECORD_UNORDERED;
  r->association = info->rcv_assoc_id;
  r->stream = info->rcv_sid;
  r->ssn = info->rcv_ssn;
  r->ppid = ntohl(info->rcv_ppid);
  r->tsn = info->rcv_tsn;
  r->cumtsn = info->rcv_cumtsn;
  r->context = info->rcv_context;
}

/* r: NULL for bytes alone. */
static ssize_t take(struct us_channel *c, struct us_end *e, void *buf,
                    size_t len, struct record *r) {
  struct sockaddr_conn from;
  for (;;) {
    struct sctp_rcvinfo info;
    socklen_t infolen = sizeof info, fromlen = sizeof from;
    bool many = e->kind == US_MANY && r != NULL;
    unsigned type = 0;
    int flags = 0;
    ssize_t n =
      usrsctp_recvv(e->so, buf, len, many ? (void *)&from : NULL,
                    many ? &fromlen : NULL, &info, &infolen, &type, &flags);
    if (n < 0 && errno == EAGAIN)
      return wait_for(c, CHANNEL_IN);
    if (n < 0)
      return reason(e, errno);
    if (flags & MSG_NOTIFICATION) {
      if (us_notified(e, buf, n, flags, r))
        return n;
      continue;
    }
    if (n > 0 && r != NULL)
      fill(e, r, &info, flags);
    if (n > 0 && many)
      put_address(r, &from);
    return n;
  }
}

static ssize_t channel_receive(struct channel *base, void *buf, size_t len,
                               struct record *r) {
  struct us_channel *c = channel_of(base);
  struct us_end *e = enter(c);
  base->drained = false;
  if (e == NULL)
    return CHANNEL_CLOSED;
  return leave(c, take(c, e, buf, len, r));
}

static ssize_t channel_read(struct channel *base, void *buf, size_t len) {
  return channel_receive(base, buf, len, NULL);
}

/* ---- sending ---- */

static void set_eor(struct us_end *e, bool on) {
  int value = on;
  if (e->eor != on)
    usrsctp_setsockopt(e->so, IPPROTO_SCTP, SCTP_EXPLICIT_EOR, &value,
                       sizeof value);
  e->eor = on;
}

/* No longer than there is room for at once. */
static size_t limit(struct us_end *e, size_t len) {
  int room = 0;
  socklen_t size = sizeof room;
  if (e->sndbuf == 0 &&
      usrsctp_getsockopt(e->so, SOL_SOCKET, SO_SNDBUF, &room, &size) == 0)
    e->sndbuf = (uint32_t)room;
  return e->sndbuf > 0 && len > e->sndbuf ? e->sndbuf : len;
}

static ssize_t sent(struct us_channel *c, struct us_end *e, ssize_t n) {
  if (n >= 0)
    return n;
  if (e->shut)
    return -EPIPE;
  if (errno != EAGAIN)
    return reason(e, errno);
  e->full = e->kind == US_MANY;
  return wait_for(c, CHANNEL_OUT);
}

/* Each part is a message of its own: so what was taken of the bytes will
 * arrive, even if nothing follows. */
static ssize_t put_bytes(struct us_channel *c, struct us_end *e,
                         const void *bytes, size_t len) {
  ssize_t n;
  set_eor(e, false);
  if (len > WHOLE)
    len = WHOLE;
  len = limit(e, len);
  do
    n =
      usrsctp_sendv(e->so, bytes, len, NULL, 0, NULL, 0, SCTP_SENDV_NOINFO, 0);
  while (n < 0 && errno == EAGAIN && len > LEAST && (len /= 2) > 0);
  return sent(c, e, n);
}

static size_t gather(char *room, const struct iovec *iov, int n) {
  size_t len = 0;
  int i;
  for (i = 0; i < n && len < WHOLE; i++) {
    size_t part = iov[i].iov_len < WHOLE - len ? iov[i].iov_len : WHOLE - len;
    memcpy(room + len, iov[i].iov_base, part);
    len += part;
  }
  return len;
}

static ssize_t channel_write(struct channel *base, const struct iovec *iov,
                             int n) {
  struct us_channel *c = channel_of(base);
  struct us_end *e = enter(c);
  char room[WHOLE];
  if (e == NULL)
    return CHANNEL_CLOSED;
  if (n == 1 || iov[0].iov_len >= WHOLE)
    return leave(c, put_bytes(c, e, iov[0].iov_base, iov[0].iov_len));
  return leave(c, put_bytes(c, e, room, gather(room, iov, n)));
}

static uint16_t flags_of(const struct record *r, bool whole) {
  unsigned flags = 0;
  if (whole && r->flags & RECORD_END)
    flags |= SCTP_EOR;
  if (whole && r->flags & RECORD_SHUTDOWN)
    flags |= SCTP_EOF;
  if (r->flags & RECORD_ABORT)
    flags |= SCTP_ABORT;
  if (r->flags & RECORD_UNORDERED)
    flags |= SCTP_UNORDERED;
  if (r->flags & RECORD_IMMEDIATE)
    flags |= SCTP_SACK_IMMEDIATELY;
  return (uint16_t)flags;
}

static void describe(struct sctp_sendv_spa *spa, const struct record *r,
                     bool whole) {
  static const uint16_t policies[] = {
    [RECORD_RELIABLE] = SCTP_PR_SCTP_NONE,
    [RECORD_LIFETIME] = SCTP_PR_SCTP_TTL,
    [RECORD_RETRANSMISSIONS] = SCTP_PR_SCTP_RTX,
    [RECORD_PRIORITY] = SCTP_PR_SCTP_BUF,
  };
  memset(spa, 0, sizeof *spa);
  spa->sendv_flags = SCTP_SEND_SNDINFO_VALID;
  spa->sendv_sndinfo.snd_sid = r->stream;
  spa->sendv_sndinfo.snd_flags = flags_of(r, whole);
  spa->sendv_sndinfo.snd_ppid = htonl(r->ppid);
  spa->sendv_sndinfo.snd_context = r->context;
  spa->sendv_sndinfo.snd_assoc_id = r->association;
  if (r->policy != RECORD_RELIABLE) {
    spa->sendv_flags |= SCTP_SEND_PRINFO_VALID;
    spa->sendv_prinfo.pr_policy = policies[r->policy];
    spa->sendv_prinfo.pr_value = r->value;
  }
  if (r->key != 0) {
    spa->sendv_flags |= SCTP_SEND_AUTHINFO_VALID;
    spa->sendv_authinfo.auth_keynumber = r->key;
  }
}

/* The association with this address: for those who do not know its number. */
static int find(struct us_end *e, const struct record *r, uint32_t *id) {
  struct us_link *l;
  struct addr to = r->addr;
  uint16_t remote = (uint16_t)addr_port(&to);
  addr_unmap(&to);
  for (l = e->links; l != NULL; l = l->next) {
    struct addr known = l->peer->addr;
    addr_unmap(&known);
    addr_setport(&known, remote);
    if (l->remote != remote || known.len != to.len ||
        memcmp(&known.u, &to.u, to.len) != 0)
      continue;
    *id = us_end_association(e, l->peer, remote);
    return *id != 0 ? 0 : -ENOTCONN;
  }
  return -ENOTCONN;
}

/* How much of a part there is room for. With more, usrsctp 0.9.5 makes room by
 * messages that need not arrive, and then loops for ever or crashes. */
static size_t room_for(struct us_end *e, uint32_t association, size_t len) {
  struct {
    uint32_t association, sent, received;
  } used = {association, 0, 0}; /* struct sctp_sockstat */
  socklen_t size = sizeof used;
  size_t room;
  if (usrsctp_getsockopt(e->so, IPPROTO_SCTP, SNDBUF_USE, &used, &size) < 0)
    return len;
  room = e->sndbuf > used.sent ? e->sndbuf - used.sent : 0;
  if (room < len && (room >= LEAST || used.sent == 0))
    return room;
  return room < len ? 0 : len;
}

/* What fits goes whole or not at all: whoever gives up waiting for room has
 * then sent nothing. */
static ssize_t put_part(struct us_end *e, const struct iovec *iov, size_t len,
                        bool ends, struct sctp_sendv_spa *spa) {
  bool aborts = spa->sendv_sndinfo.snd_flags & SCTP_ABORT;
  size_t room = len;
  ssize_t n = 0;
  set_eor(e, e->midway || !ends);
  if (e->eor && !aborts)
    room = room_for(e, spa->sendv_sndinfo.snd_assoc_id, len);
  if (room < len)
    spa->sendv_sndinfo.snd_flags &= (uint16_t) ~(SCTP_EOR | SCTP_EOF);
  if (room > 0 || len == 0)
    n = usrsctp_sendv(e->so, iov->iov_base, room, NULL, 0, spa, sizeof *spa,
                      SCTP_SENDV_SPA, 0);
  if (n > 0 || (n == 0 && (len == 0 || aborts)))
    e->midway = !ends || (size_t)n < len;
  else if (n == 0)
    errno = EAGAIN; /* so it may say where a message goes on */
  return n == 0 && len > 0 && !aborts ? -1 : n;
}

static ssize_t put_record(struct us_channel *c, struct us_end *e,
                          const struct iovec *iov, int n,
                          const struct record *r) {
  struct sctp_sendv_spa spa;
  size_t len = limit(e, iov->iov_len);
  bool whole = n == 1 && len == iov->iov_len;
  if (len == 0 && !(r->flags & (RECORD_SHUTDOWN | RECORD_ABORT)))
    return -EINVAL;
  describe(&spa, r, whole);
  if (e->kind == US_MANY && r->association == 0 && r->addr.len > 0) {
    int err = find(e, r, &spa.sendv_sndinfo.snd_assoc_id);
    if (err < 0)
      return err;
  }
  return sent(
    c, e, put_part(e, iov, len, whole && (r->flags & RECORD_END) != 0, &spa));
}

static ssize_t channel_send(struct channel *base, const struct iovec *iov,
                            int n, const struct record *r) {
  struct us_channel *c = channel_of(base);
  struct us_end *e = enter(c);
  if (e == NULL)
    return CHANNEL_CLOSED;
  return leave(c, put_record(c, e, iov, n, r));
}

/* ---- beginning, end ---- */

static int channel_handshake(struct channel *base) {
  struct us_channel *c = channel_of(base);
  struct us_end *e = enter(c);
  int err;
  if (e == NULL)
    return CHANNEL_CLOSED;
  err = us_end_settle(e);
  if (err == -EAGAIN)
    base->want = CHANNEL_OUT;
  return (int)leave(c, err);
}

static int channel_shutdown(struct channel *base, int how) {
  struct us_channel *c = channel_of(base);
  struct us_end *e = enter(c);
  int err = 0;
  (void)how;
  if (e == NULL)
    return CHANNEL_CLOSED;
  if (e->kind == US_MANY)
    err = -EOPNOTSUPP;
  else if (!e->shut && usrsctp_shutdown(e->so, SHUT_WR) < 0)
    err = -errno;
  e->shut = e->shut || err == 0;
  return (int)leave(c, err);
}

void us_channel_close(struct us_channel *c) {
  struct us_end *e = enter(c);
  c->base.report = NULL;
  if (e == NULL)
    return;
  us_end_close(e);
  leave(c, 0);
}

static void channel_close(struct channel *base, bool quiet) {
  struct us_channel *c = channel_of(base);
  if (!quiet)
    us_channel_close(c);
  c->end = NULL;
}

static const struct channel_ops ops = {
  .kind = "SCTP",
  .read = channel_read,
  .write = channel_write,
  .handshake = channel_handshake,
  .shutdown = channel_shutdown,
  .close = channel_close,
  .send = channel_send,
  .receive = channel_receive,
  .records = RECORD_SCTP,
};

void us_channel_init(struct us_channel *c, struct us_home *h) {
  memset(c, 0, sizeof *c);
  c->base.magic = CHANNEL_MAGIC;
  c->base.version = CHANNEL_VERSION;
  c->base.size = sizeof c->base;
  c->base.ops = &ops;
  c->home = h;
}

void us_channel_take(struct us_channel *c, struct us_end *e) {
  struct addr a;
  c->end = e;
  c->base.drained = !(usrsctp_get_events(e->so) & SCTP_EVENT_READ);
  e->face = c;
  if (e->peer == NULL)
    return;
  a = e->peer->addr;
  addr_unmap(&a);
  addr_setport(&a, e->remote);
  addr_text(&a, c->peer);
  c->base.peer = c->peer;
}
