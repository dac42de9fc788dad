/* SPDX-License-Identifier: MIT */
#include "sys/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PATH_AT = offsetof(struct sockaddr_un, sun_path) };

static void start(struct addr *a, int family, size_t len) {
  memset(&a->u, 0, family == AF_UNIX ? sizeof a->u : len);
  a->u.sa.sa_family = (sa_family_t)family;
  a->len = (socklen_t)len;
}

/* Digits only. Returns false if there are others, or it is over max. */
static bool number(const char *s, size_t len, uint32_t max, uint32_t *n) {
  uint64_t sum = 0;
  size_t i;
  for (i = 0; i < len; i++) {
    if (s[i] < '0' || s[i] > '9')
      return false;
    sum = sum * 10 + (uint64_t)(s[i] - '0');
    if (sum > max)
      return false;
  }
  *n = (uint32_t)sum;
  return len > 0;
}

/* An interface's name is asked for before it is taken for a number. */
static int parse_zone(const char *zone, size_t len, uint32_t *index) {
  char name[IF_NAMESIZE];
  if (len == 0)
    return -EINVAL;
  if (len < sizeof name) {
    memcpy(name, zone, len);
    name[len] = '\0';
    if ((*index = if_nametoindex(name)) != 0)
      return 0;
  }
  return number(zone, len, UINT32_MAX, index) ? 0 : -ENODEV;
}

static int parse_ip6(struct addr *a, const char *ip, size_t len) {
  char text[INET6_ADDRSTRLEN];
  const char *zone = memchr(ip, '%', len);
  size_t n = zone != NULL ? (size_t)(zone - ip) : len;
  if (n >= sizeof text)
    return -EINVAL;
  memcpy(text, ip, n);
  text[n] = '\0';
  start(a, AF_INET6, sizeof a->u.in6);
  if (inet_pton(AF_INET6, text, &a->u.in6.sin6_addr) != 1)
    return -EINVAL;
  if (zone == NULL)
    return 0;
  return parse_zone(zone + 1, len - n - 1, &a->u.in6.sin6_scope_id);
}

/* Four numbers up to 255 without leading zeros, as inet_pton has it; it is
 * asked for every datagram. */
static int parse_ip4(struct addr *a, const char *ip, size_t len) {
  unsigned char bytes[4];
  size_t at = 0;
  int i;
  for (i = 0; i < 4; i++) {
    size_t first = at;
    unsigned n = 0;
    while (at < len && at < first + 3 && ip[at] >= '0' && ip[at] <= '9')
      n = n * 10 + (unsigned)(ip[at++] - '0');
    if (at == first || n > 255 || (ip[first] == '0' && at > first + 1))
      return -EINVAL;
    if (i < 3 ? at == len || ip[at++] != '.' : at != len)
      return -EINVAL;
    bytes[i] = (unsigned char)n;
  }
  start(a, AF_INET, sizeof a->u.in);
  memcpy(&a->u.in.sin_addr, bytes, sizeof bytes);
  return 0;
}

int addr_ip(struct addr *a, const char *ip, size_t len, unsigned port) {
  int err = parse_ip4(a, ip, len);
  if (err < 0 && memchr(ip, '\0', len) == NULL && memchr(ip, ':', len) != NULL)
    err = parse_ip6(a, ip, len);
  if (err == 0)
    addr_setport(a, port);
  return err;
}

static int bracketed(struct addr *a, const char *s, size_t len, uint32_t port) {
  const char *end = memchr(s, ']', len);
  size_t n = end != NULL ? (size_t)(end - s) : 0;
  size_t rest = len - n - 1; /* what follows the bracket */
  if (end == NULL || memchr(s, ':', n) == NULL)
    return -EINVAL;
  if (rest > 0 && (end[1] != ':' || !number(end + 2, rest - 1, 65535, &port)))
    return -EINVAL;
  return addr_ip(a, s + 1, n - 1, port);
}

int addr_endpoint(struct addr *a, const char *text, size_t len, unsigned port) {
  const char *colon = memchr(text, ':', len);
  uint32_t own = port;
  size_t n;
  if (len > 0 && text[0] == '[')
    return bracketed(a, text, len, port);
  if (colon == NULL)
    return addr_ip(a, text, len, port);
  n = (size_t)(colon - text);
  if (memchr(colon + 1, ':', len - n - 1) != NULL)
    return addr_ip(a, text, len, port); /* two colons: bare IPv6 */
  if (!number(colon + 1, len - n - 1, 65535, &own))
    return -EINVAL;
  return addr_ip(a, text, n, own);
}

int addr_raw(struct addr *a, const void *bytes, size_t len) {
  if (len < sizeof a->u.sa.sa_family || len > sizeof a->u)
    return -EINVAL;
  start(a, AF_UNSPEC, len);
  memcpy(&a->u, bytes, len);
  return 0;
}

int addr_any(struct addr *a, int family, unsigned port) {
  if (family != AF_INET && family != AF_INET6)
    return -EAFNOSUPPORT;
  start(a, family, family == AF_INET ? sizeof a->u.in : sizeof a->u.in6);
  addr_setport(a, port);
  return 0;
}

int addr_unix(struct addr *a, const char *path, size_t len) {
  bool abstract = len > 0 && path[0] == '\0';
  if (len > ADDR_PATHMAX + (size_t)abstract)
    return -ENAMETOOLONG;
  if (!abstract && memchr(path, '\0', len) != NULL)
    return -EINVAL;
  start(a, AF_UNIX, PATH_AT + len);
  if (len > 0)
    memcpy(a->u.un.sun_path, path, len);
  if (len > 0 && !abstract)
    a->len++; /* with its NUL */
  return 0;
}

static char *decimal(char *at, unsigned n) {
  if (n >= 100)
    *at++ = (char)('0' + n / 100);
  if (n >= 10)
    *at++ = (char)('0' + n / 10 % 10);
  *at++ = (char)('0' + n % 10);
  return at;
}

/* inet_ntop takes ten times as long, and this is made for every datagram. */
static int ip4_text(const unsigned char *ip, char *buf) {
  char *at = decimal(buf, ip[0]);
  int i;
  for (i = 1; i < 4; i++) {
    *at++ = '.';
    at = decimal(at, ip[i]);
  }
  *at = '\0';
  return (int)(at - buf);
}

int addr_iptext(const struct addr *a, char buf[ADDR_IPLEN]) {
  const struct sockaddr_in6 *in6 = &a->u.in6;
  size_t n;
  if (addr_family(a) != AF_INET && addr_family(a) != AF_INET6)
    return -EAFNOSUPPORT;
  if (addr_family(a) == AF_INET)
    return ip4_text((const unsigned char *)&a->u.in.sin_addr, buf);
  inet_ntop(AF_INET6, &in6->sin6_addr, buf, ADDR_IPLEN);
  n = strlen(buf);
  if (in6->sin6_scope_id != 0) {
    char name[IF_NAMESIZE];
    if (if_indextoname(in6->sin6_scope_id, name) == NULL)
      snprintf(name, sizeof name, "%u", (unsigned)in6->sin6_scope_id);
    n += (size_t)snprintf(buf + n, ADDR_IPLEN - n, "%%%s", name);
  }
  return (int)n;
}

int addr_port(const struct addr *a) {
  if (addr_family(a) == AF_INET)
    return ntohs(a->u.in.sin_port);
  if (addr_family(a) == AF_INET6)
    return ntohs(a->u.in6.sin6_port);
  return -EAFNOSUPPORT;
}

void addr_setport(struct addr *a, unsigned port) {
  if (addr_family(a) == AF_INET)
    a->u.in.sin_port = htons((uint16_t)port);
  else if (addr_family(a) == AF_INET6)
    a->u.in6.sin6_port = htons((uint16_t)port);
}

uint32_t addr_scope(const struct addr *a) {
  return addr_family(a) == AF_INET6 ? a->u.in6.sin6_scope_id : 0;
}

uint32_t addr_flow(const struct addr *a) {
  return addr_family(a) == AF_INET6 ? ntohl(a->u.in6.sin6_flowinfo) : 0;
}

void addr_setflow(struct addr *a, uint32_t flow) {
  if (addr_family(a) == AF_INET6)
    a->u.in6.sin6_flowinfo = htonl(flow);
}

int addr_path(const struct addr *a, const char **path) {
  size_t n;
  if (addr_family(a) != AF_UNIX)
    return -EAFNOSUPPORT;
  *path = (const char *)&a->u + PATH_AT; /* may fill sun_path, and more */
  n = a->len > PATH_AT ? a->len - PATH_AT : 0;
  if (n > sizeof a->u - PATH_AT)
    n = sizeof a->u - PATH_AT;
  return (int)(n > 0 && **path != '\0' ? strnlen(*path, n) : n);
}

/* NULs as '@', as is the custom, other control bytes as '?'. */
static void text_unix(const struct addr *a, char buf[ADDR_TEXTLEN]) {
  const char *path;
  int i, n = addr_path(a, &path);
  if (n == 0)
    snprintf(buf, ADDR_TEXTLEN, "(no name)");
  if (n == 0)
    return;
  if (n > ADDR_TEXTLEN - 1)
    n = ADDR_TEXTLEN - 1;
  for (i = 0; i < n; i++) {
    unsigned char c = (unsigned char)path[i];
    buf[i] = path[i];
    if (c < ' ' || c == 127)
      buf[i] = c == 0 ? '@' : '?';
  }
  buf[n] = '\0';
}

const char *addr_text(const struct addr *a, char buf[ADDR_TEXTLEN]) {
  char ip[ADDR_IPLEN];
  int family = addr_family(a);
  if (family == AF_UNIX)
    text_unix(a, buf);
  else if (addr_iptext(a, ip) < 0)
    snprintf(buf, ADDR_TEXTLEN, "(family %d)", family);
  else
    snprintf(buf, ADDR_TEXTLEN, family == AF_INET6 ? "[%s]:%d" : "%s:%d", ip,
             addr_port(a));
  return buf;
}

void addr_unmap(struct addr *a) {
  struct in6_addr in6;
  unsigned port;
  if (addr_family(a) != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr))
    return;
  in6 = a->u.in6.sin6_addr;
  port = a->u.in6.sin6_port;
  start(a, AF_INET, sizeof a->u.in);
  a->u.in.sin_port = (in_port_t)port;
  memcpy(&a->u.in.sin_addr, &in6.s6_addr[12], 4);
}

void addr_map(struct addr *a) {
  struct in_addr in;
  unsigned port;
  if (addr_family(a) != AF_INET)
    return;
  in = a->u.in.sin_addr;
  port = a->u.in.sin_port;
  start(a, AF_INET6, sizeof a->u.in6);
  a->u.in6.sin6_port = (in_port_t)port;
  a->u.in6.sin6_addr.s6_addr[10] = a->u.in6.sin6_addr.s6_addr[11] = 0xff;
  memcpy(&a->u.in6.sin6_addr.s6_addr[12], &in, 4);
}
