/* SPDX-License-Identifier: MIT
 * The file of a Unix socket that we bound: whoever made it removes it, unless
 * it is somebody else's by then. */
#ifndef NEAP_IO_OWNPATH_H
#define NEAP_IO_OWNPATH_H

#include "sys/setup.h"

struct ownpath {
  struct addr path; /* len 0: none to unlink */
  struct sys_file file;
};

/* Binds the socket to a Unix address; a socket file that nobody uses any more
 * is replaced. mode: permissions of the file, or -1. Returns 0 or -errno. */
int ownpath_bind(struct ownpath *own, int fd, const struct addr *a, int mode);

/* Unlinks what ownpath_bind made, if it still is its own. */
void ownpath_unlink(struct ownpath *own);

#endif
