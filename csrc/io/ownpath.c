/* SPDX-License-Identifier: MIT */
#include "io/ownpath.h"

#include <errno.h>

#include "sys/sock.h"

static int bind_anew(int fd, const struct addr *a) {
  const char *path;
  int err = sock_bind(fd, a);
  if (err != -EADDRINUSE || !sys_stale(a) || addr_path(a, &path) <= 0)
    return err;
  err = sys_unlink(path);
  return err < 0 ? err : sock_bind(fd, a);
}

int ownpath_bind(struct ownpath *own, int fd, const struct addr *a, int mode) {
  const char *path;
  int err = bind_anew(fd, a);
  if (err < 0 || addr_path(a, &path) <= 0 || path[0] == '\0' ||
      sys_file(path, &own->file) < 0)
    return err;
  own->path = *a;
  err = mode >= 0 ? sys_chmod(path, (unsigned)mode) : 0;
  if (err < 0)
    ownpath_unlink(own);
  return err;
}

void ownpath_unlink(struct ownpath *own) {
  const char *path;
  struct sys_file now;
  if (own->path.len == 0 || addr_path(&own->path, &path) <= 0)
    return;
  if (sys_file(path, &now) == 0 && now.device == own->file.device &&
      now.inode == own->file.inode)
    sys_unlink(path);
  own->path.len = 0;
}
