/* SPDX-License-Identifier: MIT
 * Socket addresses: numeric text to bytes and back. No name is looked up
 * here, but for the zone of an IPv6 address. */
#ifndef NEAP_SYS_ADDR_H
#define NEAP_SYS_ADDR_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct addr {
  socklen_t len;
  union {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage any;
  } u;
};

enum {
  ADDR_IPLEN = 80,    /* an IPv6 address with its zone, and a NUL */
  ADDR_TEXTLEN = 128, /* any address for a message, and a NUL */
  ADDR_PATHMAX = sizeof((struct sockaddr_un *)0)->sun_path - 1
};

/* From "127.0.0.1", "::1", "fe80::1%eth0" or "fe80::1%2". Returns 0, -EINVAL
 * if that is no numeric address, -ENODEV for an unknown zone. */
int addr_ip(struct addr *a, const char *ip, size_t len, unsigned port);

/* The same, or with a port of its own: "127.0.0.1:80", "[::1]:80", "[::1]".
 * Without one it gets `port`. */
int addr_endpoint(struct addr *a, const char *text, size_t len, unsigned port);

/* From raw bytes as the kernel has them, the family first. Returns 0, or
 * -EINVAL if there are too few or too many. */
int addr_raw(struct addr *a, const void *bytes, size_t len);

/* The wildcard address of a family. Returns 0 or -EAFNOSUPPORT. */
int addr_any(struct addr *a, int family, unsigned port);

/* A Unix path; "" has no name, a leading NUL makes it abstract. Returns 0,
 * -ENAMETOOLONG over ADDR_PATHMAX bytes (one more if abstract), or -EINVAL
 * for a NUL inside of a path. */
int addr_unix(struct addr *a, const char *path, size_t len);

static inline int addr_family(const struct addr *a) {
  return a->len > 0 ? a->u.sa.sa_family : AF_UNSPEC;
}

/* The numeric text, with its zone if it has one. Returns its length, or
 * -EAFNOSUPPORT if it is not IP. */
int addr_iptext(const struct addr *a, char buf[ADDR_IPLEN]);

/* The port in host order, or -EAFNOSUPPORT. */
int addr_port(const struct addr *a);
void addr_setport(struct addr *a, unsigned port);

/* An IPv4 address that an IPv6 socket shows as ::ffff:a.b.c.d becomes plain,
 * and back. Other addresses stay as they are. */
void addr_unmap(struct addr *a);
void addr_map(struct addr *a);

/* The number of an IPv6 address's zone, or 0. */
uint32_t addr_scope(const struct addr *a);

/* An IPv6 address's flow label and traffic class, in host order; 0 and no
 * effect with any other. */
uint32_t addr_flow(const struct addr *a);
void addr_setflow(struct addr *a, uint32_t flow);

/* A Unix path's exact bytes, which point into `a`. Returns their number: 0
 * for no name, or -EAFNOSUPPORT. */
int addr_path(const struct addr *a, const char **path);

/* For messages: "127.0.0.1:80", "[::1]:80", "/run/x.sock", "@abstract".
 * Returns buf. */
const char *addr_text(const struct addr *a, char buf[ADDR_TEXTLEN]);

#endif
