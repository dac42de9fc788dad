/* SPDX-License-Identifier: MIT
 * Control data: what is put in comes out, and what is cut short is refused. */
#include "sys/cmsg.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#ifdef __linux__
#include <linux/if_packet.h>
#endif

#include "base/util.h"
#include "check.h"

enum { ROOM = 256 };

static _Alignas(16) char control[ROOM];

static size_t put_int(const char *name, int64_t number) {
  const struct cmsg_row *row = cmsg_named(name);
  struct cmsg_value v = {.number = number};
  struct cmsg_item item;
  char bytes[CMSG_ENCODED];
  size_t at = 0;
  memset(control, 0, sizeof control);
  item.level = row->level;
  item.type = row->type;
  item.data = bytes;
  item.len = (size_t)cmsg_encode(row, &v, bytes);
  cmsg_put(control, &at, &item);
  return at;
}

static void test_round_trip(void) {
  static const char *const names[] = {"IP_TTL", "IP_TOS", "IPV6_HOPLIMIT"};
  struct cmsg_item item;
  struct cmsg_value v;
  size_t i;
  for (i = 0; i < countof(names); i++) {
    size_t at = 0, len = put_int(names[i], 77);
    CHECK(len == cmsg_room(sizeof(int)));
    CHECK(cmsg_next(control, len, &at, &item));
    CHECK(cmsg_find(item.level, item.type) == cmsg_named(names[i]));
    CHECK(cmsg_decode(cmsg_named(names[i]), &item, &v) && v.number == 77);
    CHECK(!cmsg_next(control, len, &at, &item));
  }
}

static void test_several(void) {
  struct cmsg_item item = {SOL_SOCKET, 1, "abc", 3};
  size_t at = 0, len;
  memset(control, 0, sizeof control);
  cmsg_put(control, &at, &item);
  item.type = 2;
  item.len = 0;
  cmsg_put(control, &at, &item);
  len = at;
  at = 0;
  CHECK(cmsg_next(control, len, &at, &item) && item.type == 1);
  CHECK(item.len == 3 && memcmp(item.data, "abc", 3) == 0);
  CHECK(cmsg_next(control, len, &at, &item) && item.type == 2);
  CHECK(item.len == 0 && !cmsg_next(control, len, &at, &item));
}

/* Every shorter buffer, and a length that lies. */
static void test_cut(void) {
  struct cmsg_item item;
  size_t at, n, len = put_int("IP_TTL", 1);
  for (n = 0; n < CMSG_LEN(sizeof(int)); n++) {
    at = 0;
    CHECK(!cmsg_next(control, n, &at, &item));
  }
  ((struct cmsghdr *)(void *)control)->cmsg_len = 1;
  at = 0;
  CHECK(!cmsg_next(control, len, &at, &item));
  ((struct cmsghdr *)(void *)control)->cmsg_len = (size_t)-1;
  at = 0;
  CHECK(!cmsg_next(control, len, &at, &item));
}

/* Items too short for what they should hold are not decoded. */
static void test_short(void) {
  static const char *const names[] = {
    "SCM_CREDENTIALS", "SO_TIMESTAMPNS", "IP_PKTINFO",   "IPV6_PKTINFO",
    "IP_RECVERR",      "IP_ORIGDSTADDR", "IPV6_RECVERR",
  };
  char bytes[1] = {0};
  struct cmsg_item item = {0, 0, bytes, 1};
  struct cmsg_value v;
  size_t i;
  for (i = 0; i < countof(names); i++)
    CHECK(!cmsg_decode(cmsg_named(names[i]), &item, &v));
  CHECK(cmsg_named("SCM_WRONGS") == NULL && cmsg_find(-1, -1) == NULL);
}

static void test_pktinfo(void) {
  const struct cmsg_row *row = cmsg_named("IPV6_PKTINFO");
  struct cmsg_value v, w;
  struct cmsg_item item = {0, 0, control, 0};
  char text[ADDR_IPLEN];
  memset(&v, 0, sizeof v);
  v.ifindex = 7;
  CHECK(addr_ip(&v.local, "fd00::1", 7, 0) == 0);
  item.len = (size_t)cmsg_encode(row, &v, control);
  CHECK(cmsg_decode(row, &item, &w) && w.ifindex == 7);
  CHECK(addr_iptext(&w.addr, text) > 0 && strcmp(text, "fd00::1") == 0);
}

/* A time of three, of which the last is the hardware's. */
static void test_times(void) {
  static const struct {
    const char *name;
    int64_t seconds, nanoseconds, raw;
  } cases[] = {
    {"SO_TIMESTAMP",        7, 5000, 0 },
    {"SO_TIMESTAMPNS",      7, 5,    0 },
    {"SO_TIMESTAMPING",     7, 5,    99},
    {"SO_TIMESTAMP_NEW",    7, 5000, 0 },
    {"SO_TIMESTAMPNS_NEW",  7, 5,    0 },
    {"SO_TIMESTAMPING_NEW", 7, 5,    99},
  };
  static const int64_t times[] = {7, 5, 0, 0, 99, 1};
  struct cmsg_item item = {0, 0, times, sizeof times};
  struct cmsg_value v;
  size_t i;
  for (i = 0; i < countof(cases); i++) {
    const struct cmsg_row *row = cmsg_named(cases[i].name);
    if (row == NULL)
      continue;
    CHECK(cmsg_decode(row, &item, &v));
    CHECK(v.seconds == cases[i].seconds);
    CHECK(v.nanoseconds == cases[i].nanoseconds);
    CHECK(v.rawseconds == cases[i].raw);
  }
}

#ifdef __linux__
static void test_widths(void) {
  struct cmsg_value v = {.number = 0x0102030405060708}, w;
  char bytes[CMSG_ENCODED];
  struct cmsg_item item = {0, 0, bytes, 0};
  item.len = (size_t)cmsg_encode(cmsg_named("UDP_SEGMENT"), &v, bytes);
  CHECK(item.len == 2);
  CHECK(cmsg_decode(cmsg_named("UDP_SEGMENT"), &item, &w));
  CHECK(w.number == 0x0708);
  item.len = (size_t)cmsg_encode(cmsg_named("SCM_TXTIME"), &v, bytes);
  CHECK(item.len == 8);
  CHECK(cmsg_decode(cmsg_named("SCM_TXTIME"), &item, &w));
  CHECK(w.number == v.number);
  CHECK(cmsg_encode(cmsg_named("PACKET_AUXDATA"), &v, bytes) == -EINVAL);
  CHECK(cmsg_encode(cmsg_named("IPV6_HOPOPTS"), &v, bytes) == -EINVAL);
}

static void test_auxdata(void) {
  const struct cmsg_row *row = cmsg_named("PACKET_AUXDATA");
  struct tpacket_auxdata a = {.tp_status = TP_STATUS_USER,
                              .tp_len = 100,
                              .tp_snaplen = 60,
                              .tp_vlan_tci = 7,
                              .tp_vlan_tpid = 0x8100};
  struct cmsg_item item = {0, 0, &a, sizeof a};
  struct cmsg_value v;
  CHECK(cmsg_decode(row, &item, &v));
  CHECK(v.number == TP_STATUS_USER && v.length == 100 && v.snaplen == 60);
  CHECK(v.vlan == -1 && v.vlan_tpid == -1);
  a.tp_status |= TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
  CHECK(cmsg_decode(row, &item, &v) && v.vlan == 7 && v.vlan_tpid == 0x8100);
  item.len--;
  CHECK(!cmsg_decode(row, &item, &v));
}

static void test_path_mtu(void) {
  struct ip6_mtuinfo m = {.ip6m_addr.sin6_family = AF_INET6, .ip6m_mtu = 1400};
  struct cmsg_item item = {0, 0, &m, sizeof m};
  struct cmsg_value v;
  CHECK(cmsg_decode(cmsg_named("IPV6_PATHMTU"), &item, &v));
  CHECK(v.number == 1400 && addr_family(&v.addr) == AF_INET6);
}
#endif

int main(void) {
  int passed = 0;
  RUN(test_round_trip);
  RUN(test_several);
  RUN(test_cut);
  RUN(test_short);
  RUN(test_pktinfo);
  RUN(test_times);
#ifdef __linux__
  RUN(test_widths);
  RUN(test_auxdata);
  RUN(test_path_mtu);
#endif
  printf("%d passed\n", passed);
  return 0;
}
