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

/* Of a socket for messages: it has no peer any more. */
int sock_disconnect(int fd);

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

/* The flag with which descriptors that come are close-on-exec. Packet sockets,
 * to which none can come, refuse it. */
extern const int SOCK_FDSAFE;

ssize_t sock_recv(int fd, struct sock_msg *m, int flags);

/* The same into one block, without what comes beside the data, or its flags:
 * it is cheaper. */
ssize_t sock_recvplain(int fd, struct sock_msg *m, int flags);

/* The flag for sock_recv with which a message that was cut tells its true
 * length; 0 where there is none. */
extern const int SOCK_TRUELEN;

/* The next of the queue of errors, as a message; -EAGAIN if there is none. */
ssize_t sock_recverror(int fd, struct sock_msg *m);

/* One of many messages. */
struct sock_one {
  struct iovec iov;
  struct addr addr; /* received: from whom; len 0 if unknown */
  size_t len;       /* received: its true length */
  void *control;    /* NULL: what comes beside the data is dropped */
  size_t controllen;
  uint16_t segment; /* received: several datagrams of this length; or 0 */
};

enum { SOCK_MANY = 64 }; /* at most, in one call */

/* Sends n messages, each to its own address of `to` (as many as there are
 * messages, or one for all, or none: NULL). Returns how many were taken, at
 * least one, or -errno of the first. */
int sock_sendmany(int fd, const struct iovec *iov, const struct addr *to,
                  bool each, int n);

/* Receives at most n without waiting. Returns how many, at least one, or
 * -errno: -EAGAIN for none. */
int sock_recvmany(int fd, struct sock_one *ones, int n);

/* The length of the datagrams that the kernel put together, from the control
 * data (UDP_GRO); 0 if it is one alone. */
uint16_t sock_segment(const void *control, size_t controllen, size_t len);

/* Whether there is a message, an error or the end now. */
bool sock_readable(int fd);

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
