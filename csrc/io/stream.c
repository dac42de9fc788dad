/* SPDX-License-Identifier: MIT */
#include "io/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "io/record.h"

enum {
  READ_STEP = 16 * 1024,   /* the least room that is asked for */
  READ_MOST = 1024 * 1024, /* and the most at once */
  MAX_BLOCKS = 64          /* in one gather write */
};

/* Descriptors may come with any byte: to read without taking them would lose
 * them. */
static ssize_t unix_read(struct stream *s, void *buf, size_t len) {
  int fds[FD_MAXPASS], nfds;
  ssize_t n = sys_recvfds(s->watch.fd, buf, len, fds, &nfds);
  if (n >= 0 && nfds != 0)
    passed_keep(s, fds, nfds, (size_t)n);
  return n;
}

/* ---- the descriptor, or the session over it ---- */

static ssize_t read_some(struct stream *s, void *buf, size_t len) {
  ssize_t n;
  s->want = POLLER_IN;
  if (s->session != NULL) {
    n = s->session->ops->read(s->session, buf, len);
    s->want = s->session->want;
    return n;
  }
  switch (s->kind) {
  case FD_SOCKET:
    return sys_recv(s->watch.fd, buf, len);
  case FD_UNIX:
    return unix_read(s, buf, len);
  default:
    return sys_read(s->watch.fd, buf, len);
  }
}

static ssize_t write_some(struct stream *s, const struct iovec *iov, int n) {
  ssize_t sent;
  s->want = POLLER_OUT;
  if (s->session != NULL) {
    sent = s->session->ops->write(s->session, iov, n);
    s->want = s->session->want;
    return sent;
  }
  if (s->kind > FD_UNIX)
    return sys_writev(s->watch.fd, iov, n);
  if (s->more) {
    s->more = false;
    return sys_sendmore(s->watch.fd, iov, n);
  }
  return n == 1 ? sys_send(s->watch.fd, iov->iov_base, iov->iov_len)
                : sys_sendv(s->watch.fd, iov, n);
}

int stream_shutdown(struct stream *s, int how) {
  if (s->session == NULL)
    return s->kind > FD_UNIX ? -ENOTSOCK : sys_shutdown(s->watch.fd, how);
  if (how != 1 && s->ended == 0)
    s->ended = ERR_EOF; /* nothing on the wire says it */
  return how == 0 ? 0 : s->session->ops->shutdown(s->session, how);
}

const char *stream_kindname(const struct stream *s) {
  static const char *const names[] = {[FD_SOCKET] = "socket",
                                      [FD_UNIX] = "unix socket",
                                      [FD_FILE] = "file",
                                      [FD_OTHER] = "descriptor"};
  return s->session != NULL ? s->session->ops->kind : names[s->kind];
}

/* ---- opening, closing ---- */

void stream_init(struct stream *s) {
  memset(s, 0, sizeof *s);
  watch_init(&s->watch, -1);
  lock_init(&s->reader);
  lock_init(&s->writer);
  s->timeout = SYS_FOREVER;
  s->maxline = 64 * 1024;
  s->maxread = 64 * 1024 * 1024;
}

void stream_open(struct stream *s, int fd, enum fd_kind kind,
                 bool shortdrains) {
  s->shortdrains = shortdrains;
  s->kind = (uint8_t)kind;
  s->watch.fd = fd;
  s->watch.ready = POLLER_IN | POLLER_OUT;
  s->watch.plain = kind == FD_FILE;
}

static void reported(void *owner, unsigned ready) {
  struct stream *s = owner;
  loop_report(s->loop, &s->watch, ready);
}

int stream_openover(struct stream *s, struct channel *c, int fd) {
  int pair[2];
  bool hollow = fd < 0;
  if (hollow) {
    int err = sys_eventfd(pair);
    if (err < 0)
      return err;
    if (pair[1] != pair[0])
      sys_close(pair[1]);
    fd = pair[0];
    c->report = reported;
  }
  c->owner = s;
  stream_open(s, fd, FD_OTHER, false);
  s->watch.hollow = hollow;
  if (hollow && c->drained) /* it will tell when it is not */
    s->watch.ready = POLLER_OUT;
  s->session = c;
  return 0;
}

/* What carries the bytes in the end. */
static struct channel *bottom(const struct stream *s) {
  struct channel *c = s->session;
  while (c != NULL && c->under != NULL)
    c = c->under;
  return c;
}

const char *stream_peer(const struct stream *s) {
  const struct channel *c = bottom(s);
  return c != NULL ? c->peer : NULL;
}

static void free_out(struct stream *s) {
  if (s->out != NULL)
    bytes_free(&s->out->queue);
  free(s->out);
  s->out = NULL;
}

int stream_buffer(struct stream *s, enum stream_buffering how, uint32_t room) {
  if (s->out == NULL && how == BUFFER_NO)
    return 0;
  if (s->out == NULL && (s->out = calloc(1, sizeof *s->out)) == NULL)
    return -ENOMEM;
  s->out->buffering = (uint8_t)how;
  s->out->room = room;
  if (how == BUFFER_NO && stream_queued(s) == 0)
    free_out(s);
  return 0;
}

static void leave(struct stream *s, struct loop *l, bool closing) {
  loop_drop(l, &s->watch, closing, ERR_CLOSED);
  loop_unlock(l, &s->reader, ERR_CLOSED);
  loop_unlock(l, &s->writer, ERR_CLOSED);
  if (s->blocked)
    sys_block(s->watch.fd);
  s->watch.fd = -1;
  bytes_free(&s->in);
  free_out(s);
  passed_free(s);
}

void stream_detach(struct stream *s, struct loop *l) {
  leave(s, l, false);
}

/* A kernel that encrypts sends what it still holds, and signals where that is
 * in vain (seen with Linux 6.1). */
static int close_guarded(int fd) {
  struct sys_guard g;
  int err;
  sys_guard_begin(&g);
  err = sys_close(fd);
  sys_guard_end(&g, true);
  return err;
}

int stream_close(struct stream *s, struct loop *l) {
  int fd = s->watch.fd;
  bool direct = s->session != NULL && s->session->direct;
  if (fd < 0)
    return 0;
  if (s->session != NULL) {
    bottom(s)->report = NULL;
    s->session->ops->close(s->session, loop_forked(l));
  }
  s->session = NULL;
  leave(s, l, true);
  return direct ? close_guarded(fd) : sys_close(fd);
}

/* ---- receiving ---- */

/* Where the next bytes go: the shared scratch buffer while the queue is short
 * lived, memory of its own for what is long. Returns room, or -ENOMEM. */
static ssize_t make_room(struct stream *s, struct scratch *scratch,
                         size_t hint) {
  struct bytes *in = &s->in;
  size_t len = bytes_len(in);
  if (len == 0 && hint <= SCRATCH_SIZE) {
    if (bytes_borrow(in, scratch) < 0)
      return -ENOMEM;
  } else if (in->lent && len + READ_STEP <= SCRATCH_SIZE &&
             len + hint <= SCRATCH_SIZE) {
    memmove(in->data, bytes_head(in), len);
    in->head = 0;
    in->tail = (uint32_t)len;
  } else {
    size_t more = hint < READ_STEP ? READ_STEP : hint;
    if (bytes_reserve(in, more < READ_MOST ? more : READ_MOST) < 0)
      return -ENOMEM;
  }
  return (ssize_t)(in->room - in->tail);
}

static bool took_all(const struct stream *s, size_t n, size_t asked) {
  return s->session != NULL ? s->session->drained : s->shortdrains && n < asked;
}

/* An edge is reported once: so whether more is there must be known. */
static void after_read(struct stream *s, ssize_t n, size_t asked) {
  struct watch *at = &s->watch;
  unsigned special = POLLER_HUP | POLLER_ERR | POLLER_PRI;
  if (n == -EAGAIN && s->session != NULL && s->session->more)
    return;
  if (n == -EAGAIN) {
    at->ready &= (uint8_t) ~(POLLER_IN | POLLER_ERR | POLLER_PRI | POLLER_HUP);
    loop_unreport(at);
  } else if (n > 0 && !(at->ready & special) && took_all(s, (size_t)n, asked))
    at->ready &= (uint8_t)~POLLER_IN;
}

/* The failures after which there is nothing more to read. */
static bool is_final(ssize_t err) {
  return err != -EAGAIN && err != -ENOMEM && err != -ENOBUFS;
}

ssize_t stream_fill(struct stream *s, struct scratch *scratch, size_t hint) {
  ssize_t room, n;
  if (s->ended != 0)
    return s->ended;
  if (!(s->watch.ready & ~(unsigned)POLLER_OUT)) {
    s->want = POLLER_IN;
    return -EAGAIN;
  }
  room = make_room(s, scratch, hint);
  if (room < 0)
    return room;
  n = read_some(s, s->in.data + s->in.tail, (size_t)room);
  after_read(s, n, (size_t)room);
  if (n > 0) {
    s->in.tail += (uint32_t)n;
    s->received += (uint64_t)n;
    return n;
  }
  if (bytes_len(&s->in) == 0)
    bytes_free(&s->in);
  if (n == 0 || is_final(n))
    s->ended = n == 0 ? ERR_EOF : (int)n;
  return n == 0 ? ERR_EOF : n;
}

/* ---- records ---- */

ssize_t stream_fillrecord(struct stream *s, struct scratch *scratch,
                          struct record *r, char **at) {
  struct channel *c = s->session;
  ssize_t room, n;
  if (s->ended != 0)
    return s->ended;
  if (!(s->watch.ready & ~(unsigned)POLLER_OUT)) {
    s->want = POLLER_IN;
    return -EAGAIN;
  }
  room = make_room(s, scratch, 1);
  if (room < 0)
    return room;
  *at = s->in.data + s->in.tail;
  n = c->ops->receive(c, *at, (size_t)room, r);
  s->want = c->want;
  after_read(s, n, (size_t)room);
  if (n <= 0 && bytes_len(&s->in) == 0)
    bytes_free(&s->in);
  if (n == 0 && r->flags & RECORD_EMPTY)
    return 0;
  if (n == 0 || (n < 0 && is_final(n)))
    s->ended = n == 0 ? ERR_EOF : (int)n;
  return n == 0 ? ERR_EOF : n;
}

void stream_keep(struct stream *s, size_t n) {
  s->in.tail += (uint32_t)n;
}

ssize_t stream_sendrecord(struct stream *s, const struct iovec *iov, int n,
                          const struct record *r) {
  struct channel *c = s->session;
  ssize_t sent;
  if (!(s->watch.ready & (POLLER_OUT | POLLER_HUP | POLLER_ERR))) {
    s->want = POLLER_OUT;
    return -EAGAIN;
  }
  sent = c->ops->send(c, iov, n, r);
  s->want = c->want;
  if (sent == -EAGAIN)
    s->watch.ready &= (uint8_t)~POLLER_OUT;
  else if (sent > 0)
    s->sent += (uint64_t)sent;
  return sent;
}

/* ---- sending ---- */

/* One gather write: the queue first. Returns what the channel took. */
static ssize_t send_queued(struct stream *s, const struct iovec *iov, int n) {
  struct iovec all[MAX_BLOCKS];
  int count = 1;
  all[0] = (struct iovec){bytes_head(&s->out->queue), stream_queued(s)};
  while (count < MAX_BLOCKS && count <= n) {
    all[count] = iov[count - 1];
    count++;
  }
  return write_some(s, all, count);
}

static int flush_session(struct stream *s) {
  int err = s->session->ops->flush(s->session);
  s->want = s->session->want;
  if (err == -EAGAIN)
    s->watch.ready &= (uint8_t)~POLLER_OUT;
  return err;
}

ssize_t stream_send(struct stream *s, const struct iovec *iov, int n) {
  size_t queued = stream_queued(s);
  ssize_t sent;
  if (!(s->watch.ready & (POLLER_OUT | POLLER_HUP | POLLER_ERR))) {
    s->want = POLLER_OUT;
    return -EAGAIN;
  }
  if (s->session != NULL && s->session->held > 0) {
    int err = flush_session(s);
    if (err < 0)
      return err;
  }
  if (queued == 0 && n == 0)
    return 0;
  sent = queued > 0 ? send_queued(s, iov, n) : write_some(s, iov, n);
  if (sent == -EAGAIN)
    s->watch.ready &= (uint8_t)~POLLER_OUT;
  if (sent < 0)
    return sent;
  s->sent += (uint64_t)sent;
  if (queued == 0)
    return sent;
  bytes_consume(&s->out->queue, (size_t)sent < queued ? (size_t)sent : queued);
  return (size_t)sent > queued ? sent - (ssize_t)queued : 0;
}
