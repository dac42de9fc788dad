/* SPDX-License-Identifier: MIT
 * A message socket: whatever sends and receives messages with their borders.
 * It never waits. */
#ifndef NEAP_IO_MSGSOCK_H
#define NEAP_IO_MSGSOCK_H

#include "io/ownpath.h"
#include "loop/loop.h"
#include "sys/cmsg.h"
#include "sys/sock.h"

enum msgsock_kind {
  MSGSOCK_UDP,
  MSGSOCK_UNIX,
  MSGSOCK_SEQPACKET,
  MSGSOCK_RAW,
  MSGSOCK_PACKET,
  MSGSOCK_TUN
};

/* What went wrong with a datagram that was sent: taken from the kernel's
 * queue, from which it would be reported for ever. */
struct msgerror {
  struct msgerror *next;
  struct cmsg_value why;
  struct addr to;
  size_t len;
  char data[]; /* the datagram, or its beginning */
};

struct ring; /* sys/packet.h */

struct msgsock {
  const void *magic; /* while it exists: who made it, for a quick check */
  struct loop *loop;
  struct watch watch;
  struct pace pace;
  struct lock reader, writer, watcher; /* watcher: of the errors */
  struct ownpath *own;                 /* the Unix path that it made, or NULL */
  struct ring *ring;                   /* where packets come from, or NULL */
  struct msgerror *errors;
  struct watch *errwatch; /* for who waits for those, or NULL */
  int64_t timeout;        /* nanoseconds, or SYS_FOREVER */
  uint64_t received, receivedbytes, sent, sentbytes, oversized;
  uint32_t maxmessage;
  uint16_t nerrors;
  uint16_t alone;    /* datagrams since the last that came with others */
  uint16_t npending; /* what came and was not taken yet */
  uint16_t pendinghead;
  uint32_t pendingat; /* how much of the first of them was taken */
  uint16_t family;
  uint16_t protocol; /* packets: what is sent, unless it is said */
  uint8_t kind;      /* enum msgsock_kind */
  uint8_t batch;     /* how many came at once last time; 0 at first */
  bool errqueue : 1; /* the kernel was asked to queue errors */
  bool ended : 1;    /* we asked to receive no more */
  bool connected : 1;
  bool whole : 1;  /* the kernel would not cut what is sent into segments */
  bool gro : 1;    /* the kernel may put datagrams together */
  bool joined : 1; /* and receivemsg gives them so */
  bool apart : 1;  /* it must never be asked to */
  bool tapped : 1;
  bool cooked : 1; /* packets without their link layer's header */
  bool frames : 1; /* a tap device: frames, not packets */
};

enum { MSGSOCK_MAXERRORS = 64 };

/* A closed one. */
void msgsock_init(struct msgsock *s, enum msgsock_kind kind);

/* The descriptor, which does not block, is its own from now on. */
void msgsock_open(struct msgsock *s, int fd, int family);

static inline bool msgsock_isopen(const struct msgsock *s) {
  return s->watch.fd >= 0;
}

/* "udp", "unix"... */
const char *msgsock_kindname(const struct msgsock *s);

/* Asks the kernel to say with each datagram where it arrived, its TTL and its
 * traffic class. What it does not know is left out. */
void msgsock_askinfo(struct msgsock *s);

/* Whether the kernel may put datagrams together. Returns 0 or -errno; -EAGAIN:
 * it still may, because some are there that it may have put together. */
int msgsock_setgro(struct msgsock *s, bool on);
bool msgsock_getgro(const struct msgsock *s);

/* One message into m. Returns its true length, which may be more than there
 * was room for; -EAGAIN, ERR_EOF, or -errno. */
ssize_t msgsock_recv(struct msgsock *s, struct sock_msg *m);

/* One message, whole. Returns its length, or -errno. */
ssize_t msgsock_send(struct msgsock *s, const struct sock_msg *m);

/* The same for several, as sock_recvmany and sock_sendmany have it. */
int msgsock_recvmany(struct msgsock *s, struct sock_one *ones, int n);
int msgsock_sendmany(struct msgsock *s, const struct iovec *iov,
                     const struct addr *to, bool each, int n);

/* Before anyone waits: the kernel reports a descriptor whose queue of errors is
 * not empty, whatever was asked for, so what was reported is taken from it. */
void msgsock_calm(struct msgsock *s);

/* Takes the next error of its queue, to be freed: or returns NULL, if there
 * is none. *err is -EAGAIN then, or another -errno. */
struct msgerror *msgsock_takeerror(struct msgsock *s, int *err);

/* Makes errwatch, on a duplicate of the descriptor: so errors can be waited
 * for beside messages. Returns 0 or -errno. */
int msgsock_watcherrors(struct msgsock *s);

/* Lets go of the descriptor and returns it, or -1; who waits wakes with
 * ERR_CLOSED. `closing`: the caller closes it next, and a path that it made
 * is gone. */
int msgsock_leave(struct msgsock *s, bool closing);

#endif
