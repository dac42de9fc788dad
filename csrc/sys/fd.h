/* SPDX-License-Identifier: MIT
 * The system's calls on descriptors. Each returns >= 0 or -errno; EINTR ends
 * here; what they make is close-on-exec and does not block; none of them
 * raises SIGPIPE. */
#ifndef NEAP_SYS_FD_H
#define NEAP_SYS_FD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Kinds of descriptor, as far as reading and writing differ. */
enum fd_kind { FD_SOCKET, FD_UNIX, FD_FILE, FD_OTHER };

enum { FD_MAXPASS = 253 }; /* the kernel's limit for one message */

/* Sockets. recv: 0 at the end of the stream. */
ssize_t sys_recv(int fd, void *buf, size_t len);
ssize_t sys_send(int fd, const void *buf, size_t len);
ssize_t sys_sendv(int fd, const struct iovec *iov, int n);

/* More follows at once: it need not go alone. */
ssize_t sys_sendmore(int fd, const struct iovec *iov, int n);

/* recv that also takes descriptors that came along: at most FD_MAXPASS into
 * fds, their number into *nfds (-1 when the kernel had to drop some). */
ssize_t sys_recvfds(int fd, void *buf, size_t len, int *fds, int *nfds);

/* Sends one NUL byte that carries n descriptors. Returns 1 or -errno. */
int sys_sendfds(int fd, const int *fds, int n);

/* write(2) and sendfile(2) have no MSG_NOSIGNAL: the signal is blocked for this
 * thread and, if the call made it pending (broken: it may have), taken back. */
struct sys_guard {
  sigset_t old;
  bool pending;
};
void sys_guard_begin(struct sys_guard *g);
void sys_guard_end(struct sys_guard *g, bool broken);

/* Pipes, terminals, files. */
ssize_t sys_read(int fd, void *buf, size_t len);
ssize_t sys_writev(int fd, const struct iovec *iov, int n);

/* Up to `len` bytes of the file from `offset`, which moves; 0: no more. */
ssize_t sys_sendfile(int fd, int file, int64_t *offset, size_t len);
ssize_t sys_pread(int fd, void *buf, size_t len, int64_t offset);

int sys_open(const char *path); /* to read; does not wait for a FIFO's writer */
int sys_append(const char *path); /* to its end; made for its owner alone */
int sys_close(int fd);
int sys_dup(int fd);
int sys_shutdown(int fd, int how); /* 0 read, 1 write, 2 both */
int sys_unsent(int fd);   /* a socket's bytes that no peer has acknowledged */
int sys_nonblock(int fd); /* 1 if it blocked before, 0 if not */
int sys_block(int fd);
int sys_kind(int fd);  /* enum fd_kind, or -errno */
int sys_error(int fd); /* takes the socket's pending error: 0 or -errno */
int sys_eventfd(int pair[2]); /* the same twice, or a pipe; 0 or -errno */
int sys_raise(int fd);        /* makes an eventfd readable */
int sys_drain(int fd);        /* empties an eventfd or pipe */

/* A page that a child does not inherit: *page is 1 here, 0 after a fork.
 * NULL when the kernel has no such thing. */
unsigned char *sys_forkmark(void);
void sys_forkmark_free(unsigned char *page);
int sys_pid(void);

/* Credentials of the peer of a Unix socket. */
struct sys_cred {
  int64_t pid, uid, gid;
};
int sys_peercred(int fd, struct sys_cred *cred);
void sys_owncred(struct sys_cred *cred);

#endif
