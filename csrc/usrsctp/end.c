/* SPDX-License-Identifier: MIT */
#include "usrsctp/end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <usrsctp.h>

#include "base/util.h"
#include "usrsctp/channel.h"
#include "usrsctp/link.h"

enum { PATIENCE = 60000 }; /* milliseconds, for an association to end */

/* ---- what happens ---- */

static void mark(struct us_end *e) {
  struct us_home *h = e->carrier->home;
  if (list_empty(&e->marked))
    list_append(&h->marked, &e->marked);
  if (!us_is_current(h))
    us_ring(h);
}

/* usrsctp must not be called from here. */
static void upcall(struct socket *so, void *arg, int flags) {
  (void)so;
  (void)flags;
  mark(arg);
}

/* ---- making ---- */

static int set(struct us_end *e, int option, const void *value, size_t len) {
  return usrsctp_setsockopt(e->so, IPPROTO_SCTP, option, value,
                            (socklen_t)len) < 0
           ? -errno
           : 0;
}

static int subscribe(struct us_end *e, uint16_t type) {
  struct sctp_event event = {
    .se_assoc_id = SCTP_FUTURE_ASSOC, .se_type = type, .se_on = 1};
  return set(e, SCTP_EVENT, &event, sizeof event);
}

static struct us_end *make(struct us_carrier *c, enum us_kind kind,
                           struct socket *so) {
  struct us_end *e = calloc(1, sizeof *e);
  if (e == NULL)
    return NULL;
  list_init(&e->marked);
  list_init(&e->with);
  list_init(&e->queue);
  e->so = so;
  e->carrier = c;
  e->kind = kind;
  e->eor = true;
  list_append(&c->ends, &e->of);
  usrsctp_set_non_blocking(so, 1);
  usrsctp_set_upcall(so, upcall, e);
  return e;
}

static int bind_to(struct us_end *e, uint16_t wire) {
  struct sockaddr_conn name = {.sconn_family = AF_CONN};
  int err = 0;
  e->port = us_port_take(e->carrier, wire, &err);
  if (e->port == NULL)
    return err;
  name.sconn_port = htons(e->port->inner);
  if (usrsctp_bind(e->so, (struct sockaddr *)&name, sizeof name) < 0)
    return -errno;
  e->port->owner = e;
  return 0;
}

static int configure(struct us_end *e) {
  int on = 1, err = set(e, SCTP_EXPLICIT_EOR, &on, sizeof on);
  if (err == 0)
    err = set(e, SCTP_RECVRCVINFO, &on, sizeof on);
  if (err == 0)
    err = subscribe(e, SCTP_PARTIAL_DELIVERY_EVENT);
  return err;
}

struct us_end *us_end_open(struct us_carrier *c, enum us_kind kind,
                           uint16_t wire, int *err) {
  int type = kind == US_MANY ? SOCK_SEQPACKET : SOCK_STREAM;
  struct socket *so =
    usrsctp_socket(AF_CONN, type, IPPROTO_SCTP, NULL, NULL, 0, NULL);
  struct us_end *e;
  if (so == NULL) {
    *err = -errno;
    return NULL;
  }
  e = make(c, kind, so);
  if (e == NULL) {
    usrsctp_close(so);
    *err = -ENOMEM;
    return NULL;
  }
  *err = configure(e);
  if (*err == 0)
    *err = bind_to(e, wire);
  if (*err == 0)
    return e;
  us_end_abort(e);
  return NULL;
}

/* ---- who is at the other end ---- */

static void meet(struct us_end *e, struct us_peer *p, uint16_t remote) {
  e->peer = p;
  e->remote = remote;
  list_append(&p->ends, &e->with);
}

/* ---- associations ---- */

int us_end_connect(struct us_end *e, const struct addr *to, uint16_t remote) {
  struct us_peer *p = us_peer_hold(e->carrier, to);
  struct sockaddr_conn name;
  if (p == NULL)
    return -ENOBUFS;
  us_tick();
  p->error = 0;
  us_end_name(&name, p, remote);
  if (e->kind == US_MANY)
    us_link_add(e, p, remote);
  else
    meet(e, p, remote);
  if (e->kind == US_MANY)
    us_peer_drop(p);
  e->connecting = e->kind != US_MANY;
  if (usrsctp_connect(e->so, (struct sockaddr *)&name, sizeof name) < 0 &&
      errno != EINPROGRESS)
    return -errno;
  return 0;
}

int us_end_settle(struct us_end *e) {
  int events, err = 0;
  socklen_t len = sizeof err;
  if (!e->connecting)
    return 0;
  if (e->error != 0)
    return -e->error;
  events = usrsctp_get_events(e->so);
  if (events & SCTP_EVENT_ERROR) {
    usrsctp_getsockopt(e->so, SOL_SOCKET, SO_ERROR, &err, &len);
    return err > 0 ? -err : -ECONNREFUSED;
  }
  if (!(events & SCTP_EVENT_WRITE))
    return -EAGAIN;
  e->connecting = false;
  return 0;
}

int us_end_listen(struct us_end *e, unsigned backlog) {
  e->backlog = backlog;
  return usrsctp_listen(e->so, (int)backlog) < 0 ? -errno : 0;
}

bool us_end_hasroom(const struct us_end *owner) {
  return owner->kind != US_LISTENER || owner->waiting < owner->backlog;
}

static void drop_socket(struct socket *so) {
  struct linger now = {1, 0};
  usrsctp_setsockopt(so, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  usrsctp_close(so);
}

/* One that came to a listener: it waits there. */
static void enter(struct us_end *listener, struct socket *so,
                  const struct sockaddr_conn *from) {
  struct us_peer *p = us_peer_find(from->sconn_addr);
  struct us_end *e = p != NULL ? make(listener->carrier, US_STREAM, so) : NULL;
  if (e == NULL) {
    drop_socket(so);
    return;
  }
  p->refs++;
  meet(e, p, ntohs(from->sconn_port));
  e->port = listener->port;
  e->port->refs++;
  e->events = listener->events;
  e->sndbuf = listener->sndbuf;
  list_append(&listener->queue, &e->queue);
  listener->waiting++;
  listener->carrier->home->arrived = true;
}

static void accept_all(struct us_end *listener) {
  struct sockaddr_conn from;
  struct socket *so;
  socklen_t len = sizeof from;
  memset(&from, 0, sizeof from);
  while ((so = usrsctp_accept(listener->so, (struct sockaddr *)&from, &len)) !=
         NULL) {
    enter(listener, so, &from);
    len = sizeof from;
  }
}

void us_end_entered(struct us_end *owner, struct us_peer *p, uint16_t remote) {
  if (owner->kind == US_LISTENER)
    accept_all(owner);
  else if (owner->kind == US_MANY && us_end_association(owner, p, remote) != 0)
    us_link_add(owner, p, remote);
}

struct us_end *us_end_accept(struct us_end *e) {
  struct us_end *next;
  if (list_empty(&e->queue))
    return NULL;
  next = container_of(e->queue.next, struct us_end, queue);
  list_remove(&next->queue);
  e->waiting--;
  return next;
}

struct us_end *us_end_peeloff(struct us_end *e, uint32_t association,
                              int *err) {
  struct us_link *l = us_end_link(e, association);
  struct socket *so = NULL;
  struct us_end *made;
  *err = -ENOENT;
  if (l != NULL && (so = usrsctp_peeloff(e->so, association)) == NULL)
    *err = -errno;
  if (so == NULL)
    return NULL;
  made = make(e->carrier, US_STREAM, so);
  if (made == NULL) {
    drop_socket(so);
    *err = -ENOMEM;
    return NULL;
  }
  l->peer->refs++;
  meet(made, l->peer, l->remote);
  made->port = e->port;
  made->port->refs++;
  made->events = e->events;
  made->sndbuf = e->sndbuf;
  us_link_sweep(e);
  return made;
}

/* ---- the end ---- */

static void free_end(struct us_end *e) {
  struct us_carrier *c = e->carrier;
  list_remove(&e->of);
  list_remove(&e->marked);
  list_remove(&e->with);
  if (e->kind != US_LISTENER)
    list_remove(&e->queue);
  us_link_free(e);
  if (e->port != NULL && e->port->owner == e)
    e->port->owner = NULL;
  if (e->port != NULL)
    us_port_drop(e->port);
  if (e->peer != NULL)
    us_peer_drop(e->peer);
  free(e);
  if (list_empty(&c->ends) && list_empty(&c->closing)) {
    c->home->emptied = true;
    us_ring(c->home);
  }
}

void us_end_abort(struct us_end *e) {
  struct us_end *waiting;
  while (e->kind == US_LISTENER && (waiting = us_end_accept(e)) != NULL)
    us_end_abort(waiting);
  if (e->face != NULL)
    e->face->end = NULL;
  usrsctp_set_upcall(e->so, NULL, NULL);
  drop_socket(e->so);
  free_end(e);
}

/* What comes now is received by nobody. Returns whether there was any. */
static bool discard(struct us_end *e) {
  char bytes[4096];
  bool data = false;
  for (;;) {
    struct sctp_rcvinfo info;
    socklen_t len = sizeof info;
    unsigned type = 0;
    int flags = 0;
    ssize_t n = usrsctp_recvv(e->so, bytes, sizeof bytes, NULL, NULL, &info,
                              &len, &type, &flags);
    if (n <= 0)
      return data;
    data = data || !(flags & MSG_NOTIFICATION);
  }
}

void us_end_close(struct us_end *e) {
  if (e->face != NULL)
    e->face->end = NULL;
  e->face = NULL;
  if (e->kind == US_LISTENER || e->connecting || discard(e) ||
      us_end_isover(e)) {
    us_end_abort(e);
    return;
  }
  if (e->kind == US_MANY)
    us_link_finish(e);
  else
    usrsctp_shutdown(e->so, SHUT_WR);
  e->deadline = us_now() + PATIENCE;
  if (e->port->owner == e)
    e->port->owner = NULL;
  list_remove(&e->of);
  list_append(&e->carrier->closing, &e->of);
  us_ring(e->carrier->home);
}

static void sweep(struct us_end *e) {
  discard(e);
  if (us_end_isover(e) || us_now() >= e->deadline)
    us_end_abort(e);
}

/* Of one for many usrsctp knows no room: each association has its own. Whoever
 * waits tries again. */
void us_end_eases(struct us_end *e) {
  if (e->full)
    mark(e);
}

static void tell(struct us_end *e) {
  int events = usrsctp_get_events(e->so);
  unsigned ready = e->full ? CHANNEL_OUT : 0;
  e->full = false;
  if (events & (SCTP_EVENT_READ | SCTP_EVENT_ERROR) || e->error != 0)
    ready |= CHANNEL_IN;
  if (events & (SCTP_EVENT_WRITE | SCTP_EVENT_ERROR) || e->error != 0)
    ready |= CHANNEL_OUT;
  if (ready != 0 && e->face != NULL && e->face->base.report != NULL)
    e->face->base.report(e->face->base.owner, ready);
}

/* usrsctp makes no upcall for all that it notifies of. */
void us_end_sweep(struct us_carrier *c) {
  struct list *at = c->closing.next, *next;
  for (; at != &c->closing; at = next) {
    next = at->next;
    sweep(container_of(at, struct us_end, of));
  }
  for (at = c->ends.next; at != &c->ends; at = at->next) {
    struct us_end *e = container_of(at, struct us_end, of);
    if (e->kind == US_MANY)
      us_link_sweep(e);
    if (e->events != 0 && e->kind != US_LISTENER)
      tell(e);
  }
}

/* ---- telling ---- */

/* An association that is there survives what may be over soon, or is not true:
 * it is what is said when it is lost. One that is not yet there fails. */
void us_end_trouble(struct us_peer *p, int number) {
  struct list *at;
  if (number != ECONNREFUSED && number != EHOSTUNREACH &&
      number != ENETUNREACH && number != EACCES && number != EPERM)
    return;
  p->error = number;
  for (at = p->ends.next; at != &p->ends; at = at->next) {
    struct us_end *e = container_of(at, struct us_end, with);
    if (!e->connecting)
      continue;
    e->error = number;
    mark(e);
  }
}

void us_deliver(struct us_home *h) {
  while (!list_empty(&h->marked)) {
    struct us_end *e = container_of(h->marked.next, struct us_end, marked);
    list_remove(&e->marked);
    if (e->deadline != 0)
      sweep(e);
    else if (e->kind == US_LISTENER)
      accept_all(e);
    else
      tell(e);
  }
}
