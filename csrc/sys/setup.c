/* SPDX-License-Identifier: MIT */
#include "sys/setup.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "sys/sock.h"

static const struct {
  int level, option;
} flags[] = {
  [SYS_REUSEADDR] = {SOL_SOCKET,   SO_REUSEADDR        },
  [SYS_REUSEPORT] = {SOL_SOCKET,   SO_REUSEPORT        },
  [SYS_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY         },
  [SYS_NODELAY] = {IPPROTO_TCP,  TCP_NODELAY         },
  [SYS_KEEPALIVE] = {SOL_SOCKET,   SO_KEEPALIVE        },
#ifdef TCP_KEEPIDLE
  [SYS_KEEPIDLE] = {IPPROTO_TCP,  TCP_KEEPIDLE        },
#endif
#ifdef TCP_FASTOPEN
  [SYS_FASTOPEN] = {IPPROTO_TCP,  TCP_FASTOPEN        },
#endif
#ifdef TCP_FASTOPEN_CONNECT
  [SYS_FASTOPEN_CONNECT] = {IPPROTO_TCP,  TCP_FASTOPEN_CONNECT},
#endif
  [SYS_LISTENS] = {SOL_SOCKET,   SO_ACCEPTCONN       },
};

static bool known(enum sys_flag flag) {
  return flag < countof(flags) &&
         (flags[flag].level != 0 || flags[flag].option != 0);
}

int sys_setflag(int fd, enum sys_flag flag, int value) {
  if (!known(flag))
    return -ENOPROTOOPT;
  return setsockopt(fd, flags[flag].level, flags[flag].option, &value,
                    sizeof value) == 0
           ? 0
           : -errno;
}

int sys_getflag(int fd, enum sys_flag flag) {
  int value = 0;
  socklen_t len = sizeof value;
  if (!known(flag))
    return -ENOPROTOOPT;
  return getsockopt(fd, flags[flag].level, flags[flag].option, &value, &len) ==
             0
           ? value
           : -errno;
}

int sys_mptcp(void) {
#ifdef IPPROTO_MPTCP
  return IPPROTO_MPTCP;
#else
  return -EPROTONOSUPPORT;
#endif
}

int sys_stale(const struct addr *a) {
  const char *path;
  struct stat st;
  int fd, err;
  if (addr_path(a, &path) <= 0 || path[0] == '\0')
    return 0;
  if (lstat(path, &st) == -1 || !S_ISSOCK(st.st_mode))
    return 0;
  fd = sock_open(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0)
    return 0;
  err = sock_connect(fd, a);
  close(fd);
  return err == -ECONNREFUSED;
}

int sys_unlink(const char *path) {
  return unlink(path) == 0 ? 0 : -errno;
}

int sys_chmod(const char *path, unsigned mode) {
  return chmod(path, (mode_t)mode) == 0 ? 0 : -errno;
}

int sys_file(const char *path, struct sys_file *f) {
  struct stat st;
  if (lstat(path, &st) == -1)
    return -errno;
  f->device = (uint64_t)st.st_dev;
  f->inode = (uint64_t)st.st_ino;
  return 0;
}
