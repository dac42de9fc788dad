/* SPDX-License-Identifier: MIT
 * Filters of a socket: what they refuse never reaches its queue. Each call
 * returns 0 or -errno, -ENOPROTOOPT where the system has none. */
#ifndef NEAP_SYS_FILTER_H
#define NEAP_SYS_FILTER_H

#include <stddef.h>

#include "base/bpf.h"

/* Takes the place of the filter that is attached. -EINVAL for a program that
 * the kernel refuses, -EPERM when the filter is locked. */
int sys_attachfilter(int fd, const struct bpf_instr *program, size_t n);

/* A program of eBPF, by its descriptor. */
int sys_attachbpf(int fd, int program);

/* Whichever kind there is; -ENOENT when there is none. */
int sys_detachfilter(int fd);

#endif
