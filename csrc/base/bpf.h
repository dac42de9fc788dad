/* SPDX-License-Identifier: MIT
 * Programs of classic BPF: checked as the kernel checks one that it is to
 * attach, run over the bytes of a packet, and written as tcpdump -d does. */
#ifndef NEAP_BASE_BPF_H
#define NEAP_BASE_BPF_H

#include <stddef.h>
#include <stdint.h>

/* Laid out as the kernel's struct sock_filter. */
struct bpf_instr {
  uint16_t code;
  uint8_t jt, jf;
  uint32_t k;
};

enum {
  BPF_LONGEST = 4096, /* instructions in a program */
  BPF_WORDS = 16,     /* of a program's memory */
  BPF_LINELEN = 96
};

/* Returns 0, or -EINVAL: then *why is a text of static storage about the
 * instruction *at, counted from 0. */
int bpf_check(const struct bpf_instr *program, size_t n, size_t *at,
              const char **why);

struct bpf_packet {
  const unsigned char *data;
  size_t len;      /* of what is there */
  uint32_t length; /* of what there was: what the program sees as its length */
};

/* Runs a program that was found good. Returns how many bytes of the packet it
 * lets through, 0 for none; a load from beyond the bytes that are there ends
 * it with 0. -ENOTSUP when it asks for what only the kernel knows, such as the
 * interface: *at is the instruction. */
int64_t bpf_run(const struct bpf_instr *program, const struct bpf_packet *p,
                size_t *at);

/* The line that stands for program[at], without a line's end, written into
 * buf. Returns buf. */
const char *bpf_line(const struct bpf_instr *program, size_t at,
                     char buf[BPF_LINELEN]);

#endif
