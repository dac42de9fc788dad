/* SPDX-License-Identifier: MIT */
#include "base/bpf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* What a code is made of: class, size and mode, or operation and source. */
enum {
  LD = 0,
  LDX = 1,
  ST = 2,
  STX = 3,
  ALU = 4,
  JMP = 5,
  RET = 6,
  MISC = 7,
  W = 0,
  H = 0x08,
  B = 0x10,
  IMM = 0,
  ABS = 0x20,
  IND = 0x40,
  MEM = 0x60,
  LEN = 0x80,
  MSH = 0xa0,
  ADD = 0,
  SUB = 0x10,
  MUL = 0x20,
  DIV = 0x30,
  OR = 0x40,
  AND = 0x50,
  LSH = 0x60,
  RSH = 0x70,
  NEG = 0x80,
  MOD = 0x90,
  XOR = 0xa0,
  JA = 0,
  JEQ = 0x10,
  JGT = 0x20,
  JGE = 0x30,
  JSET = 0x40,
  K = 0,
  X = 0x08,
  A = 0x10,
  TAX = 0,
  TXA = 0x80
};

/* Offsets from here on lead into what Linux knows about a packet. */
#define ANCILLARY UINT32_C(0xfffff000)
#define NETWORK UINT32_C(0xfff00000)    /* from the network header */
#define LINK_LAYER UINT32_C(0xffe00000) /* from the packet's first byte */

static const char *const ancillary[] = {
  "proto", "type",   "ifidx",  "nla",      "nlan",  "mark",
  "queue", "hatype", "rxhash", "cpu",      "xor_x", "vlan_tci",
  "vlanp", "poff",   "random", "vlan_tpid"};

enum { XOR_X = 10 }; /* the one that is arithmetic */

/* What k may be, beside what every k may. */
enum rule { ANY, OFFSET, DIVISOR, SHIFT, LOAD, STORE, ALWAYS, BRANCH, END };

/* Every code that there is, and how it is written: operand is a format of k,
 * as tcpdump has it. */
static const struct opcode {
  const char *name, *operand;
  enum rule rule;
} opcodes[] = {
  [LD | W | ABS] = {"ld",   "[%d]",         OFFSET },
  [LD | H | ABS] = {"ldh",  "[%d]",         OFFSET },
  [LD | B | ABS] = {"ldb",  "[%d]",         OFFSET },
  [LD | W | IND] = {"ld",   "[x + %d]",     ANY    },
  [LD | H | IND] = {"ldh",  "[x + %d]",     ANY    },
  [LD | B | IND] = {"ldb",  "[x + %d]",     ANY    },
  [LD | W | LEN] = {"ld",   "#pktlen",      ANY    },
  [LD | IMM] = {"ld",   "#0x%x",        ANY    },
  [LD | MEM] = {"ld",   "M[%d]",        LOAD   },
  [LDX | IMM] = {"ldx",  "#0x%x",        ANY    },
  [LDX | MEM] = {"ldx",  "M[%d]",        LOAD   },
  [LDX | W | LEN] = {"ldx",  "#pktlen",      ANY    },
  [LDX | B | MSH] = {"ldxb", "4*([%d]&0xf)", ANY    },
  [ST] = {"st",   "M[%d]",        STORE  },
  [STX] = {"stx",  "M[%d]",        STORE  },
  [ALU | ADD | K] = {"add",  "#%d",          ANY    },
  [ALU | SUB | K] = {"sub",  "#%d",          ANY    },
  [ALU | MUL | K] = {"mul",  "#%d",          ANY    },
  [ALU | DIV | K] = {"div",  "#%d",          DIVISOR},
  [ALU | MOD | K] = {"mod",  "#%d",          DIVISOR},
  [ALU | AND | K] = {"and",  "#0x%x",        ANY    },
  [ALU | OR | K] = {"or",   "#0x%x",        ANY    },
  [ALU | XOR | K] = {"xor",  "#0x%x",        ANY    },
  [ALU | LSH | K] = {"lsh",  "#%d",          SHIFT  },
  [ALU | RSH | K] = {"rsh",  "#%d",          SHIFT  },
  [ALU | ADD | X] = {"add",  "x",            ANY    },
  [ALU | SUB | X] = {"sub",  "x",            ANY    },
  [ALU | MUL | X] = {"mul",  "x",            ANY    },
  [ALU | DIV | X] = {"div",  "x",            ANY    },
  [ALU | MOD | X] = {"mod",  "x",            ANY    },
  [ALU | AND | X] = {"and",  "x",            ANY    },
  [ALU | OR | X] = {"or",   "x",            ANY    },
  [ALU | XOR | X] = {"xor",  "x",            ANY    },
  [ALU | LSH | X] = {"lsh",  "x",            ANY    },
  [ALU | RSH | X] = {"rsh",  "x",            ANY    },
  [ALU | NEG] = {"neg",  "",             ANY    },
  [JMP | JA] = {"ja",   "%d",           ALWAYS },
  [JMP | JEQ | K] = {"jeq",  "#0x%x",        BRANCH },
  [JMP | JGT | K] = {"jgt",  "#0x%x",        BRANCH },
  [JMP | JGE | K] = {"jge",  "#0x%x",        BRANCH },
  [JMP | JSET | K] = {"jset", "#0x%x",        BRANCH },
  [JMP | JEQ | X] = {"jeq",  "x",            BRANCH },
  [JMP | JGT | X] = {"jgt",  "x",            BRANCH },
  [JMP | JGE | X] = {"jge",  "x",            BRANCH },
  [JMP | JSET | X] = {"jset", "x",            BRANCH },
  [RET | K] = {"ret",  "#%d",          END    },
  [RET | A] = {"ret",  "",             END    },
  [MISC | TAX] = {"tax",  "",             ANY    },
  [MISC | TXA] = {"txa",  "",             ANY    },
};

static const struct opcode *opcode(const struct bpf_instr *i) {
  if (i->code >= countof(opcodes) || opcodes[i->code].name == NULL)
    return NULL;
  return &opcodes[i->code];
}

static bool is_ancillary(uint32_t k) {
  return k >= ANCILLARY && (k - ANCILLARY) % 4 == 0 &&
         (k - ANCILLARY) / 4 < countof(ancillary);
}

/* ---- checking ---- */

/* What is wrong with one instruction, of which `left` more follow; or NULL. */
static const char *wrong(const struct bpf_instr *i, size_t left) {
  const struct opcode *o = opcode(i);
  if (o == NULL)
    return "there is no such code";
  switch (o->rule) {
  case OFFSET:
    return i->k >= ANCILLARY && !is_ancillary(i->k)
             ? "the kernel knows nothing at this offset"
             : NULL;
  case DIVISOR:
    return i->k == 0 ? "it divides by 0" : NULL;
  case SHIFT:
    return i->k >= 32 ? "it shifts by more than 31 bits" : NULL;
  case LOAD:
  case STORE:
    return i->k >= BPF_WORDS ? "the memory has 16 words" : NULL;
  case ALWAYS:
    return i->k >= left ? "it jumps beyond the end" : NULL;
  case BRANCH:
    return i->jt >= left || i->jf >= left ? "it jumps beyond the end" : NULL;
  default:
    return NULL;
  }
}

/* Whether each word of memory is written, on every way, before it is read.
 * Jumps lead forward only, so that one pass tells: stored[i] has a bit for
 * each word that is written on all the ways that lead to i. */
static bool stores_first(const struct bpf_instr *p, size_t n, size_t *at) {
  uint16_t stored[BPF_LONGEST];
  uint16_t now = 0; /* what is written when p[i] is reached from above */
  size_t i;
  memset(stored, 0xff, sizeof stored);
  for (i = 0; i < n; i++) {
    enum rule rule = opcode(&p[i])->rule;
    now &= stored[i];
    *at = i;
    if (rule == STORE)
      now |= (uint16_t)(1u << p[i].k);
    if (rule == LOAD && !(now & 1u << p[i].k))
      return false;
    if (rule == ALWAYS)
      stored[i + 1 + p[i].k] &= now;
    if (rule == BRANCH) {
      stored[i + 1 + p[i].jt] &= now;
      stored[i + 1 + p[i].jf] &= now;
    }
    if (rule == ALWAYS || rule == BRANCH)
      now = 0xffff; /* only by a jump */
  }
  return true;
}

int bpf_check(const struct bpf_instr *program, size_t n, size_t *at,
              const char **why) {
  *at = 0;
  *why = "a program has 1 to 4096 instructions";
  if (n == 0 || n > BPF_LONGEST)
    return -EINVAL;
  for (*at = 0; *at < n; ++*at)
    if ((*why = wrong(&program[*at], n - *at - 1)) != NULL)
      return -EINVAL;
  *at = n - 1;
  *why = "the last one must be a ret";
  if (opcode(&program[n - 1])->rule != END)
    return -EINVAL;
  *why = "it loads a word of memory that nothing has stored";
  return stores_first(program, n, at) ? 0 : -EINVAL;
}

/* ---- running ---- */

/* Reads 1, 2 or 4 bytes. Returns 1, 0 outside of the packet, or -ENOTSUP. */
static int load(const struct bpf_packet *p, uint32_t at, unsigned size,
                uint32_t *a) {
  const unsigned char *b;
  if (at >= NETWORK)
    return -ENOTSUP;
  if (at >= LINK_LAYER)
    at -= LINK_LAYER;
  if (at > p->len || size > p->len - at)
    return 0;
  b = p->data + at;
  if (size == 4)
    *a =
      (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
  else
    *a = size == 2 ? (uint32_t)b[0] << 8 | b[1] : b[0];
  return 1;
}

/* Shifts take five bits, as on the machines that the kernel compiles for. */
static uint32_t compute(unsigned code, uint32_t a, uint32_t b) {
  switch (code & 0xf0) {
  case ADD:
    return a + b;
  case SUB:
    return a - b;
  case MUL:
    return a * b;
  case DIV:
    return a / b;
  case MOD:
    return a % b;
  case AND:
    return a & b;
  case OR:
    return a | b;
  case XOR:
    return a ^ b;
  case LSH:
    return a << (b & 31);
  case RSH:
    return a >> (b & 31);
  default:
    return 0 - a;
  }
}

static bool divides(unsigned code) {
  return (code & 0xf0) == DIV || (code & 0xf0) == MOD;
}

static bool holds(unsigned code, uint32_t a, uint32_t b) {
  switch (code & 0xf0) {
  case JEQ:
    return a == b;
  case JGT:
    return a > b;
  case JGE:
    return a >= b;
  default:
    return (a & b) != 0;
  }
}

struct machine {
  uint32_t a, x, memory[BPF_WORDS];
};

/* LD, LDX, ST and STX. Returns what load does. */
static int move(struct machine *m, const struct bpf_instr *i,
                const struct bpf_packet *p) {
  static const unsigned sizes[] = {4, 2, 1, 0};
  unsigned class = i->code & 7, size = sizes[i->code >> 3 & 3];
  uint32_t *to = class == LD ? &m->a : &m->x;
  int got = 1;
  if (class == ST || class == STX) {
    m->memory[i->k] = class == ST ? m->a : m->x;
    return 1;
  }
  switch (i->code & 0xe0) {
  case ABS:
    if (i->k != ANCILLARY + 4 * XOR_X)
      return load(p, i->k, size, to);
    m->a ^= m->x;
    return 1;
  case IND:
    return load(p, m->x + i->k, size, to);
  case MSH:
    got = load(p, i->k, 1, to);
    *to = (*to & 15) * 4;
    return got;
  case LEN:
    *to = p->length;
    return 1;
  case MEM:
    *to = m->memory[i->k];
    return 1;
  default:
    *to = i->k;
    return 1;
  }
}

int64_t bpf_run(const struct bpf_instr *program, const struct bpf_packet *p,
                size_t *at) {
  struct machine m = {0};
  const struct bpf_instr *i;
  for (i = program;; i++) {
    uint32_t b = i->code & X ? m.x : i->k;
    int got;
    switch (i->code & 7) {
    case ALU:
      if (b == 0 && divides(i->code))
        return 0;
      m.a = compute(i->code, m.a, b);
      break;
    case JMP:
      if ((i->code & 0xf0) == JA)
        i += i->k;
      else
        i += holds(i->code, m.a, b) ? i->jt : i->jf;
      break;
    case RET:
      return i->code & A ? m.a : i->k;
    case MISC:
      if (i->code & TXA)
        m.a = m.x;
      else
        m.x = m.a;
      break;
    default:
      *at = (size_t)(i - program);
      if ((got = move(&m, i, p)) <= 0)
        return got;
    }
  }
}

/* ---- writing ---- */

const char *bpf_line(const struct bpf_instr *program, size_t at,
                     char buf[BPF_LINELEN]) {
  const struct bpf_instr *i = &program[at];
  const struct opcode *o = opcode(i);
  char operand[32];
  size_t k = i->k;
  if (o == NULL) {
    snprintf(buf, BPF_LINELEN, "(%03zu) unimp    0x%x", at, i->code);
    return buf;
  }
  if (o->rule == OFFSET && is_ancillary(i->k))
    snprintf(operand, sizeof operand, "[%s]",
             ancillary[(i->k - ANCILLARY) / 4]);
  else if (o->rule == ALWAYS)
    snprintf(operand, sizeof operand, "%zu", at + 1 + k);
  else
    snprintf(operand, sizeof operand, o->operand, i->k);
  if (o->rule == BRANCH)
    snprintf(buf, BPF_LINELEN, "(%03zu) %-8s %-16s jt %zu\tjf %zu", at, o->name,
             operand, at + 1 + i->jt, at + 1 + i->jf);
  else
    snprintf(buf, BPF_LINELEN, "(%03zu) %-8s %s", at, o->name, operand);
  return buf;
}
