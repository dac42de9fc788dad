/* SPDX-License-Identifier: MIT
 * The table of socket options, against this kernel. */
#include "sys/sockopt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/tcp.h>
#endif

#include "check.h"
#include "sys/tcpinfo.h"

static int tcp;

static const struct sockopt *row(const char *name) {
  const struct sockopt *o = sockopt_find(name);
  CHECK(o != NULL);
  return o;
}

static void test_table(void) {
  const struct sockopt *o;
  size_t i, j;
  for (i = 0; (o = sockopt_row(i)) != NULL; i++) {
    CHECK(sockopt_find(o->name) == o);
    CHECK(o->access & OPT_RW && o->families & OPT_ANY);
    CHECK(o->min <= o->max);
    for (j = 0; j < i; j++)
      CHECK(strcmp(sockopt_row(j)->name, o->name) != 0);
  }
  CHECK(i >= 60);
  CHECK(sockopt_find("TCP_NODEALY") == NULL);
  CHECK(sockopt_find("") == NULL);
}

static void test_bool_and_int(void) {
  struct optvalue v = {.on = true};
  CHECK(sockopt_set(tcp, row("TCP_NODELAY"), &v) == 0);
  v.on = false;
  CHECK(sockopt_get(tcp, row("TCP_NODELAY"), &v) == 0 && v.on);
  v.number = 42;
  CHECK(sockopt_set(tcp, row("TCP_KEEPIDLE"), &v) == 0);
  CHECK(sockopt_get(tcp, row("TCP_KEEPIDLE"), &v) == 0 && v.number == 42);
  v.number = 4000000000;
  CHECK(sockopt_set(tcp, row("TCP_NOTSENT_LOWAT"), &v) == 0);
  CHECK(sockopt_get(tcp, row("TCP_NOTSENT_LOWAT"), &v) == 0);
  CHECK(v.number == 4000000000);
  CHECK(sockopt_get(tcp, row("SO_TYPE"), &v) == 0 && v.number == SOCK_STREAM);
}

static void test_range(void) {
  struct optvalue v = {.number = 127};
  CHECK(sockopt_inrange(row("TCP_KEEPCNT"), &v));
  v.number = 128;
  CHECK(!sockopt_inrange(row("TCP_KEEPCNT"), &v));
  v.number = 0;
  CHECK(!sockopt_inrange(row("TCP_KEEPCNT"), &v));
  v.seconds = -1;
  CHECK(!sockopt_inrange(row("SO_RCVTIMEO"), &v));
  v.on = true;
  v.number = -1;
  CHECK(!sockopt_inrange(row("SO_LINGER"), &v));
  v.len = 16;
  CHECK(!sockopt_inrange(row("TCP_CONGESTION"), &v));
  v.len = 0;
  CHECK(!sockopt_inrange(row("TCP_CONGESTION"), &v));
}

static void test_linger_and_time(void) {
  struct optvalue v = {.on = true, .number = 7};
  CHECK(sockopt_set(tcp, row("SO_LINGER"), &v) == 0);
  memset(&v, 0, sizeof v);
  CHECK(sockopt_get(tcp, row("SO_LINGER"), &v) == 0 && v.on && v.number == 7);
  v.on = false;
  CHECK(sockopt_set(tcp, row("SO_LINGER"), &v) == 0);
  CHECK(sockopt_get(tcp, row("SO_LINGER"), &v) == 0 && !v.on);
  v.seconds = 1.5;
  CHECK(sockopt_set(tcp, row("SO_RCVTIMEO"), &v) == 0);
  CHECK(sockopt_get(tcp, row("SO_RCVTIMEO"), &v) == 0);
  CHECK(v.seconds > 1.49 && v.seconds < 1.51);
  v.seconds = 1e-9;
  CHECK(sockopt_set(tcp, row("SO_RCVTIMEO"), &v) == 0);
  CHECK(sockopt_get(tcp, row("SO_RCVTIMEO"), &v) == 0 && v.seconds > 0);
  v.seconds = 0;
  CHECK(sockopt_set(tcp, row("SO_RCVTIMEO"), &v) == 0);
  CHECK(sockopt_get(tcp, row("SO_RCVTIMEO"), &v) == 0 && v.seconds <= 0);
}

static void test_bytes(void) {
  struct optvalue v;
  CHECK(sockopt_get(tcp, row("TCP_CONGESTION"), &v) == 0 && v.len > 0);
  CHECK(sockopt_set(tcp, row("TCP_CONGESTION"), &v) == 0);
  CHECK(sockopt_get(tcp, row("SO_BINDTODEVICE"), &v) == 0 && v.len == 0);
}

static void test_address(void) {
  struct optvalue v, w = {.bytes = "127.0.0.1", .len = 9};
  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(sockopt_set(udp, row("IP_MULTICAST_IF"), &w) == 0);
  CHECK(sockopt_get(udp, row("IP_MULTICAST_IF"), &v) == 0);
  CHECK(v.len == 9 && memcmp(v.bytes, "127.0.0.1", 9) == 0);
  w.bytes = "127.0.0.x";
  CHECK(sockopt_set(udp, row("IP_MULTICAST_IF"), &w) == -EINVAL);
  close(udp);
}

static void test_absent(void) {
  struct sockopt o = *row("TCP_NODELAY");
  struct optvalue v = {.on = true};
  o.number = OPT_ABSENT;
  CHECK(sockopt_get(tcp, &o, &v) == -ENOPROTOOPT);
  CHECK(sockopt_set(tcp, &o, &v) == -ENOPROTOOPT);
  o.number = 9999;
  CHECK(sockopt_get(tcp, &o, &v) == -ENOPROTOOPT);
}

static void test_cred(void) {
  struct optvalue v;
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(sockopt_get(pair[0], row("SO_PEERCRED"), &v) == 0);
  CHECK(v.cred.pid == getpid() && v.cred.uid == (int64_t)geteuid());
  CHECK(sockopt_set(pair[0], row("SO_PEERCRED"), &v) == -ENOPROTOOPT);
  close(pair[0]);
  close(pair[1]);
}

/* Every option that can be read can be asked for here, of every kind. */
static void test_all_readable(void) {
  int fds[] = {tcp, socket(AF_INET6, SOCK_DGRAM, 0),
               socket(AF_UNIX, SOCK_STREAM, 0)};
  const struct sockopt *o;
  int ok = 0;
  size_t i, f;
  for (f = 0; f < 3; f++)
    for (i = 0; (o = sockopt_row(i)) != NULL; i++) {
      struct optvalue v;
      int err = o->access & OPT_R ? sockopt_get(fds[f], o, &v) : 0;

      CHECK(err != -EFAULT && err != -EBADF);
      ok += o->access & OPT_R && err == 0;
    }
  CHECK(ok > 120);
  close(fds[1]);
  close(fds[2]);
}

#ifdef __linux__
static uint64_t field(const void *info, size_t len, const char *name) {
  const char *at;
  size_t i = 0;
  uint64_t value;
  while ((at = tcpinfo_field(info, len, &i, &value)) != NULL)
    if (strcmp(at, name) == 0)
      return value;
  return UINT64_MAX;
}

static void test_tcpinfo(void) {
  struct tcp_info t;
  struct optvalue v;
  memset(&t, 0, sizeof t);
  t.tcpi_state = 1;
  t.tcpi_snd_wscale = 3;
  t.tcpi_rcv_wscale = 9;
  t.tcpi_delivery_rate_app_limited = 1;
  t.tcpi_fastopen_client_fail = 2;
  t.tcpi_rtt = 1234;
  t.tcpi_pacing_rate = 5000000000;
  t.tcpi_rcv_ooopack = 77;
  t.tcpi_snd_wnd = 88;
  CHECK(field(&t, sizeof t, "state") == 1);
  CHECK(field(&t, sizeof t, "snd_wscale") == 3);
  CHECK(field(&t, sizeof t, "rcv_wscale") == 9);
  CHECK(field(&t, sizeof t, "delivery_rate_app_limited") == 1);
  CHECK(field(&t, sizeof t, "fastopen_client_fail") == 2);
  CHECK(field(&t, sizeof t, "rtt") == 1234);
  CHECK(field(&t, sizeof t, "pacing_rate") == 5000000000);
  CHECK(field(&t, sizeof t, "rcv_ooopack") == 77);
  CHECK(field(&t, sizeof t, "snd_wnd") == 88);
  CHECK(field(&t, 104, "pacing_rate") == UINT64_MAX);
  CHECK(field(&t, 104, "total_retrans") == 0);
  CHECK(sockopt_get(tcp, row("TCP_INFO"), &v) == 0 && v.len >= 104);
  CHECK(field(v.bytes, v.len, "state") == 7); /* TCP_CLOSE */
  CHECK(field(v.bytes, v.len, "snd_mss") > 0);
}
#endif

static void test_raw(void) {
  int on = 1, got = 0;
  size_t len = sizeof got;
  CHECK(sockopt_setraw(tcp, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
  CHECK(sockopt_getraw(tcp, SOL_SOCKET, SO_KEEPALIVE, &got, &len) == 0);
  CHECK(got == 1 && len == sizeof got);
  CHECK(sockopt_setraw(tcp, SOL_SOCKET, 9999, &on, sizeof on) == -ENOPROTOOPT);
  CHECK(sockopt_setraw(-1, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == -EBADF);
}

int main(void) {
  int passed = 0;
  tcp = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(tcp >= 0);
  RUN(test_table);
  RUN(test_bool_and_int);
  RUN(test_range);
  RUN(test_linger_and_time);
  RUN(test_bytes);
  RUN(test_address);
  RUN(test_absent);
  RUN(test_cred);
  RUN(test_all_readable);
#ifdef __linux__
  RUN(test_tcpinfo);
#endif
  RUN(test_raw);
  close(tcp);
  printf("%d passed\n", passed);
  return 0;
}
