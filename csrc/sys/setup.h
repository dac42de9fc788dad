/* SPDX-License-Identifier: MIT
 * How listeners and connections are set up: options that are one int, and
 * the paths of Unix sockets. Each call returns >= 0 or -errno. */
#ifndef NEAP_SYS_SETUP_H
#define NEAP_SYS_SETUP_H

#include <stdint.h>

#include "sys/addr.h"

/* -ENOPROTOOPT where this system has none. */
enum sys_flag {
  SYS_REUSEADDR,
  SYS_REUSEPORT,
  SYS_V6ONLY,
  SYS_NODELAY,
  SYS_KEEPALIVE,
  SYS_KEEPIDLE,
  SYS_FASTOPEN, /* listeners: the queue's length */
  SYS_FASTOPEN_CONNECT,
  SYS_LISTENS /* read only: is it a listener? */
};
int sys_setflag(int fd, enum sys_flag flag, int value);
int sys_getflag(int fd, enum sys_flag flag);

int sys_mptcp(void); /* the protocol's number, or -EPROTONOSUPPORT */

/* Is there a socket at the path that nobody listens on? 1 or 0. */
int sys_stale(const struct addr *a);
int sys_unlink(const char *path);
int sys_chmod(const char *path, unsigned mode);

/* Tells files apart, so that only what was made is unlinked. */
struct sys_file {
  uint64_t device, inode;
};
int sys_file(const char *path, struct sys_file *f);

#endif
