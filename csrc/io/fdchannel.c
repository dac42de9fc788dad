/* SPDX-License-Identifier: MIT */
#include "io/fdchannel.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

struct fdchannel {
  struct channel base;
  int fd;
  enum fd_kind kind;
  bool shortdrains; /* as a stream has it */
};

static ssize_t fd_read(struct channel *c, void *buf, size_t len) {
  struct fdchannel *f = container_of(c, struct fdchannel, base);
  ssize_t n =
    f->kind <= FD_UNIX ? sys_recv(f->fd, buf, len) : sys_read(f->fd, buf, len);
  c->want = CHANNEL_IN;
  c->drained = f->shortdrains && n > 0 && (size_t)n < len;
  return n;
}

static ssize_t fd_write(struct channel *c, const struct iovec *iov, int n) {
  struct fdchannel *f = container_of(c, struct fdchannel, base);
  c->want = CHANNEL_OUT;
  if (f->kind > FD_UNIX)
    return sys_writev(f->fd, iov, n);
  return n == 1 ? sys_send(f->fd, iov->iov_base, iov->iov_len)
                : sys_sendv(f->fd, iov, n);
}

static int fd_shutdown(struct channel *c, int how) {
  struct fdchannel *f = container_of(c, struct fdchannel, base);
  return f->kind <= FD_UNIX ? sys_shutdown(f->fd, how) : -ENOTSOCK;
}

static long fd_guarded(struct channel *c, long (*call)(void *arg, int fd),
                       void *arg) {
  struct fdchannel *f = container_of(c, struct fdchannel, base);
  struct sys_guard g;
  long result;
  sys_guard_begin(&g);
  result = call(arg, f->fd);
  sys_guard_end(&g, true);
  return result;
}

static void fd_close(struct channel *c, bool quiet) {
  (void)quiet;
  free(container_of(c, struct fdchannel, base));
}

static const struct channel_ops fd_ops = {
  .kind = "descriptor",
  .read = fd_read,
  .write = fd_write,
  .shutdown = fd_shutdown,
  .close = fd_close,
  .guarded = fd_guarded,
};

struct channel *fdchannel_new(int fd, enum fd_kind kind, bool shortdrains) {
  struct fdchannel *f = calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  f->base.magic = CHANNEL_MAGIC;
  f->base.version = CHANNEL_VERSION;
  f->base.size = sizeof f->base;
  f->base.ops = &fd_ops;
  f->fd = fd;
  f->kind = kind;
  f->shortdrains = shortdrains;
  return &f->base;
}
