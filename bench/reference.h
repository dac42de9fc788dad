/* The C programs, by what they exchange.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_REFERENCE_H
#define BENCH_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

/* One connection; `rest` is allocated only while the peer does not read. */
struct conn {
  int fd;
  uint32_t rest_begin, rest_end;
  char *rest;
};

/* Takes what arrived on a connection; false closes it. */
typedef int conn_handler(int poller, struct conn *conn, uint32_t events);

/* Serves on a port (0: any, printed), and never returns. */
void serve_conns(conn_handler *handle, int port);

/* Runs batch(n) with a growing n, until one takes the seconds that are asked
 * for of CPU time, or twice as long because it mostly waits, and prints what
 * it did. */
void measure(double (*batch)(double n));

/* Runs a role of datagrams or packets (reference_message.c); false if there is
 * none of this name. */
int message_role(const char *role, size_t size, int port);

/* The same of HTTP (reference_http.c). */
int http_role(const char *role, int port);

/* The same of TLS (reference_tls.c, built where OpenSSL is found). */
int tls_role(const char *role, size_t size, int port);

/* The same of SCTP (reference_sctp.c, built where usrsctp is found). */
int sctp_role(const char *role, size_t size, int port);

#endif
