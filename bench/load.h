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
  int depth;         /* requests or messages that are sent at once */
  int wait;          /* in epoll */
  int isolated;      /* in a network namespace of our own */
  double before;     /* seconds of warming up, at least a quarter of */
  double seconds;    /* of the measured window */
  const char *path;  /* what is asked for by HTTP */
  const char *other; /* the shell's command for the other end */
  const char *trace; /* file for the counts of system calls */
  char *profile;     /* file for perf's samples of the window */
  char **command;
} want;

/* The window begins after warming up. */
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

/* A program that meters itself, against another end that is started first. */
void run_against(void);

/* HTTP (load_http.c): requests to a server, by us or by wrk; answers to a
 * client, or to many of its connections; messages of WebSocket, echoed. */
void run_wrk(void);
void run_http(void);
void run_http_client(void);
void run_websocket(void);

/* Starts the command with a port that is free, for servers that cannot choose
 * one, and waits until it serves there or where it says. */
int start_server(void);

/* As many requests as are sent at once, to be freed. */
char *http_requests(int port, size_t *size);

/* The length of the answer that begins here, 0 while its head is not whole;
 * what is no good answer ends us. */
size_t http_length(const char *text, size_t size);

/* TLS (load_tls.c): messages echoed, bulk to a server and from one, handshakes
 * from scratch and resumed, connections that fall silent, HTTP. */
void run_tls_echo(void);
void run_tls_sink(void);
void run_tls_source(void);
void run_tls_full(void);
void run_tls_resumed(void);
void run_tls_idle(void);
void run_tls_http(void);

#endif
