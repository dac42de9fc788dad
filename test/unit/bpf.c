/* SPDX-License-Identifier: MIT
 * Classic BPF: what is refused, what programs answer; and, where there is a
 * kernel that has it, that it says the same of ten thousand programs. */
#include "base/bpf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "check.h"
#include "sys/filter.h"

enum { RET_K = 0x06, RET_A = 0x16, LD_IMM = 0x00, LD_MEM = 0x60, ST = 0x02 };

static const struct {
  struct bpf_instr program[4];
  size_t n;
  const char *why; /* NULL: good */
  size_t at;
} checks[] = {
  {{{RET_K, 0, 0, 1}},                                                    1, NULL,             0},
  {{{RET_A, 0, 0, 0}},                                                    1, NULL,             0},
  {{{RET_K, 0, 0, 1}},                                                    0, "1 to 4096",      0},
  {{{LD_IMM, 0, 0, 1}},                                                   1, "must be a ret",  0},
  {{{0x0e, 0, 0, 1}},                                                     1, "no such code",   0}, /* ret x */
  {{{0xffff, 0, 0, 1}},                                                   1, "no such code",   0},
  {{{0x05, 0, 0, 0}, {RET_K, 0, 0, 0}},                                   2, NULL,             0},
  {{{0x05, 0, 0, 1}, {RET_K, 0, 0, 0}},                                   2, "beyond the end", 0},
  {{{0x05, 0, 0, UINT32_MAX}, {RET_K, 0, 0, 0}},                          2, "beyond the end", 0},
  {{{0x15, 0, 1, 0}, {RET_K, 0, 0, 0}},                                   2, "beyond the end", 0},
  {{{0x15, 1, 0, 0}, {RET_K, 0, 0, 0}},                                   2, "beyond the end", 0},
  {{{0x15, 1, 0, 0}, {RET_K, 0, 0, 0}, {RET_K, 0, 0, 1}},                 3, NULL,             0},
  {{{0x34, 0, 0, 0}, {RET_K, 0, 0, 0}},                                   2, "divides by 0",   0},
  {{{0x94, 0, 0, 0}, {RET_K, 0, 0, 0}},                                   2, "divides by 0",   0},
  {{{0x64, 0, 0, 32}, {RET_K, 0, 0, 0}},                                  2, "31 bits",        0},
  {{{0x64, 0, 0, 31}, {RET_K, 0, 0, 0}},                                  2, NULL,             0},
  {{{ST, 0, 0, 16}, {RET_K, 0, 0, 0}},                                    2, "16 words",       0},
  {{{ST, 0, 0, 15}, {LD_MEM, 0, 0, 15}, {RET_A, 0, 0, 0}},                3, NULL,             0},
  {{{ST, 0, 0, 15}, {LD_MEM, 0, 0, 14}, {RET_A, 0, 0, 0}},                3, "stored",         1},
  {{{0x15, 0, 1, 7}, {ST, 0, 0, 0}, {LD_MEM, 0, 0, 0}, {RET_A, 0, 0, 0}},
   4,                                                                        "stored",
   2                                                                                            },
  {{{0x28, 0, 0, 0xfffff004}, {RET_A, 0, 0, 0}},                          2, NULL,             0},
  {{{0x28, 0, 0, 0xfffff003}, {RET_A, 0, 0, 0}},                          2, "offset",         0},
  {{{0x28, 0, 0, 0xfffff040}, {RET_A, 0, 0, 0}},                          2, "offset",         0},
};

static void test_check(void) {
  size_t i, at;
  const char *why;
  for (i = 0; i < countof(checks); i++) {
    int err = bpf_check(checks[i].program, checks[i].n, &at, &why);
    CHECK(err == (checks[i].why ? -EINVAL : 0));
    CHECK(!checks[i].why || (strstr(why, checks[i].why) && at == checks[i].at));
  }
}

static void test_longest(void) {
  static struct bpf_instr p[BPF_LONGEST + 1];
  const char *why;
  size_t i, at;
  for (i = 0; i <= BPF_LONGEST; i++)
    p[i].code = RET_K;
  CHECK(bpf_check(p, BPF_LONGEST, &at, &why) == 0);
  CHECK(bpf_check(p, BPF_LONGEST + 1, &at, &why) == -EINVAL);
}

static const struct {
  struct bpf_instr program[4];
  int64_t kept;
} runs[] = {
  {{{0x20, 0, 0, 0}, {RET_A, 0, 0, 0}},                           0x41424344},
  {{{0x28, 0, 0, 6}, {RET_A, 0, 0, 0}},                           0x4748    },
  {{{0x30, 0, 0, 7}, {RET_A, 0, 0, 0}},                           0x48      },
  {{{0x30, 0, 0, 8}, {RET_K, 0, 0, 9}},                           0         },
  {{{0x20, 0, 0, 5}, {RET_K, 0, 0, 9}},                           0         },
  {{{0x20, 0, 0, 0x7fffffff}, {RET_K, 0, 0, 9}},                  0         },
  {{{0x80, 0, 0, 0}, {RET_A, 0, 0, 0}},                           1500      },
  {{{0x30, 0, 0, 0xffe00001}, {RET_A, 0, 0, 0}},                  0x42      },
  {{{0x30, 0, 0, 0xfff00001}, {RET_A, 0, 0, 0}},                  -ENOTSUP  },
  {{{0x28, 0, 0, 0xfffff000}, {RET_A, 0, 0, 0}},                  -ENOTSUP  },
  {{{0xb1, 0, 0, 2}, {0x87, 0, 0, 0}, {RET_A, 0, 0, 0}},          12        },
  {{{0x01, 0, 0, 2}, {0x50, 0, 0, 1}, {RET_A, 0, 0, 0}},          0x44      },
  {{{0x01, 0, 0, 0xffffffff}, {0x50, 0, 0, 1}, {RET_A, 0, 0, 0}}, 0x41      },
  {{{LD_IMM, 0, 0, 6}, {0x3c, 0, 0, 0}, {RET_K, 0, 0, 9}},        0         }, /* by x = 0 */
  {{{LD_IMM, 0, 0, 6}, {0x84, 0, 0, 0}, {RET_A, 0, 0, 0}},        0xfffffffa},
  {{{LD_IMM, 0, 0, 6}, {0x94, 0, 0, 4}, {RET_A, 0, 0, 0}},        2         },
};

static void test_run(void) {
  const struct bpf_packet p = {(const unsigned char *)"ABCDEFGH", 8, 1500};
  size_t i, at;
  for (i = 0; i < countof(runs); i++)
    CHECK(bpf_run(runs[i].program, &p, &at) == runs[i].kept);
}

static void test_line(void) {
  static const struct bpf_instr p[] = {
    {0x28,  0, 0, 12        },
    {0x15,  0, 1, 0x800     },
    {RET_K, 0, 0, 262144    },
    {0x28,  0, 0, 0xfffff004},
    {0x05,  0, 0, 2         },
    {0x07,  0, 0, 0         },
    {0xff,  0, 0, 0         }
  };
  static const char *const lines[] = {"(000) ldh      [12]",
                                      "(001) jeq      #0x800           jt 2"
                                      "\tjf 3",
                                      "(002) ret      #262144",
                                      "(003) ldh      [type]",
                                      "(004) ja       7",
                                      "(005) tax      ",
                                      "(006) unimp    0xff"};
  char buf[BPF_LINELEN];
  size_t i;
  for (i = 0; i < countof(p); i++)
    CHECK(strcmp(bpf_line(p, i, buf), lines[i]) == 0);
}

/* ---- against the kernel ---- */

static uint32_t seed = 20;

static uint32_t chance(uint32_t n) {
  seed = seed * 1664525 + 1013904223;
  return (seed >> 8) % n;
}

/* Mostly codes that there are, and numbers near a limit. */
static size_t make(struct bpf_instr p[16]) {
  static const uint8_t codes[] = {
    0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x60, 0x01, 0x61, 0x81,
    0xb1, 0x02, 0x03, 0x04, 0x14, 0x24, 0x34, 0x94, 0x54, 0x44, 0xa4, 0x64,
    0x74, 0x0c, 0x1c, 0x2c, 0x3c, 0x9c, 0x5c, 0x4c, 0xac, 0x6c, 0x7c, 0x84,
    0x05, 0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d, 0x07, 0x87, 0x06};
  static const uint32_t near[] = {0,          1,          16,         31, 32,
                                  0xffffffff, 0xfffff028, 0xfffff030, 40};
  size_t i, n = 1 + chance(15);
  for (i = 0; i < n; i++) {
    p[i].code = codes[chance(countof(codes))];
    if (chance(200) == 0)
      p[i].code = (uint16_t)chance(300);
    p[i].jt = (uint8_t)chance(4);
    p[i].jf = (uint8_t)chance(4);
    p[i].k = chance(8) == 0 ? near[chance(countof(near))] : chance(12);
  }
  if (chance(20) != 0)
    p[n - 1].code = chance(2) == 0 ? RET_A : RET_K;
  return n;
}

static void deliver(int to, int from, const struct bpf_instr *p, bool fill) {
  unsigned char data[40], back[64];
  struct bpf_packet packet = {data, sizeof data, sizeof data};
  int64_t kept;
  ssize_t sent, n;
  size_t i, at;
  for (i = 0; i < sizeof data; i++)
    data[i] = (unsigned char)(fill ? chance(256) : chance(3));
  kept = bpf_run(p, &packet, &at);
  if (kept == -ENOTSUP)
    return;
  sent = send(to, data, sizeof data, MSG_DONTWAIT);
  n = recv(from, back, sizeof back, MSG_DONTWAIT);
  if (kept == 0) {
    CHECK(n == -1 && errno == EAGAIN);
    return;
  }
  CHECK(sent == sizeof data);
  CHECK(n == (kept < (int64_t)sizeof data ? kept : (ssize_t)sizeof data));
}

static void test_kernel(void) {
  struct bpf_instr p[16];
  int pair[2], i, good = 0;
  const char *why;
  size_t at;
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  for (i = 0; i < 10000; i++) {
    size_t n = make(p);
    int err = bpf_check(p, n, &at, &why);
    int theirs = sys_attachfilter(pair[1], p, n);
    if (theirs == -ENOPROTOOPT)
      break;
    CHECK(theirs == err);
    if (err < 0)
      continue;
    good++;
    deliver(pair[0], pair[1], p, i % 2);
  }
  CHECK(i == 0 || good > 300);
  if (i > 0) {
    CHECK(sys_detachfilter(pair[1]) == 0);
    CHECK(sys_detachfilter(pair[1]) == -ENOENT);
    CHECK(sys_attachbpf(pair[1], -1) < 0);
  }
  close(pair[0]);
  close(pair[1]);
}

int main(void) {
  int passed = 0;
  RUN(test_check);
  RUN(test_longest);
  RUN(test_run);
  RUN(test_line);
  RUN(test_kernel);
  printf("%d passed\n", passed);
  return 0;
}
