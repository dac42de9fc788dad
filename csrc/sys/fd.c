/* SPDX-License-Identifier: MIT */
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#endif

/* A call that is made again after a signal. */
#define RETRY(result, call) \
  do \
    (result) = (call); \
  while ((result) == -1 && errno == EINTR)

ssize_t sys_recv(int fd, void *buf, size_t len) {
  ssize_t n;
  RETRY(n, recv(fd, buf, len, 0));
  return n >= 0 ? n : -errno;
}

ssize_t sys_send(int fd, const void *buf, size_t len) {
  ssize_t n;
  RETRY(n, send(fd, buf, len, MSG_NOSIGNAL));
  return n >= 0 ? n : -errno;
}

ssize_t sys_sendv(int fd, const struct iovec *iov, int n) {
  struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
  ssize_t sent;
  if (n == 1)
    return sys_send(fd, iov->iov_base, iov->iov_len);
  RETRY(sent, sendmsg(fd, &m, MSG_NOSIGNAL));
  return sent >= 0 ? sent : -errno;
}

ssize_t sys_sendmore(int fd, const struct iovec *iov, int n) {
  struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
  ssize_t sent;
#ifdef MSG_MORE
  RETRY(sent, sendmsg(fd, &m, MSG_NOSIGNAL | MSG_MORE));
#else
  RETRY(sent, sendmsg(fd, &m, MSG_NOSIGNAL));
#endif
  return sent >= 0 ? sent : -errno;
}

union control {
  char room[CMSG_SPACE(FD_MAXPASS * sizeof(int))];
  struct cmsghdr align;
};

static int take_fds(struct msghdr *m, int *fds) {
  struct cmsghdr *c;
  int n = 0;
  for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
    size_t len = c->cmsg_len - CMSG_LEN(0);
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    memcpy(fds + n, CMSG_DATA(c), len);
    n += (int)(len / sizeof(int));
  }
  return n;
}

ssize_t sys_recvfds(int fd, void *buf, size_t len, int *fds, int *nfds) {
  union control control;
  struct iovec iov = {buf, len};
  struct msghdr m = {.msg_iov = &iov,
                     .msg_iovlen = 1,
                     .msg_control = control.room,
                     .msg_controllen = sizeof control.room};
  ssize_t n;
  RETRY(n, recvmsg(fd, &m, MSG_CMSG_CLOEXEC));
  *nfds = 0;
  if (n < 0)
    return -errno;
  if (m.msg_controllen > 0)
    *nfds = take_fds(&m, fds);
  if (m.msg_flags & MSG_CTRUNC) {
    while (*nfds > 0)
      close(fds[--*nfds]);
    *nfds = -1;
  }
  return n;
}

int sys_sendfds(int fd, const int *fds, int n) {
  union control control;
  char byte = 0;
  struct iovec iov = {&byte, 1};
  struct msghdr m = {.msg_iov = &iov,
                     .msg_iovlen = 1,
                     .msg_control = control.room,
                     .msg_controllen = CMSG_SPACE((size_t)n * sizeof(int))};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  ssize_t sent;
  memset(control.room, 0, sizeof control.room);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
  memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
  RETRY(sent, sendmsg(fd, &m, MSG_NOSIGNAL));
  return sent >= 0 ? (int)sent : -errno;
}

ssize_t sys_read(int fd, void *buf, size_t len) {
  ssize_t n;
  RETRY(n, read(fd, buf, len));
  return n >= 0 ? n : -errno;
}

void sys_guard_begin(struct sys_guard *g) {
  sigset_t pipe, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &g->old);
  g->pending = false; /* what was not blocked has been delivered */
  if (sigismember(&g->old, SIGPIPE)) {
    sigpending(&pending);
    g->pending = sigismember(&pending, SIGPIPE);
  }
}

void sys_guard_end(struct sys_guard *g, bool broken) {
  if (broken && !g->pending) {
    sigset_t pipe;
    struct timespec none = {0, 0};
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &none) == -1 && errno == EINTR)
      continue;
  }
  pthread_sigmask(SIG_SETMASK, &g->old, NULL);
}

ssize_t sys_writev(int fd, const struct iovec *iov, int n) {
  struct sys_guard g;
  ssize_t sent;
  sys_guard_begin(&g);
  RETRY(sent, writev(fd, iov, n));
  if (sent < 0)
    sent = -errno;
  sys_guard_end(&g, sent == -EPIPE);
  return sent;
}

ssize_t sys_sendfile(int fd, int file, int64_t *offset, size_t len) {
  struct sys_guard g;
  off_t at = (off_t)*offset;
  ssize_t sent;
  sys_guard_begin(&g);
  RETRY(sent, sendfile(fd, file, &at, len));
  if (sent < 0)
    sent = -errno;
  sys_guard_end(&g, sent == -EPIPE);
  *offset = at;
  return sent;
}

ssize_t sys_pread(int fd, void *buf, size_t len, int64_t offset) {
  ssize_t n;
  RETRY(n, pread(fd, buf, len, (off_t)offset));
  return n >= 0 ? n : -errno;
}

int sys_open(const char *path) {
  int fd;
  RETRY(fd, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  return fd >= 0 ? fd : -errno;
}

/* A FIFO would raise SIGPIPE one day. */
int sys_append(const char *path) {
  int fd, flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
  struct stat st;
  RETRY(fd, open(path, flags | O_NONBLOCK, S_IRUSR | S_IWUSR));
  if (fd < 0)
    return -errno;
  if (fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode))
    return fd;
  sys_close(fd);
  return -EINVAL;
}

/* After EINTR the descriptor is already gone, so close() is never retried. */
int sys_close(int fd) {
  return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

int sys_dup(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy >= 0 ? copy : -errno;
}

int sys_shutdown(int fd, int how) {
  static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
  return shutdown(fd, hows[how]) == 0 ? 0 : -errno;
}

int sys_unsent(int fd) {
#ifdef __linux__
  int n = 0;
  return ioctl(fd, SIOCOUTQ, &n) == 0 ? n : -errno;
#else
  (void)fd;
  return 0;
#endif
}

int sys_nonblock(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags == -1)
    return -errno;
  if (flags & O_NONBLOCK)
    return 0;
  return fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ? -errno : 1;
}

int sys_block(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags == -1 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == -1)
    return -errno;
  return 0;
}

int sys_kind(int fd) {
  struct stat st;
  int domain = 0;
  socklen_t len = sizeof domain;
  if (fstat(fd, &st) == -1)
    return -errno;
  if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode))
    return FD_FILE;
  if (!S_ISSOCK(st.st_mode))
    return FD_OTHER;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == -1)
    return -errno;
  return domain == AF_UNIX ? FD_UNIX : FD_SOCKET;
}

int sys_error(int fd) {
  int err = 0;
  socklen_t len = sizeof err;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
    return -errno;
  return -err;
}

int sys_eventfd(int pair[2]) {
#ifdef __linux__
  pair[0] = pair[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return pair[0] == -1 ? -errno : 0;
#else
  int i;
  if (pipe(pair) == -1)
    return -errno;
  for (i = 0; i < 2; i++) {
    fcntl(pair[i], F_SETFD, FD_CLOEXEC);
    sys_nonblock(pair[i]);
  }
  return 0;
#endif
}

int sys_raise(int fd) {
  const uint64_t one = 1;
  return write(fd, &one, sizeof one) < 0 ? -errno : 0;
}

int sys_drain(int fd) {
  char room[256];
  ssize_t n;
  do
    n = sys_read(fd, room, sizeof room);
  while (n == (ssize_t)sizeof room);
  return n < 0 && n != -EAGAIN ? (int)n : 0;
}

unsigned char *sys_forkmark(void) {
#ifdef MADV_WIPEONFORK
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    return NULL;
  if (madvise(page, size, MADV_WIPEONFORK) == 0) {
    *page = 1;
    return page;
  }
  munmap(page, size);
#endif
  return NULL;
}

void sys_forkmark_free(unsigned char *page) {
  if (page != NULL)
    munmap(page, (size_t)sysconf(_SC_PAGESIZE));
}

int sys_pid(void) {
  return (int)getpid();
}

int sys_peercred(int fd, struct sys_cred *cred) {
  struct ucred u;
  socklen_t len = sizeof u;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) == -1)
    return -errno;
  cred->pid = u.pid;
  cred->uid = u.uid;
  cred->gid = u.gid;
  return 0;
}

void sys_owncred(struct sys_cred *cred) {
  cred->pid = getpid();
  cred->uid = geteuid();
  cred->gid = getegid();
}
