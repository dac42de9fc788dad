/* SPDX-License-Identifier: MIT */
#include "sys/sockopt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

const struct sockopt *sockopt_row(size_t i) {
  return i < sockopt_count ? &sockopt_rows[i] : NULL;
}

const struct sockopt *sockopt_find(const char *name) {
  size_t i;
  for (i = 0; i < sockopt_count; i++)
    if (strcmp(sockopt_rows[i].name, name) == 0)
      return &sockopt_rows[i];
  return NULL;
}

bool sockopt_inrange(const struct sockopt *o, const struct optvalue *v) {
  switch (o->type) {
  case OPT_INT:
  case OPT_UINT:
  case OPT_LONG:
  case OPT_NETINT:
    return v->number >= o->min && v->number <= o->max;
  case OPT_LINGER:
    return !v->on || (v->number >= o->min && v->number <= o->max);
  case OPT_TIME:
    return v->seconds >= 0 && v->seconds <= (double)o->max;
  case OPT_STRING:
  case OPT_BYTES:
    return v->len >= (size_t)o->min && v->len <= (size_t)o->max;
  default:
    return true;
  }
}

int sockopt_getraw(int fd, int level, int number, void *buf, size_t *len) {
  socklen_t n = (socklen_t)*len;
  if (getsockopt(fd, level, number, buf, &n) == -1)
    return -errno;
  *len = n;
  return 0;
}

int sockopt_setraw(int fd, int level, int number, const void *buf, size_t len) {
  if (setsockopt(fd, level, number, buf, (socklen_t)len) == -1)
    return -errno;
  return 0;
}

/* As wide as the system made it, some make bytes of flags. */
static int64_t decode_int(const struct optvalue *v, bool sign) {
  int32_t i;
  int64_t l;
  if (v->len == sizeof l) {
    memcpy(&l, v->room, sizeof l);
    return l;
  }
  if (v->len < sizeof i)
    return v->len > 0 ? (unsigned char)v->room[0] : 0;
  memcpy(&i, v->room, sizeof i);
  return sign ? (int64_t)i : (int64_t)(uint32_t)i;
}

static int decode_time(struct optvalue *v) {
  struct timeval t;
  memcpy(&t, v->room, sizeof t);
  v->seconds = (double)t.tv_sec + (double)t.tv_usec / 1e6;
  return 0;
}

static int decode_linger(struct optvalue *v) {
  struct linger l;
  memcpy(&l, v->room, sizeof l);
  v->on = l.l_onoff != 0;
  v->number = l.l_linger;
  return 0;
}

static int decode_ip4(struct optvalue *v) {
  struct in_addr in;
  memcpy(&in, v->room, sizeof in);
  inet_ntop(AF_INET, &in, v->room, sizeof v->room);
  v->len = strlen(v->room);
  return 0;
}

static int decode_cred(int fd, struct optvalue *v) {
  return sys_peercred(fd, &v->cred);
}

static int decode(int fd, const struct sockopt *o, struct optvalue *v) {
  switch (o->type) {
  case OPT_BOOL:
    v->on = decode_int(v, true) != 0;
    return 0;
  case OPT_NETINT:
    v->number = ntohl((uint32_t)decode_int(v, false));
    return 0;
  case OPT_INT:
  case OPT_UINT:
  case OPT_LONG:
    v->number = decode_int(v, o->type == OPT_INT);
    return 0;
  case OPT_TIME:
    return decode_time(v);
  case OPT_LINGER:
    return decode_linger(v);
  case OPT_STRING:
    v->len = strnlen(v->room, v->len);
    return 0;
  case OPT_IP4:
    return decode_ip4(v);
  case OPT_CRED:
    return decode_cred(fd, v);
  default:
    return 0;
  }
}

int sockopt_get(int fd, const struct sockopt *o, struct optvalue *v) {
  int err;
  if (o->number == OPT_ABSENT)
    return -ENOPROTOOPT;
  memset(v, 0, sizeof *v);
  v->bytes = v->room;
  v->len = sizeof v->room;
  err = sockopt_getraw(fd, o->level, o->number, v->room, &v->len);
  return err < 0 ? err : decode(fd, o, v);
}

static int set_int(int fd, const struct sockopt *o, int64_t number) {
  uint32_t i = (uint32_t)number;
  if (o->type == OPT_LONG)
    return sockopt_setraw(fd, o->level, o->number, &number, sizeof number);
  if (o->type == OPT_NETINT)
    i = htonl(i);
  return sockopt_setraw(fd, o->level, o->number, &i, sizeof i);
}

static int set_time(int fd, const struct sockopt *o, double seconds) {
  struct timeval t;
  t.tv_sec = (time_t)seconds;
  t.tv_usec = (suseconds_t)((seconds - (double)t.tv_sec) * 1e6);
  if (seconds > 0 && t.tv_sec == 0 && t.tv_usec == 0)
    t.tv_usec = 1; /* 0 would mean for ever */
  return sockopt_setraw(fd, o->level, o->number, &t, sizeof t);
}

static int set_linger(int fd, const struct sockopt *o,
                      const struct optvalue *v) {
  struct linger l = {.l_onoff = v->on, .l_linger = (int)v->number};
  return sockopt_setraw(fd, o->level, o->number, &l, sizeof l);
}

static int set_ip4(int fd, const struct sockopt *o, const struct optvalue *v) {
  char text[INET_ADDRSTRLEN];
  struct in_addr in;
  if (v->len >= sizeof text)
    return -EINVAL;
  memcpy(text, v->bytes, v->len);
  text[v->len] = '\0';
  if (inet_pton(AF_INET, text, &in) != 1)
    return -EINVAL;
  return sockopt_setraw(fd, o->level, o->number, &in, sizeof in);
}

int sockopt_set(int fd, const struct sockopt *o, const struct optvalue *v) {
  if (o->number == OPT_ABSENT)
    return -ENOPROTOOPT;
  switch (o->type) {
  case OPT_BOOL:
    return set_int(fd, o, v->on);
  case OPT_INT:
  case OPT_UINT:
  case OPT_LONG:
  case OPT_NETINT:
    return set_int(fd, o, v->number);
  case OPT_TIME:
    return set_time(fd, o, v->seconds);
  case OPT_LINGER:
    return set_linger(fd, o, v);
  case OPT_STRING:
  case OPT_BYTES:
    return sockopt_setraw(fd, o->level, o->number, v->bytes, v->len);
  case OPT_IP4:
    return set_ip4(fd, o, v);
  default:
    return -ENOPROTOOPT;
  }
}
