/* SPDX-License-Identifier: MIT */
#include "sys/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
#include <linux/openat2.h>
#endif
#endif

#include "sys/fd.h"

enum { READ_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

static int open_at(int at, const char *path, int flags) {
  int fd;
  do
    fd = openat(at, path, flags);
  while (fd == -1 && errno == EINTR);
  return fd >= 0 ? fd : -errno;
}

int sys_open_directory(const char *path) {
  return open_at(AT_FDCWD, path, READ_FLAGS | O_DIRECTORY);
}

#ifdef SYS_openat2
static int open_resolved(int at, const char *path, enum file_links links) {
  struct open_how how = {.flags = READ_FLAGS};
  long fd;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (links == LINKS_NONE)
    how.resolve |= RESOLVE_NO_SYMLINKS;
  do
    fd = syscall(SYS_openat2, at, path, &how, sizeof how);
  while (fd == -1 && (errno == EINTR || errno == EAGAIN));
  return fd >= 0 ? (int)fd : -errno;
}
#else
static int open_resolved(int at, const char *path, enum file_links links) {
  (void)at;
  (void)path;
  (void)links;
  return -ENOSYS;
}
#endif

/* The next name of a path, or false after the last. */
static bool next_name(const char **path, char name[256], int *err) {
  size_t n;
  while (**path == '/')
    (*path)++;
  n = strcspn(*path, "/");
  if (n == 0)
    return false;
  *err = n > 255 ? -ENAMETOOLONG : 0;
  if (*err == 0) {
    memcpy(name, *path, n);
    name[n] = '\0';
    if (strcmp(name, "..") == 0)
      *err = -EXDEV;
  }
  *path += n;
  return true;
}

/* Name by name, where the kernel does not do it: no link, and no way up. */
static int open_walking(int directory, const char *path) {
  char name[256];
  int err = 0, at = directory;
  bool slash = path[0] != '\0' && path[strlen(path) - 1] == '/';
  while (next_name(&path, name, &err)) {
    int last = path[strspn(path, "/")] == '\0';
    int flags = READ_FLAGS | O_NOFOLLOW | (last && !slash ? 0 : O_DIRECTORY);
    int fd = err < 0 ? err : open_at(at, name, flags);
    if (at != directory)
      sys_close(at);
    if (fd < 0)
      return fd;
    at = fd;
  }
  return at == directory ? open_at(directory, ".", READ_FLAGS) : at;
}

int sys_open_beneath(int directory, const char *path, enum file_links links) {
  int fd;
  if (path[0] == '/')
    return -EXDEV;
  if (path[0] == '\0')
    path = ".";
  if (links == LINKS_ANY)
    return open_at(directory, path, READ_FLAGS);
  fd = open_resolved(directory, path, links);
  if (fd == -ENOSYS || fd == -EPERM) /* EPERM: of filters of system calls */
    fd = open_walking(directory, path);
  return fd;
}

static enum file_kind kind_of(mode_t mode) {
  if (S_ISREG(mode))
    return FILE_REGULAR;
  return S_ISDIR(mode) ? FILE_DIRECTORY : FILE_OTHER;
}

int sys_file_info(int fd, struct file_info *info) {
  struct stat st;
  if (fstat(fd, &st) == -1)
    return -errno;
  info->kind = kind_of(st.st_mode);
  info->size = st.st_size;
  info->modified = st.st_mtim.tv_sec;
  info->nanoseconds = st.st_mtim.tv_nsec;
  return 0;
}

static int visit_entry(DIR *dir, const struct dirent *entry,
                       name_visitor *visit, void *of) {
  struct stat st;
  if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
    return 0;
  if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
    return 0; /* it has gone meanwhile */
  return visit(of, entry->d_name, kind_of(st.st_mode));
}

int sys_each_name(int directory, name_visitor *visit, void *of) {
  int err = 0, fd = open_at(directory, ".", READ_FLAGS | O_DIRECTORY);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  const struct dirent *entry;
  if (dir == NULL) {
    err = fd < 0 ? fd : -errno;
    if (fd >= 0)
      sys_close(fd);
    return err;
  }
  while (err == 0 && (entry = readdir(dir)) != NULL)
    err = visit_entry(dir, entry, visit, of);
  closedir(dir);
  return err;
}
