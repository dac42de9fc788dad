/* SPDX-License-Identifier: MIT */
#include "sys/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "sys/fd.h"

static int result(int n) {
  return n == -1 ? -errno : n;
}

#ifndef SOCK_CLOEXEC
static int prepare(int fd) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
    return -errno;
  return sys_nonblock(fd);
}
#endif

int sock_open(int family, int type, int protocol) {
#ifdef SOCK_CLOEXEC
  return result(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
#else
  int err, fd = socket(family, type, protocol);
  if (fd == -1)
    return -errno;
  if ((err = prepare(fd)) < 0)
    sys_close(fd);
  return err < 0 ? err : fd;
#endif
}

int sock_pair(int family, int type, int protocol, int fds[2]) {
#ifdef SOCK_CLOEXEC
  type |= SOCK_CLOEXEC | SOCK_NONBLOCK;
  return result(socketpair(family, type, protocol, fds));
#else
  int err = result(socketpair(family, type, protocol, fds));
  if (err < 0)
    return err;
  if ((err = prepare(fds[0])) < 0 || (err = prepare(fds[1])) < 0) {
    sys_close(fds[0]);
    sys_close(fds[1]);
  }
  return err;
#endif
}

int sock_bind(int fd, const struct addr *a) {
  return result(bind(fd, &a->u.sa, a->len));
}

int sock_listen(int fd, int backlog) {
  return result(listen(fd, backlog));
}

/* After EINTR the connection goes on, as after EINPROGRESS. */
int sock_connect(int fd, const struct addr *a) {
  int err = result(connect(fd, &a->u.sa, a->len));
  return err == -EINTR ? -EINPROGRESS : err;
}

int sock_disconnect(int fd) {
  struct sockaddr none;
  memset(&none, 0, sizeof none);
  none.sa_family = AF_UNSPEC;
  return result(connect(fd, &none, sizeof none));
}

static void clip(struct addr *a) {
  if (a->len > sizeof a->u)
    a->len = sizeof a->u;
}

int sock_accept(int fd, struct addr *a) {
  int n;
  do {
    if (a != NULL)
      a->len = sizeof a->u;
#ifdef SOCK_CLOEXEC
    n = accept4(fd, a != NULL ? &a->u.sa : NULL, a != NULL ? &a->len : NULL,
                SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
    n = accept(fd, a != NULL ? &a->u.sa : NULL, a != NULL ? &a->len : NULL);
#endif
  } while (n == -1 && errno == EINTR);
  if (n == -1)
    return -errno;
  if (a != NULL)
    clip(a);
#ifndef SOCK_CLOEXEC
  prepare(n);
#endif
  return n;
}

int sock_name(int fd, struct addr *a) {
  int err;
  a->len = sizeof a->u;
  err = result(getsockname(fd, &a->u.sa, &a->len));
  clip(a);
  return err;
}

int sock_peername(int fd, struct addr *a) {
  int err;
  a->len = sizeof a->u;
  err = result(getpeername(fd, &a->u.sa, &a->len));
  clip(a);
  return err;
}

int sock_type(int fd) {
  int type = 0;
  socklen_t len = sizeof type;
  int err = result(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len));
  return err < 0 ? err : type;
}

bool sock_datagrams(int type) {
  return type != SOCK_STREAM && type != SOCK_SEQPACKET;
}

/* On a stream MSG_TRUNC would throw the bytes away. */
int sock_recvflags(int type, int flags) {
#ifdef __linux__
  return type == SOCK_STREAM ? flags : flags | MSG_TRUNC;
#else
  (void)type;
  return flags;
#endif
}

/* One block and nothing beside it: the kernel has less to copy. */
static ssize_t send_plain(int fd, const struct sock_msg *m, int flags) {
  const struct sockaddr *to = m->addr.len > 0 ? &m->addr.u.sa : NULL;
  ssize_t n;
  do
    n = sendto(fd, m->iov->iov_base, m->iov->iov_len, flags | MSG_NOSIGNAL, to,
               m->addr.len);
  while (n == -1 && errno == EINTR);
  return n == -1 ? -errno : n;
}

ssize_t sock_send(int fd, const struct sock_msg *m, int flags) {
  struct msghdr h = {.msg_iov = m->iov, .msg_iovlen = m->niov};
  ssize_t n;
  if (m->niov == 1 && m->controllen == 0)
    return send_plain(fd, m, flags);
  if (m->addr.len > 0) {
    h.msg_name = (void *)&m->addr.u;
    h.msg_namelen = m->addr.len;
  }
  if (m->controllen > 0) {
    h.msg_control = m->control;
    h.msg_controllen = m->controllen;
  }
  do
    n = sendmsg(fd, &h, flags | MSG_NOSIGNAL);
  while (n == -1 && errno == EINTR);
  return n == -1 ? -errno : n;
}

ssize_t sock_recvplain(int fd, struct sock_msg *m, int flags) {
  ssize_t n;
  m->addr.len = sizeof m->addr.u;
  do
    n = recvfrom(fd, m->iov->iov_base, m->iov->iov_len, flags, &m->addr.u.sa,
                 &m->addr.len);
  while (n == -1 && errno == EINTR);
  if (n == -1)
    return -errno;
  clip(&m->addr);
  m->flags = 0;
  return n;
}

ssize_t sock_recv(int fd, struct sock_msg *m, int flags) {
  struct msghdr h = {.msg_iov = m->iov,
                     .msg_iovlen = m->niov,
                     .msg_name = &m->addr.u,
                     .msg_namelen = sizeof m->addr.u,
                     .msg_control = m->control,
                     .msg_controllen = m->controllen};
  ssize_t n;
  do
    n = recvmsg(fd, &h, flags);
  while (n == -1 && errno == EINTR);
  if (n == -1)
    return -errno;
  m->addr.len = h.msg_namelen;
  clip(&m->addr);
  m->controllen = h.msg_controllen;
  m->flags = h.msg_flags;
  return n;
}

#ifdef MSG_CMSG_CLOEXEC
const int SOCK_FDSAFE = MSG_CMSG_CLOEXEC;
#else
const int SOCK_FDSAFE = 0;
#endif

#ifdef __linux__
const int SOCK_TRUELEN = MSG_TRUNC;
#else
const int SOCK_TRUELEN = 0;
#endif

ssize_t sock_recverror(int fd, struct sock_msg *m) {
#ifdef MSG_ERRQUEUE
  return sock_recv(fd, m, MSG_ERRQUEUE | MSG_TRUNC);
#else
  (void)fd;
  (void)m;
  return -EAGAIN;
#endif
}

bool sock_readable(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  int ready;
  do
    ready = poll(&p, 1, 0);
  while (ready == -1 && errno == EINTR);
  return ready != 0;
}

int sock_poll(struct sock_poll *fds, size_t n) {
  struct pollfd *p = calloc(n + 1, sizeof *p);
  size_t i;
  int ready;
  if (p == NULL)
    return -ENOMEM;
  for (i = 0; i < n; i++) {
    p[i].fd = fds[i].fd;
    p[i].events = (short)fds[i].events;
  }
  do
    ready = poll(p, (nfds_t)n, 0);
  while (ready == -1 && errno == EINTR);
  if (ready == -1)
    ready = -errno;
  for (i = 0; i < n; i++)
    fds[i].revents = p[i].revents;
  free(p);
  return ready;
}

#ifdef __linux__

/* A descriptor that is listed again adds what it asks for. */
static int watch_for(int set, const struct sock_poll *fds, size_t i) {
  struct epoll_event e = {.data.fd = fds[i].fd};
  size_t j;
  if (fds[i].fd < 0)
    return 0;
  e.events = (uint32_t)fds[i].events;
  if (epoll_ctl(set, EPOLL_CTL_ADD, fds[i].fd, &e) == 0)
    return 0;
  if (errno != EEXIST)
    return -errno;
  for (j = 0; j < i; j++)
    if (fds[j].fd == fds[i].fd)
      e.events |= (uint32_t)fds[j].events;
  return result(epoll_ctl(set, EPOLL_CTL_MOD, fds[i].fd, &e));
}

/* The events of epoll have the numbers of poll(2)'s. */
int sock_pollset(const struct sock_poll *fds, size_t n) {
  int err = 0, set = epoll_create1(EPOLL_CLOEXEC);
  size_t i;
  if (set == -1)
    return -errno;
  for (i = 0; i < n && err == 0; i++)
    err = watch_for(set, fds, i);
  if (err < 0)
    sys_close(set);
  return err < 0 ? err : set;
}

#else

int sock_pollset(const struct sock_poll *fds, size_t n) {
  (void)fds;
  (void)n;
  return -ENOSYS;
}

#endif
