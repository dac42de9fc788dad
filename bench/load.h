/* What the load generators share: what is asked of them, and the window in
 * which the program is measured.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stddef.h>

enum { TRACED = 400 }; /* operations of each socket that are traced */

extern struct want {
  size_t size;       /* of a message */
  int count;         /* of connections, sockets, or starts */
  int wait;          /* in epoll */
  int isolated;      /* in a network namespace of our own */
  double seconds;    /* of the measured window */
  const char *trace; /* file for the counts of system calls */
  char *profile;     /* file for perf's samples of the window */
  char **command;
} want;

/* The window begins after a quarter as long of warming up. */
void meter_begin(void);

/* True when the window is over, and what it held is printed. */
int meter_over(double done);

/* The same congestion control everywhere: acknowledgements are handled on the
 * program's time, and a system that paces (bbr) would make that vary. */
int steady(int fd);

/* As many descriptors as both sides need, or as many as we are allowed. */
void raise_limit(void);

/* Datagrams and packets (load_message.c): each echoed; as many as there is
 * time for, to a program and from one; frames on a wire of their own. */
void run_datagrams(void);
void run_flood(void);
void run_drain(void);
void run_frames(void);

/* TLS (load_tls.c): messages echoed, bulk to a server and from one, handshakes
 * from scratch and resumed, connections that fall silent. */
void run_tls_echo(void);
void run_tls_sink(void);
void run_tls_source(void);
void run_tls_full(void);
void run_tls_resumed(void);
void run_tls_idle(void);

#endif
