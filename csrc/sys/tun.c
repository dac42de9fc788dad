/* SPDX-License-Identifier: MIT */
#include "sys/tun.h"

#include <errno.h>

#ifdef __linux__

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "sys/fd.h"
#include "sys/iface.h"

int tun_open(char name[IF_NAMELEN], int flags) {
  struct ifreq r;
  int fd, err;
  memset(&r, 0, sizeof r);
  memcpy(r.ifr_name, name, strnlen(name, IF_NAMELEN - 1));
  r.ifr_flags = (short)(IFF_NO_PI | (flags & TUN_TAP ? IFF_TAP : IFF_TUN) |
                        (flags & TUN_MULTIQUEUE ? IFF_MULTI_QUEUE : 0));
  if (flags & TUN_EXCLUSIVE)
    r.ifr_flags = (short)(r.ifr_flags | IFF_TUN_EXCL);
  do
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  while (fd == -1 && errno == EINTR);
  if (fd == -1)
    return -errno;
  if (ioctl(fd, TUNSETIFF, &r) == -1) {
    err = -errno;
    sys_close(fd);
    return err;
  }
  memcpy(name, r.ifr_name, IF_NAMELEN);
  name[IF_NAMELEN - 1] = '\0';
  return fd;
}

int tun_name(int fd, char name[IF_NAMELEN]) {
  struct ifreq r;
  memset(&r, 0, sizeof r);
  if (ioctl(fd, TUNGETIFF, &r) == -1)
    return errno == EBADF ? -EBADF : -EINVAL;
  if (!(r.ifr_flags & IFF_NO_PI) || r.ifr_flags & IFF_VNET_HDR)
    return -EINVAL;
  memcpy(name, r.ifr_name, IF_NAMELEN);
  name[IF_NAMELEN - 1] = '\0';
  return r.ifr_flags & IFF_TAP ? TUN_TAP : 0;
}

int tun_persist(int fd, bool on) {
  return ioctl(fd, TUNSETPERSIST, (unsigned long)on) == -1 ? -errno : 0;
}

int tun_owner(int fd, unsigned uid) {
  return ioctl(fd, TUNSETOWNER, (unsigned long)uid) == -1 ? -errno : 0;
}

/* The kernel takes one only by its mode, and says of another -EINVAL. */
int tun_remove(const char *name) {
  static const int modes[] = {0, TUN_TAP, TUN_MULTIQUEUE,
                              TUN_TAP | TUN_MULTIQUEUE};
  char taken[IF_NAMELEN];
  int err = iface_index(name, strlen(name)), fd = -EINVAL;
  size_t i;
  if (err < 0)
    return err; /* opening would make it */
  for (i = 0; i < countof(modes) && fd == -EINVAL; i++) {
    memset(taken, 0, sizeof taken);
    memcpy(taken, name, strlen(name));
    fd = tun_open(taken, modes[i]);
  }
  if (fd < 0)
    return fd;
  err = tun_persist(fd, false);
  sys_close(fd);
  return err;
}

#else

int tun_open(char name[IF_NAMELEN], int flags) {
  (void)name;
  (void)flags;
  return -ENOTSUP;
}

int tun_name(int fd, char name[IF_NAMELEN]) {
  (void)fd;
  (void)name;
  return -ENOTSUP;
}

int tun_persist(int fd, bool on) {
  (void)fd;
  (void)on;
  return -ENOTSUP;
}

int tun_owner(int fd, unsigned uid) {
  (void)fd;
  (void)uid;
  return -ENOTSUP;
}

int tun_remove(const char *name) {
  (void)name;
  return -ENOTSUP;
}

#endif
