/* SPDX-License-Identifier: MIT
 * Berkeley's calls on sockets of any family. Each returns >= 0 or -errno;
 * EINTR ends here; what they make is close-on-exec and does not block; none
 * of them raises SIGPIPE. */
#ifndef NEAP_SYS_SOCK_H
#define NEAP_SYS_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "sys/addr.h"

int sock_open(int family, int type, int protocol);
int sock_pair(int family, int type, int protocol, int fds[2]);
int sock_bind(int fd, const struct addr *a);
int sock_listen(int fd, int backlog);

/* -EINPROGRESS: it goes on by itself; sys_error() tells how it ended. */
int sock_connect(int fd, const struct addr *a);

/* The new descriptor; a (NULL: not wanted) has len 0 if the peer has no
 * address. */
int sock_accept(int fd, struct addr *a);

int sock_name(int fd, struct addr *a);
int sock_peername(int fd, struct addr *a);

/* SOCK_STREAM and so on. */
int sock_type(int fd);

/* Whether 0 bytes received are an empty message, and not the end. */
bool sock_datagrams(int type);

/* The flags with which the true length of a message is known. */
int sock_recvflags(int type, int flags);

/* A message, as sendmsg(2) and recvmsg(2) have it. */
struct sock_msg {
  struct iovec *iov;
  size_t niov;
  struct addr addr; /* to: len 0 for none; from: len 0 if unknown */
  void *control;
  size_t controllen; /* given: the room; filled in: what is there */
  int flags;         /* filled in: MSG_TRUNC and others */
};

ssize_t sock_send(int fd, const struct sock_msg *m, int flags);

/* MSG_CMSG_CLOEXEC is added to the flags. */
ssize_t sock_recv(int fd, struct sock_msg *m, int flags);

/* One of the descriptors of a poll(2). */
struct sock_poll {
  int fd, events, revents;
};

/* poll(2) without waiting: how many have revents, which are filled in. */
int sock_poll(struct sock_poll *fds, size_t n);

/* A descriptor that is readable when one of these would have revents; to be
 * closed. -ENOSYS where the system has no such thing. */
int sock_pollset(const struct sock_poll *fds, size_t n);

#endif
