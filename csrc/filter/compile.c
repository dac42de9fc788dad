/* SPDX-License-Identifier: MIT */
#include "filter/compile.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

enum { LINKTYPE_ATM_RFC1483 = 100, LINKTYPE_RAW = 101 };

/* The two that have other numbers in a file than in this system's libpcap. */
static int dlt(int linktype) {
  return linktype == LINKTYPE_RAW           ? DLT_RAW
         : linktype == LINKTYPE_ATM_RFC1483 ? DLT_ATM_RFC1483
                                            : linktype;
}

static int fail(char why[FILTER_WHYLEN], const char *text) {
  strncpy(why, text, FILTER_WHYLEN - 1);
  why[FILTER_WHYLEN - 1] = '\0';
  return -1;
}

int filter_compile(struct filter *f, const char *text, int linktype,
                   int snaplen, char why[FILTER_WHYLEN]) {
  struct bpf_program *p = calloc(1, sizeof *p);
  pcap_t *handle = pcap_open_dead(dlt(linktype), snaplen);
  int err;
  if (p == NULL || handle == NULL)
    err = fail(why, "out of memory");
  else if (pcap_compile(handle, p, text, 1, PCAP_NETMASK_UNKNOWN) < 0)
    err = fail(why, pcap_geterr(handle));
  else
    err = 0;
  if (handle != NULL)
    pcap_close(handle);
  if (err == 0)
    f->program = p;
  else
    free(p);
  return err;
}

size_t filter_count(const struct filter *f) {
  const struct bpf_program *p = f->program;
  return p->bf_len;
}

void filter_instruction(const struct filter *f, size_t i, uint32_t parts[4]) {
  const struct bpf_program *p = f->program;
  const struct bpf_insn *in = &p->bf_insns[i];
  parts[0] = in->code;
  parts[1] = in->jt;
  parts[2] = in->jf;
  parts[3] = in->k;
}

void filter_free(struct filter *f) {
  if (f->program == NULL)
    return;
  pcap_freecode(f->program);
  free(f->program);
  f->program = NULL;
}
