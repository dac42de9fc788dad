/* SPDX-License-Identifier: MIT */
#include "sys/filter.h"

#include <errno.h>
#include <sys/socket.h>

#ifdef __linux__

#include <assert.h>
#include <linux/filter.h>

static_assert(sizeof(struct sock_filter) == sizeof(struct bpf_instr) &&
                offsetof(struct sock_filter, jf) ==
                  offsetof(struct bpf_instr, jf) &&
                offsetof(struct sock_filter, k) ==
                  offsetof(struct bpf_instr, k),
              "an instruction is the kernel's");

static int set(int fd, int option, const void *value, socklen_t len) {
  return setsockopt(fd, SOL_SOCKET, option, value, len) == 0 ? 0 : -errno;
}

int sys_attachfilter(int fd, const struct bpf_instr *program, size_t n) {
  struct sock_fprog p;
  if (n > BPF_LONGEST)
    return -EINVAL;
  p.len = (unsigned short)n;
  p.filter = (struct sock_filter *)program; /* it is only read */
  return set(fd, SO_ATTACH_FILTER, &p, sizeof p);
}

int sys_attachbpf(int fd, int program) {
  return set(fd, SO_ATTACH_BPF, &program, sizeof program);
}

int sys_detachfilter(int fd) {
  int unused = 0;
  return set(fd, SO_DETACH_FILTER, &unused, sizeof unused);
}

#else

int sys_attachfilter(int fd, const struct bpf_instr *program, size_t n) {
  (void)fd;
  (void)program;
  (void)n;
  return -ENOPROTOOPT;
}

int sys_attachbpf(int fd, int program) {
  (void)fd;
  (void)program;
  return -ENOPROTOOPT;
}

int sys_detachfilter(int fd) {
  (void)fd;
  return -ENOPROTOOPT;
}

#endif
