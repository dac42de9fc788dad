/* SPDX-License-Identifier: MIT */
#include "sys/sctp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "sys/fd.h"
#include "sys/sock.h"

#if defined __linux__ && defined __has_include
#if __has_include(<linux/sctp.h>)
#define HAVE_SCTP
#endif
#endif

#ifdef HAVE_SCTP
#include <linux/sctp.h>

#ifndef IPPROTO_SCTP
#define IPPROTO_SCTP 132
#endif
#ifndef SOL_SCTP
#define SOL_SCTP 132
#endif

int sctp_socket(int family, bool many) {
  return sock_open(family, many ? SOCK_SEQPACKET : SOCK_STREAM, IPPROTO_SCTP);
}

/* ---- sending ---- */

/* Room for what may go with a message. */
union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(struct sctp_sndinfo)) +
             CMSG_SPACE(sizeof(struct sctp_prinfo)) +
             CMSG_SPACE(sizeof(struct sctp_authinfo))];
};

static void put_item(struct msghdr *m, int type, const void *data, size_t len) {
  struct cmsghdr *c =
    (struct cmsghdr *)(void *)((char *)m->msg_control + m->msg_controllen);
  c->cmsg_level = IPPROTO_SCTP;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(len);
  memcpy(CMSG_DATA(c), data, len);
  m->msg_controllen += CMSG_SPACE(len);
}

static uint16_t flags_of(const struct parcel *p) {
  unsigned flags = 0;
  if (p->flags & PARCEL_UNORDERED)
    flags |= SCTP_UNORDERED;
  if (p->flags & PARCEL_ABORT)
    flags |= SCTP_ABORT;
  if (p->flags & PARCEL_SHUTDOWN)
    flags |= SCTP_EOF;
  if (p->flags & PARCEL_IMMEDIATE)
    flags |= SCTP_SACK_IMMEDIATELY;
  if (p->addr.len > 0 && p->association != 0)
    flags |= SCTP_ADDR_OVER;
  return (uint16_t)flags;
}

static bool is_plain(const struct parcel *p) {
  return (p->association | p->ppid | p->context | p->stream | p->key |
          p->flags | p->policy) == 0;
}

static void put_items(struct msghdr *m, const struct parcel *p) {
  static const uint16_t policies[PARCEL_POLICIES] = {
    SCTP_PR_SCTP_NONE, SCTP_PR_SCTP_TTL, SCTP_PR_SCTP_RTX, SCTP_PR_SCTP_PRIO};
  struct sctp_sndinfo info = {0};
  struct sctp_prinfo late = {0};
  struct sctp_authinfo auth = {0};
  info.snd_sid = p->stream;
  info.snd_flags = flags_of(p);
  info.snd_ppid = htonl(p->ppid);
  info.snd_context = p->context;
  info.snd_assoc_id = (sctp_assoc_t)p->association;
  put_item(m, SCTP_SNDINFO, &info, sizeof info);
  if (p->policy != 0) {
    late.pr_policy = policies[p->policy];
    late.pr_value = p->value;
    put_item(m, SCTP_PRINFO, &late, sizeof late);
  }
  if (p->key != 0) {
    auth.auth_keynumber = p->key;
    put_item(m, SCTP_AUTHINFO, &auth, sizeof auth);
  }
}

ssize_t sctp_put(int fd, const struct iovec *iov, int n,
                 const struct parcel *p) {
  union control control;
  struct msghdr m = {0};
  ssize_t sent;
  m.msg_iov = (struct iovec *)iov;
  m.msg_iovlen = (size_t)n;
  if (p->addr.len > 0) {
    m.msg_name = (void *)&p->addr.u;
    m.msg_namelen = p->addr.len;
  }
  if (!is_plain(p)) {
    memset(&control, 0, sizeof control);
    m.msg_control = control.bytes;
    put_items(&m, p);
  }
  do
    sent = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent == -1 && errno == EINTR);
  return sent == -1 ? -errno : sent;
}

/* ---- receiving ---- */

static void took(struct msghdr *m, struct parcel *p) {
  struct cmsghdr *c;
  struct sctp_rcvinfo info;
  for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
    if (c->cmsg_level != IPPROTO_SCTP || c->cmsg_type != SCTP_RCVINFO ||
        c->cmsg_len < CMSG_LEN(sizeof info))
      continue;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    p->stream = info.rcv_sid;
    p->ssn = info.rcv_ssn;
    p->ppid = ntohl(info.rcv_ppid);
    p->tsn = info.rcv_tsn;
    p->cumtsn = info.rcv_cumtsn;
    p->context = info.rcv_context;
    p->association = (uint32_t)info.rcv_assoc_id;
    if (info.rcv_flags & SCTP_UNORDERED)
      p->flags |= PARCEL_UNORDERED;
  }
}

ssize_t sctp_take(int fd, void *buf, size_t len, struct parcel *p,
                  unsigned *flags) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct sctp_rcvinfo)) + 64];
  } control;
  struct iovec iov = {buf, len};
  struct msghdr m = {0};
  ssize_t n;
  m.msg_iov = &iov;
  m.msg_iovlen = 1;
  if (p != NULL) {
    memset(p, 0, sizeof *p);
    m.msg_name = &p->addr.u;
    m.msg_namelen = sizeof p->addr.u;
    m.msg_control = control.bytes;
    m.msg_controllen = sizeof control.bytes;
  }
  do
    n = recvmsg(fd, &m, MSG_DONTWAIT);
  while (n == -1 && errno == EINTR);
  if (n == -1)
    return -errno;
  *flags = (m.msg_flags & MSG_EOR ? PARCEL_END : 0) |
           (m.msg_flags & MSG_NOTIFICATION ? PARCEL_TELLS : 0);
  if (p != NULL) {
    p->addr.len = m.msg_namelen;
    addr_unmap(&p->addr);
    took(&m, p);
  }
  return n;
}

static enum sctp_news of_association(const void *bytes, size_t len) {
  struct sctp_assoc_change e;
  if (len < sizeof e)
    return NEWS_OTHER;
  memcpy(&e, bytes, sizeof e);
  switch (e.sac_state) {
  case SCTP_SHUTDOWN_COMP:
    return NEWS_OVER;
  case SCTP_COMM_LOST:
  case SCTP_CANT_STR_ASSOC:
    return NEWS_LOST;
  default:
    return NEWS_ASSOCIATION;
  }
}

enum sctp_news sctp_news(const void *bytes, size_t len) {
  uint16_t type = 0;
  if (len >= sizeof type)
    memcpy(&type, bytes, sizeof type);
  if (type == SCTP_ASSOC_CHANGE)
    return of_association(bytes, len);
  return type == SCTP_PARTIAL_DELIVERY_EVENT ? NEWS_CUT : NEWS_OTHER;
}

/* ---- connecting ---- */

int sctp_connectx(int fd, const void *addrs, size_t len,
                  uint32_t *association) {
  struct sctp_getaddrs_old to = {0};
  socklen_t size = sizeof to;
  int err;
  to.addr_num = (int)len; /* of bytes */
  to.addrs = (struct sockaddr *)addrs;
  err = getsockopt(fd, SOL_SCTP, SCTP_SOCKOPT_CONNECTX3, &to, &size) == -1
          ? -errno
          : 0;
  *association = (uint32_t)to.assoc_id;
  return err;
}

int sctp_peel(int fd, uint32_t association) {
  sctp_peeloff_flags_arg_t arg = {
    {(sctp_assoc_t)association, -1},
    0
  };
  socklen_t size = sizeof arg;
  arg.flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  if (getsockopt(fd, SOL_SCTP, SCTP_SOCKOPT_PEELOFF_FLAGS, &arg, &size) == -1)
    return -errno;
  return arg.p_arg.sd;
}

bool sctp_makeroom(int fd, size_t len) {
  const size_t most = 32 * 1024 * 1024;
  int before = 0, now = 0, want = len > most ? (int)most : (int)len;
  socklen_t size = sizeof before;
  if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &size) == -1 ||
      (size_t)before >= len)
    return false;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want) == -1)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
  size = sizeof now;
  return getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &size) == 0 &&
         (size_t)now >= len;
}

#else

int sctp_socket(int family, bool many) {
  (void)family, (void)many;
  return -ENOTSUP;
}

ssize_t sctp_put(int fd, const struct iovec *iov, int n,
                 const struct parcel *p) {
  (void)fd, (void)iov, (void)n, (void)p;
  return -ENOTSUP;
}

ssize_t sctp_take(int fd, void *buf, size_t len, struct parcel *p,
                  unsigned *flags) {
  (void)fd, (void)buf, (void)len, (void)p, (void)flags;
  return -ENOTSUP;
}

bool sctp_makeroom(int fd, size_t len) {
  (void)fd, (void)len;
  return false;
}

enum sctp_news sctp_news(const void *bytes, size_t len) {
  (void)bytes, (void)len;
  return NEWS_OTHER;
}

int sctp_connectx(int fd, const void *addrs, size_t len,
                  uint32_t *association) {
  (void)fd, (void)addrs, (void)len, (void)association;
  return -ENOTSUP;
}

int sctp_peel(int fd, uint32_t association) {
  (void)fd, (void)association;
  return -ENOTSUP;
}

#endif

int sctp_connected(int fd) {
  struct sock_poll p = {fd, POLLOUT, 0};
  int err = sys_error(fd);
  if (err < 0)
    return err;
  if (sock_poll(&p, 1) <= 0)
    return 0;
  if (p.revents & POLLOUT)
    return 1;
  return p.revents & (POLLHUP | POLLERR) ? -ECONNRESET : 0;
}
