/* SPDX-License-Identifier: MIT */
#include "usrsctp/carrier.h"

#include <errno.h>
#include <string.h>
#include <usrsctp.h>

#include "base/util.h"
#include "sys/cmsg.h"
#include "sys/sock.h"
#include "usrsctp/digest.h"
#include "usrsctp/end.h"
#include "usrsctp/port.h"

enum {
  ROUNDS = 4, /* of US_BATCH packets, then others have their turn */
  FEW = 4,
  ERRORS = 64,
  CONTROL = 128,
  LEAST = sizeof(struct sctp_common_header) + 4 /* with one chunk's head */
};

enum { CHUNK_INIT = 1, CHUNK_ABORT = 6, CHUNK_COOKIE_ECHO = 10 };

/* ---- sending ---- */

/* The kernel reports an error once, to whichever call comes next; it says
 * nothing of that call, so that one is tried again. */
static ssize_t send_once(struct us_carrier *c, const struct sock_msg *m) {
  ssize_t n = sock_send(c->fd, m, 0);
  if (n < 0 && n != -EAGAIN && us_carrier_errors(c))
    n = sock_send(c->fd, m, 0);
  return n;
}

void us_carrier_from(struct us_from *from, const struct addr *local) {
  const struct cmsg_row *row = cmsg_named(
    local->u.sa.sa_family == AF_INET ? "IP_PKTINFO" : "IPV6_PKTINFO");
  struct cmsg_value v;
  unsigned char bytes[CMSG_ENCODED];
  struct cmsg_item item;
  size_t at = 0;
  int n;
  memset(from, 0, sizeof *from);
  memset(&v, 0, sizeof v);
  v.addr = v.local = *local;
  n = row != NULL ? cmsg_encode(row, &v, bytes) : -1;
  if (n < 0 || cmsg_room((size_t)n) > sizeof from->bytes)
    return;
  item = (struct cmsg_item){row->level, row->type, bytes, (size_t)n};
  cmsg_put(from->bytes, &at, &item);
  from->len = at;
}

/* What there is no room for is lost, as on any network. */
void us_carrier_send(struct us_carrier *c, const struct addr *to,
                     const struct addr *local, uint16_t wire, void *bytes,
                     size_t len, struct us_peer *p) {
  struct sctp_common_header *h = bytes;
  const struct us_port *port = us_port_inner(ntohs(h->source_port));
  struct iovec iov = {bytes, len};
  struct sock_msg m = {.iov = &iov, .niov = 1};
  struct us_from from;
  ssize_t n;
  h->source_port = htons(port != NULL ? port->wire : wire);
  h->crc32c = 0;
  h->crc32c = us_crc32c(bytes, len);
  m.addr = *to;
  if (p != NULL && p->from.len > 0) {
    m.control = p->from.bytes;
    m.controllen = p->from.len;
  } else if (local != NULL) {
    us_carrier_from(&from, local);
    m.control = from.len > 0 ? from.bytes : NULL;
    m.controllen = from.len;
  }
  if (p != NULL && len > LEAST &&
      ((unsigned char *)bytes)[sizeof *h] == CHUNK_ABORT)
    p->aborted = true; /* for a cause, and not since nobody answers */
  us_busy();
  n = send_once(c, &m);
  if (n >= 0)
    c->sent++;
  else if (p != NULL && n != -EAGAIN)
    us_end_trouble(p, (int)-n);
}

/* ---- errors ---- */

static int number_of(const void *control, size_t len) {
  struct cmsg_item item;
  size_t at = 0;
  while (cmsg_next(control, len, &at, &item)) {
    const struct cmsg_row *row = cmsg_find(item.level, item.type);
    struct cmsg_value v;
    memset(&v, 0, sizeof v);
    if (row != NULL && row->kind == CMSG_KIND_ERROR &&
        cmsg_decode(row, &item, &v))
      return (int)(v.number < 0 ? -v.number : v.number);
  }
  return 0;
}

bool us_carrier_errors(struct us_carrier *c) {
  int i;
  for (i = 0; i < ERRORS; i++) {
    _Alignas(16) char control[512];
    char data[64];
    struct iovec iov = {data, sizeof data};
    struct sock_msg m = {
      .iov = &iov, .niov = 1, .control = control, .controllen = sizeof control};
    struct us_peer *p;
    ssize_t n = sock_recverror(c->fd, &m);
    if (n < 0)
      break;
    if (c->raw && m.addr.len > 0)
      addr_setport(&m.addr, 0);
    p = m.addr.len > 0 ? us_peer_find(us_handle(c, &m.addr)) : NULL;
    if (p != NULL)
      us_end_trouble(p, number_of(m.control, m.controllen));
  }
  return i > 0;
}

/* ---- receiving ---- */

static bool is_sound(unsigned char *bytes, size_t len) {
  struct sctp_common_header *h = (void *)bytes;
  uint32_t sum = h->crc32c;
  bool good;
  h->crc32c = 0;
  good = us_crc32c(bytes, len) == sum;
  h->crc32c = sum;
  return good;
}

/* Whoever is let in needs a place here, too: until then nothing is kept of
 * strangers. Returns false for those that come again later; *known is to be
 * let go. */
static bool admit(struct us_arrival *a, struct us_port *port, unsigned type,
                  struct us_peer **known) {
  bool enters = type == CHUNK_INIT || type == CHUNK_COOKIE_ECHO;
  *known = NULL;
  if (!enters || port == NULL || port->owner == NULL)
    return true;
  if (!us_end_hasroom(port->owner))
    return false;
  if (type == CHUNK_INIT)
    return a->carrier->peers < a->carrier->max_peers ||
           us_peer_find(a->handle) != NULL;
  us_tick();
  *known = us_peer_hold(a->carrier, a->addr);
  return *known != NULL;
}

/* What we began ourselves: the kernel goes on choosing our address, which is
 * known now. */
static void learn(const struct us_arrival *a) {
  struct us_peer *p = a->local != NULL ? us_peer_find(a->handle) : NULL;
  if (p != NULL && p->local.len == 0)
    p->local = *a->local;
}

static void input(struct us_carrier *c, unsigned char *bytes, size_t len,
                  const struct addr *from, const struct addr *local) {
  struct sctp_common_header *h = (void *)bytes;
  struct us_arrival a = {us_handle(c, from), c, from, local, 0};
  struct us_peer *held;
  struct us_port *port;
  if (len < LEAST || !is_sound(bytes, len)) {
    c->dropped++;
    return;
  }
  c->received++;
  a.wire = ntohs(h->destination_port);
  port = us_port_find(c, a.wire);
  us_arrives(&a);
  learn(&a);
  if (admit(&a, port, bytes[sizeof *h], &held)) {
    h->destination_port = htons(port != NULL ? port->inner : US_NOPORT);
    usrsctp_conninput(a.handle, bytes, len, 0);
    if (held != NULL && port->owner != NULL)
      us_end_entered(port->owner, held, ntohs(h->source_port));
    if (port != NULL && port->owner != NULL)
      us_end_eases(port->owner);
  } else {
    c->dropped++;
  }
  us_arrives(NULL);
  if (held != NULL)
    us_peer_drop(held);
}

/* Where it was sent to, from what comes beside it. */
static bool local_of(const struct sock_one *one, struct addr *local) {
  struct cmsg_item item;
  size_t at = 0;
  while (cmsg_next(one->control, one->controllen, &at, &item)) {
    const struct cmsg_row *row = cmsg_find(item.level, item.type);
    struct cmsg_value v;
    memset(&v, 0, sizeof v);
    if (row == NULL || row->kind != CMSG_KIND_PKTINFO ||
        !cmsg_decode(row, &item, &v) || v.addr.len == 0)
      continue;
    *local = v.addr;
    return true;
  }
  return false;
}

static void received(struct us_carrier *c, struct sock_one *one) {
  unsigned char *bytes = one->iov.iov_base;
  struct addr local;
  size_t len = one->len, header = 0;
  bool known = one->control != NULL && local_of(one, &local);
  if (c->raw && c->family == AF_INET && len > 0)
    header = 4 * (size_t)(bytes[0] & 15);
  if (len > US_DATAGRAM || header > len || one->addr.len == 0)
    return;
  if (c->raw)
    addr_setport(&one->addr, 0);
  input(c, bytes + header, len - header, &one->addr, known ? &local : NULL);
}

/* Asks for n at most. Returns how many came, or -errno. */
static int take(struct us_carrier *c, int n) {
  static _Alignas(16) char controls[US_BATCH][CONTROL];
  struct sock_one ones[US_BATCH];
  int i;
  for (i = 0; i < n; i++) {
    ones[i].iov =
      (struct iovec){us_room + (size_t)i * US_DATAGRAM, US_DATAGRAM};
    ones[i].control = c->wild ? controls[i] : NULL;
    ones[i].controllen = c->wild ? CONTROL : 0;
  }
  n = sock_recvmany(c->fd, ones, n);
  for (i = 0; i < n; i++)
    received(c, &ones[i]);
  if (n > 0)
    us_busy();
  return n;
}

/* As many are asked for as came before, and some: to ask for many that do not
 * come costs, too. */
bool us_carrier_pump(struct us_carrier *c) {
  int left = US_BATCH * ROUNDS, n, asked;
  while (left > 0) {
    asked = c->batch < FEW ? FEW : c->batch;
    n = take(c, asked);
    if (n == -EAGAIN || n == -EBADF)
      return false;
    if (n < 0)
      us_carrier_errors(c);
    else
      c->batch = 2 * n < US_BATCH ? 2 * n : US_BATCH;
    if (n >= 0 && n < asked)
      return false;
    left -= n < 0 ? FEW : n;
  }
  return true;
}

/* ---- opening, closing ---- */

int us_carrier_open(struct us_carrier *c, struct us_home *h, int fd, int family,
                    bool raw, bool wild, unsigned max_peers) {
  static uint64_t serial;
  int err;
  memset(c, 0, sizeof *c);
  list_init(&c->node);
  list_init(&c->ends);
  list_init(&c->closing);
  c->fd = -1;
  if (!us_enter(h))
    return US_FORKED;
  err = us_begin();
  if (err == 0) {
    c->home = h;
    c->serial = ++serial;
    c->fd = fd;
    c->family = family;
    c->raw = raw;
    c->wild = wild;
    c->max_peers = max_peers;
    c->ephemeral = (uint16_t)(us_digest(&c->serial, sizeof c->serial) | 49152);
    list_append(&h->carriers, &c->node);
  }
  us_leave();
  return err;
}

/* What was closed politely is awaited for a while; others have their turn. */
static bool await_closing(struct us_carrier *c, int patience) {
  int64_t until = us_now() + patience;
  bool here = true;
  while (here) {
    us_carrier_pump(c);
    us_tick();
    us_end_sweep(c);
    if (list_empty(&c->closing) || us_now() >= until)
      return true;
    us_leave();
    us_pause();
    here = us_enter(c->home);
  }
  return false;
}

void us_carrier_close(struct us_carrier *c, int patience) {
  if (c->fd < 0 || !us_enter(c->home)) {
    c->fd = -1;
    return;
  }
  if (!await_closing(c, patience))
    return;
  while (!list_empty(&c->ends))
    us_end_abort(container_of(c->ends.next, struct us_end, of));
  while (!list_empty(&c->closing))
    us_end_abort(container_of(c->closing.next, struct us_end, of));
  list_remove(&c->node);
  c->fd = -1;
  us_end();
  us_leave();
}
