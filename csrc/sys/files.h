/* SPDX-License-Identifier: MIT
 * Files that are read, and opening them beneath a directory, whatever their
 * path says. Each call returns >= 0 or -errno. */
#ifndef NEAP_SYS_FILES_H
#define NEAP_SYS_FILES_H

#include <stddef.h>
#include <stdint.h>

/* What symbolic links in a path may do. */
enum file_links {
  LINKS_NONE,    /* there must not be any */
  LINKS_BENEATH, /* lead to what is beneath the directory, too */
  LINKS_ANY,     /* lead anywhere */
};

enum file_kind { FILE_REGULAR, FILE_DIRECTORY, FILE_OTHER };

struct file_info {
  enum file_kind kind;
  int64_t size;
  int64_t modified; /* seconds since 1970 */
  long nanoseconds;
};

int sys_open_directory(const char *path);

/* To read; it does not wait for a FIFO's writer. `path` is relative. Where
 * the kernel cannot keep links beneath the directory, there must be none. */
int sys_open_beneath(int directory, const char *path, enum file_links links);

int sys_file_info(int fd, struct file_info *info);

/* Calls `visit` for each name in a directory but "." and "..", until it
 * returns other than 0, which is returned. The descriptor stays open. */
typedef int name_visitor(void *of, const char *name, enum file_kind kind);
int sys_each_name(int directory, name_visitor *visit, void *of);

#endif
