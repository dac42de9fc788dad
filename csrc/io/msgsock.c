/* SPDX-License-Identifier: MIT */
#include "io/msgsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "sys/fd.h"
#include "sys/sockopt.h"

enum { ERROR_DATA = 2048, ERROR_CONTROL = 512 };

void msgsock_init(struct msgsock *s, enum msgsock_kind kind) {
  memset(s, 0, sizeof *s);
  watch_init(&s->watch, -1);
  lock_init(&s->reader);
  lock_init(&s->writer);
  lock_init(&s->watcher);
  s->timeout = SYS_FOREVER;
  s->kind = (uint8_t)kind;
  s->maxmessage =
    kind == MSGSOCK_UNIX || kind == MSGSOCK_SEQPACKET ? 256 << 10 : 64 << 10;
}

void msgsock_open(struct msgsock *s, int fd, int family) {
  watch_init(&s->watch, fd);
  s->watch.ready = POLLER_IN | POLLER_OUT; /* found out by trying */
  s->watch.level = true;
  s->family = (uint16_t)family;
}

const char *msgsock_kindname(const struct msgsock *s) {
  static const char *const names[] = {"udp", "unix",   "seqpacket",
                                      "raw", "packet", "tun"};
  return names[s->kind];
}

static int set(struct msgsock *s, const char *name, bool on) {
  const struct sockopt *o = sockopt_find(name);
  struct optvalue v = {.on = on, .number = on};
  return o != NULL ? sockopt_set(s->watch.fd, o, &v) : -ENOPROTOOPT;
}

/* What was put together says so only as long as it is on. */
int msgsock_setgro(struct msgsock *s, bool on) {
  int err = set(s, "UDP_GRO", on);
  if (err < 0 || on || !sock_readable(s->watch.fd))
    return err;
  err = set(s, "UDP_GRO", true);
  return err < 0 ? err : -EAGAIN;
}

bool msgsock_getgro(const struct msgsock *s) {
  const struct sockopt *o = sockopt_find("UDP_GRO");
  struct optvalue v = {.on = false};
  return o != NULL && sockopt_get(s->watch.fd, o, &v) == 0 && v.on;
}

/* A socket for both families tells of IPv4's datagrams by IPv4's options. */
void msgsock_askinfo(struct msgsock *s) {
  static const struct {
    const char *name;
    int family;
  } asked[] = {
    {"IP_PKTINFO",        0       },
    {"IP_RECVTTL",        0       },
    {"IP_RECVTOS",        0       },
    {"IPV6_RECVPKTINFO",  AF_INET6},
    {"IPV6_RECVHOPLIMIT", AF_INET6},
    {"IPV6_RECVTCLASS",   AF_INET6},
  };
  size_t i;
  for (i = 0; i < countof(asked); i++)
    if (asked[i].family == 0 || asked[i].family == s->family)
      set(s, asked[i].name, true);
}

/* ---- errors ---- */

/* The next of the kernel's, or NULL and *err. */
static struct msgerror *fetch(struct msgsock *s, int *err) {
  _Alignas(16) char control[ERROR_CONTROL];
  char data[ERROR_DATA];
  struct iovec iov = {data, sizeof data};
  struct sock_msg m = {
    .iov = &iov, .niov = 1, .control = control, .controllen = sizeof control};
  struct cmsg_item item;
  struct msgerror *e;
  size_t at = 0, len;
  ssize_t n = sock_recverror(s->watch.fd, &m);
  *err = n < 0 ? (int)n : 0;
  if (n < 0)
    return NULL;
  len = (size_t)n < sizeof data ? (size_t)n : sizeof data;
  e = malloc(sizeof *e + len);
  if (e == NULL) {
    *err = -ENOMEM;
    return NULL;
  }
  memset(e, 0, sizeof *e);
  memcpy(e->data, data, len);
  e->len = len;
  e->to = m.addr;
  while (cmsg_next(control, m.controllen, &at, &item)) {
    const struct cmsg_row *row = cmsg_find(item.level, item.type);
    if (row != NULL && row->kind == CMSG_KIND_ERROR)
      cmsg_decode(row, &item, &e->why);
  }
  return e;
}

static void keep(struct msgsock *s, struct msgerror *e) {
  struct msgerror **last = &s->errors;
  while (*last != NULL)
    last = &(*last)->next;
  *last = e;
  s->nerrors++;
}

void msgsock_calm(struct msgsock *s) {
  struct msgerror *e;
  int err;
  if (!(s->watch.ready & POLLER_ERR))
    return;
  s->watch.ready &= (uint8_t)~POLLER_ERR;
  while ((e = fetch(s, &err)) != NULL) {
    if (s->errqueue && s->nerrors < MSGSOCK_MAXERRORS)
      keep(s, e);
    else
      free(e);
  }
  if (s->errors != NULL && s->errwatch != NULL && s->errwatch->rd != NULL)
    loop_wake(s->loop, s->errwatch->rd, 0);
}

int msgsock_watcherrors(struct msgsock *s) {
  int fd;
  if (s->errwatch != NULL)
    return 0;
  fd = sys_dup(s->watch.fd);
  if (fd < 0)
    return fd;
  s->errwatch = malloc(sizeof *s->errwatch);
  if (s->errwatch == NULL) {
    sys_close(fd);
    return -ENOMEM;
  }
  watch_init(s->errwatch, fd);
  s->errwatch->level = true;
  s->watch.shared = true;
  return 0;
}

static void unwatch_errors(struct msgsock *s) {
  if (s->errwatch == NULL)
    return;
  loop_drop(s->loop, s->errwatch, false, ERR_CLOSED);
  sys_close(s->errwatch->fd);
  free(s->errwatch);
  s->errwatch = NULL;
}

/* One for which the queue had no room is known by its number alone. */
static struct msgerror *unqueued(struct msgsock *s, int *err) {
  struct msgerror *e;
  int number = sys_error(s->watch.fd);
  if (number == 0)
    return NULL;
  e = calloc(1, sizeof *e);
  if (e == NULL)
    *err = -ENOMEM;
  else
    e->why.number = -number;
  return e;
}

struct msgerror *msgsock_takeerror(struct msgsock *s, int *err) {
  struct msgerror *e = s->errors;
  unsigned told = s->errwatch != NULL ? s->errwatch->ready : 0;
  if (e == NULL) {
    e = fetch(s, err);
    if (e != NULL || *err != -EAGAIN || told == 0)
      return e;
    s->errwatch->ready = 0;
    if (told & POLLER_HUP)
      *err = ERR_EOF;
    return told & POLLER_ERR ? unqueued(s, err) : NULL;
  }
  s->errors = e->next;
  s->nerrors--;
  return e;
}

static void free_errors(struct msgsock *s) {
  while (s->errors != NULL) {
    struct msgerror *e = s->errors;
    s->errors = e->next;
    free(e);
  }
  s->nerrors = 0;
}

/* ---- messages ---- */

static ssize_t recv_device(struct msgsock *s, struct sock_msg *m) {
  m->addr.len = 0;
  m->controllen = 0;
  m->flags = 0;
  return sys_read(s->watch.fd, m->iov->iov_base, m->iov->iov_len);
}

/* An error that waits is reported once, to whichever call comes next. Without
 * a peer it says nothing of that call, and it is in the queue of errors. */
static bool of_another(const struct msgsock *s, ssize_t n) {
  return n < 0 && n != -EAGAIN && s->errqueue && !s->connected;
}

static ssize_t recv_once(struct msgsock *s, struct sock_msg *m) {
  int flags = s->family == AF_UNIX ? SOCK_TRUELEN | SOCK_FDSAFE : SOCK_TRUELEN;
  return m->controllen > 0 ? sock_recv(s->watch.fd, m, flags)
                           : sock_recvplain(s->watch.fd, m, SOCK_TRUELEN);
}

ssize_t msgsock_recv(struct msgsock *s, struct sock_msg *m) {
  size_t room = m->controllen;
  ssize_t n;
  if (s->kind == MSGSOCK_TUN)
    return recv_device(s, m);
  n = recv_once(s, m);
  if (of_another(s, n)) {
    m->controllen = room;
    n = recv_once(s, m);
  }
  if (n == 0 && s->kind == MSGSOCK_SEQPACKET && m->controllen == 0)
    return ERR_EOF;
  return n;
}

ssize_t msgsock_send(struct msgsock *s, const struct sock_msg *m) {
  ssize_t n;
  if (s->kind == MSGSOCK_TUN)
    return sys_writev(s->watch.fd, m->iov, (int)m->niov);
  n = sock_send(s->watch.fd, m, 0);
  if (of_another(s, n))
    n = sock_send(s->watch.fd, m, 0);
  return n;
}

int msgsock_recvmany(struct msgsock *s, struct sock_one *ones, int n) {
  int got = sock_recvmany(s->watch.fd, ones, n);
  return of_another(s, got) ? sock_recvmany(s->watch.fd, ones, n) : got;
}

int msgsock_sendmany(struct msgsock *s, const struct iovec *iov,
                     const struct addr *to, bool each, int n) {
  int sent = sock_sendmany(s->watch.fd, iov, to, each, n);
  return of_another(s, sent) ? sock_sendmany(s->watch.fd, iov, to, each, n)
                             : sent;
}

int msgsock_leave(struct msgsock *s, bool closing) {
  int fd = s->watch.fd;
  if (fd < 0)
    return fd;
  loop_drop(s->loop, &s->watch, closing, ERR_CLOSED);
  loop_unlock(s->loop, &s->reader, ERR_CLOSED);
  loop_unlock(s->loop, &s->writer, ERR_CLOSED);
  unwatch_errors(s);
  loop_unlock(s->loop, &s->watcher, ERR_CLOSED);
  s->watch.fd = -1;
  free_errors(s);
  if (s->own != NULL && closing && !loop_forked(s->loop))
    ownpath_unlink(s->own);
  free(s->own);
  s->own = NULL;
  return fd;
}
