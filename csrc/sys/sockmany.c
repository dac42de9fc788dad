/* SPDX-License-Identifier: MIT
 * Many messages in one call. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "sys/cmsg.h"
#include "sys/sock.h"

#ifdef UDP_GRO

uint16_t sock_segment(const void *control, size_t controllen, size_t len) {
  struct cmsg_item item;
  size_t at = 0;
  int size;
  while (cmsg_next(control, controllen, &at, &item)) {
    if (item.level != IPPROTO_UDP || item.type != UDP_GRO ||
        item.len < sizeof size)
      continue;
    memcpy(&size, item.data, sizeof size);
    return size > 0 && (size_t)size < len ? (uint16_t)size : 0;
  }
  return 0;
}

#else

uint16_t sock_segment(const void *control, size_t controllen, size_t len) {
  (void)control;
  (void)controllen;
  (void)len;
  return 0;
}

#endif

static void prepare(struct msghdr *h, struct sock_one *one) {
  memset(h, 0, sizeof *h);
  h->msg_iov = &one->iov;
  h->msg_iovlen = 1;
  h->msg_name = &one->addr.u;
  h->msg_namelen = sizeof one->addr.u;
  h->msg_control = one->control;
  h->msg_controllen = one->controllen;
}

static void arrived(struct sock_one *one, struct msghdr *h, size_t len) {
  one->len = len;
  one->addr.len = h->msg_namelen;
  if (one->addr.len > sizeof one->addr.u)
    one->addr.len = sizeof one->addr.u;
  one->controllen = h->msg_controllen;
  one->segment = sock_segment(one->control, one->controllen, len);
}

static void address(struct msghdr *h, const struct addr *to) {
  if (to == NULL || to->len == 0)
    return;
  h->msg_name = (void *)&to->u;
  h->msg_namelen = to->len;
}

#ifdef __linux__

int sock_sendmany(int fd, const struct iovec *iov, const struct addr *to,
                  bool each, int n) {
  struct mmsghdr many[SOCK_MANY];
  int i, sent;
  if (n > SOCK_MANY)
    n = SOCK_MANY;
  memset(many, 0, (size_t)n * sizeof *many);
  for (i = 0; i < n; i++) {
    many[i].msg_hdr.msg_iov = (void *)&iov[i];
    many[i].msg_hdr.msg_iovlen = 1;
    address(&many[i].msg_hdr, each && to != NULL ? &to[i] : to);
  }
  do
    sent = sendmmsg(fd, many, (unsigned)n, MSG_NOSIGNAL);
  while (sent == -1 && errno == EINTR);
  return sent == -1 ? -errno : sent;
}

int sock_recvmany(int fd, struct sock_one *ones, int n) {
  struct mmsghdr many[SOCK_MANY];
  int i, got;
  if (n > SOCK_MANY)
    n = SOCK_MANY;
  for (i = 0; i < n; i++)
    prepare(&many[i].msg_hdr, &ones[i]);
  do
    got = recvmmsg(fd, many, (unsigned)n, MSG_TRUNC, NULL);
  while (got == -1 && errno == EINTR);
  if (got == -1)
    return -errno;
  for (i = 0; i < got; i++)
    arrived(&ones[i], &many[i].msg_hdr, many[i].msg_len);
  return got;
}

#else

int sock_sendmany(int fd, const struct iovec *iov, const struct addr *to,
                  bool each, int n) {
  int i;
  for (i = 0; i < n; i++) {
    struct msghdr h;
    ssize_t sent;
    memset(&h, 0, sizeof h);
    h.msg_iov = (void *)&iov[i];
    h.msg_iovlen = 1;
    address(&h, each && to != NULL ? &to[i] : to);
    do
      sent = sendmsg(fd, &h, MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    if (sent == -1)
      return i > 0 ? i : -errno;
  }
  return n;
}

int sock_recvmany(int fd, struct sock_one *ones, int n) {
  int i;
  for (i = 0; i < n; i++) {
    struct msghdr h;
    ssize_t got;
    prepare(&h, &ones[i]);
    do
      got = recvmsg(fd, &h, 0);
    while (got == -1 && errno == EINTR);
    if (got == -1)
      return i > 0 ? i : -errno;
    arrived(&ones[i], &h, (size_t)got);
  }
  return n;
}

#endif
