/* SPDX-License-Identifier: MIT
 * Addresses: text to bytes and back, and what is refused. */
#include "sys/addr.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "check.h"

static bool is(const char *a, const char *b) {
  return strcmp(a, b) == 0;
}

static const struct {
  const char *text;
  int err, family;
  const char *back; /* NULL: the same */
} ips[] = {
  {"127.0.0.1",                               0,       AF_INET,  NULL        },
  {"255.255.255.255",                         0,       AF_INET,  NULL        },
  {"::",                                      0,       AF_INET6, NULL        },
  {"::1",                                     0,       AF_INET6, NULL        },
  {"0:0:0:0:0:0:0:1",                         0,       AF_INET6, "::1"       },
  {"::ffff:1.2.3.4",                          0,       AF_INET6, NULL        },
  {"FE80::ABCD",                              0,       AF_INET6, "fe80::abcd"},
  {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0,       AF_INET6, NULL        },
  {"fe80::1%lo",                              0,       AF_INET6, NULL        },
  {"fe80::1%1",                               0,       AF_INET6, "fe80::1%lo"},
  {"fe80::1%4294967295",                      0,       AF_INET6, NULL        },
  {"fe80::1%4294967296",                      -ENODEV, 0,        NULL        },
  {"fe80::1%no_such_zone_at_all",             -ENODEV, 0,        NULL        },
  {"fe80::1%",                                -EINVAL, 0,        NULL        },
  {"",                                        -EINVAL, 0,        NULL        },
  {"localhost",                               -EINVAL, 0,        NULL        },
  {"127.1",                                   -EINVAL, 0,        NULL        },
  {"127.0.0.01",                              -EINVAL, 0,        NULL        },
  {"0x7f.0.0.1",                              -EINVAL, 0,        NULL        },
  {"256.0.0.1",                               -EINVAL, 0,        NULL        },
  {"1.2.3.4%lo",                              -EINVAL, 0,        NULL        },
  {"1.2.3.4 ",                                -EINVAL, 0,        NULL        },
  {"[::1]",                                   -EINVAL, 0,        NULL        },
  {":",                                       -EINVAL, 0,        NULL        },
  {":::",                                     -EINVAL, 0,        NULL        },
  {"1:2:3:4:5:6:7:8:9",                       -EINVAL, 0,        NULL        },
};

static void test_ip(void) {
  size_t i;
  for (i = 0; i < countof(ips); i++) {
    struct addr a;
    char text[ADDR_IPLEN];
    const char *back = ips[i].back ? ips[i].back : ips[i].text;
    CHECK(addr_ip(&a, ips[i].text, strlen(ips[i].text), 65535) == ips[i].err);
    if (ips[i].err != 0)
      continue;
    CHECK(addr_family(&a) == ips[i].family && addr_port(&a) == 65535);
    CHECK(addr_iptext(&a, text) == (int)strlen(back));
    CHECK(is(text, back));
    addr_setport(&a, 1);
    CHECK(addr_port(&a) == 1);
  }
}

static void test_nul(void) {
  struct addr a;
  CHECK(addr_ip(&a, "127.0.0.1\0x", 11, 80) == -EINVAL);
  CHECK(addr_ip(&a, "::1\0", 4, 80) == -EINVAL);
  CHECK(addr_ip(&a, "127.0.0.1 and more", 9, 80) == 0);
}

static const struct {
  const char *text;
  int err;
  const char *back;
} endpoints[] = {
  {"127.0.0.1",       0,       "127.0.0.1:7"    },
  {"127.0.0.1:80",    0,       "127.0.0.1:80"   },
  {"127.0.0.1:0",     0,       "127.0.0.1:0"    },
  {"::1",             0,       "[::1]:7"        },
  {"::1:80",          0,       "[::0.1.0.128]:7"},
  {"[::1]",           0,       "[::1]:7"        },
  {"[::1]:65535",     0,       "[::1]:65535"    },
  {"[fe80::1%lo]:80", 0,       "[fe80::1%lo]:80"},
  {"127.0.0.1:",      -EINVAL, NULL             },
  {"127.0.0.1:65536", -EINVAL, NULL             },
  {"127.0.0.1:8a",    -EINVAL, NULL             },
  {"127.0.0.1:-1",    -EINVAL, NULL             },
  {":80",             -EINVAL, NULL             },
  {"[::1",            -EINVAL, NULL             },
  {"[::1]80",         -EINVAL, NULL             },
  {"[::1]:",          -EINVAL, NULL             },
  {"[127.0.0.1]:80",  -EINVAL, NULL             },
  {"[]",              -EINVAL, NULL             },
  {"[]:80",           -EINVAL, NULL             },
  {"[:]:80",          -EINVAL, NULL             },
  {"",                -EINVAL, NULL             },
};

static void test_endpoint(void) {
  size_t i;
  for (i = 0; i < countof(endpoints); i++) {
    struct addr a;
    char text[ADDR_TEXTLEN];
    const char *from = endpoints[i].text;
    CHECK(addr_endpoint(&a, from, strlen(from), 7) == endpoints[i].err);
    if (endpoints[i].err == 0)
      CHECK(is(addr_text(&a, text), endpoints[i].back));
  }
}

static void test_any(void) {
  struct addr a;
  char text[ADDR_TEXTLEN];
  CHECK(addr_any(&a, AF_INET, 80) == 0);
  CHECK(is(addr_text(&a, text), "0.0.0.0:80"));
  CHECK(addr_any(&a, AF_INET6, 80) == 0);
  CHECK(is(addr_text(&a, text), "[::]:80"));
  CHECK(addr_any(&a, AF_UNIX, 80) == -EAFNOSUPPORT);
}

static void check_path(const char *path, size_t len, const char *shown) {
  struct addr a;
  const char *back;
  char text[ADDR_TEXTLEN];
  CHECK(addr_unix(&a, path, len) == 0);
  CHECK(addr_path(&a, &back) == (int)len);
  CHECK(len == 0 || memcmp(back, path, len) == 0);
  CHECK(shown == NULL || is(addr_text(&a, text), shown));
  CHECK(addr_port(&a) == -EAFNOSUPPORT);
}

static void test_unix(void) {
  struct addr a;
  char full[120];
  CHECK(ADDR_PATHMAX == 107);
  memset(full, 'x', sizeof full);
  check_path("/run/x.sock", 11, "/run/x.sock");
  check_path("", 0, "(no name)");
  check_path("\0name", 5, "@name");
  check_path("\0a\0b\n", 5, "@a@b?");
  check_path(full, 107, NULL);
  CHECK(addr_unix(&a, full, 108) == -ENAMETOOLONG);
  full[0] = '\0';
  check_path(full, 108, NULL);
  CHECK(addr_unix(&a, full, 109) == -ENAMETOOLONG);
  CHECK(addr_unix(&a, "a\0b", 3) == -EINVAL);
  CHECK(addr_unix(&a, "ab\0", 3) == -EINVAL);
}

/* What the kernel makes of it comes back as the same bytes. */
static void bind_and_ask(const char *path, size_t len) {
  struct addr a, b;
  const char *back;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(fd >= 0 && addr_unix(&a, path, len) == 0);
  CHECK(bind(fd, &a.u.sa, a.len) == 0);
  b.len = sizeof b.u;
  CHECK(getsockname(fd, &b.u.sa, &b.len) == 0);
  CHECK(addr_path(&b, &back) == (int)len && memcmp(back, path, len) == 0);
  close(fd);
}

static void test_kernel(void) {
  char path[108];
  char dir[] = "/tmp/neap-unit-XXXXXX";
  struct addr a;
  const char *back;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  a.len = sizeof a.u;
  CHECK(getsockname(fd, &a.u.sa, &a.len) == 0);
  CHECK(addr_path(&a, &back) == 0);
  close(fd);
  CHECK(mkdtemp(dir) != NULL);
  memset(path, 'p', sizeof path);
  path[107] = '\0';
  memcpy(path, dir, strlen(dir));
  path[strlen(dir)] = '/';
  bind_and_ask(path, 107);
  unlink(path);
  rmdir(dir);
  memset(path, 'n', sizeof path);
  path[0] = '\0';
  bind_and_ask(path, 108);
}

static void test_raw(void) {
  struct addr a, b;
  char text[ADDR_TEXTLEN], bytes[200] = {0};
  sa_family_t family = 99;
  CHECK(addr_ip(&a, "10.0.0.1", 8, 53) == 0);
  CHECK(addr_raw(&b, &a.u, a.len) == 0);
  CHECK(is(addr_text(&b, text), "10.0.0.1:53"));
  CHECK(addr_raw(&b, bytes, 1) == -EINVAL);
  CHECK(addr_raw(&b, bytes, sizeof b.u + 1) == -EINVAL);
  memcpy(bytes, &family, sizeof family);
  CHECK(addr_raw(&b, bytes, 20) == 0 && b.len == 20);
  CHECK(is(addr_text(&b, text), "(family 99)"));
}

int main(void) {
  int passed = 0;
  RUN(test_ip);
  RUN(test_nul);
  RUN(test_endpoint);
  RUN(test_any);
  RUN(test_unix);
  RUN(test_kernel);
  RUN(test_raw);
  printf("%d passed\n", passed);
  return 0;
}
