/* SPDX-License-Identifier: MIT */
#include "sys/cmsg.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#ifdef __linux__
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#endif

#include "base/util.h"

static const struct cmsg_row rows[] = {
  {"SCM_RIGHTS",                 SOL_SOCKET,   SCM_RIGHTS,                 CMSG_KIND_FDS    },
#ifdef SCM_CREDENTIALS
  {"SCM_CREDENTIALS",            SOL_SOCKET,   SCM_CREDENTIALS,            CMSG_KIND_CRED   },
#endif
#ifdef SO_TIMESTAMP
  {"SO_TIMESTAMP",               SOL_SOCKET,   SO_TIMESTAMP,               CMSG_KIND_TIME   },
#endif
#ifdef SO_TIMESTAMPNS
  {"SO_TIMESTAMPNS",             SOL_SOCKET,   SO_TIMESTAMPNS,             CMSG_KIND_TIME   },
#endif
#ifdef SO_TIMESTAMPING
  {"SO_TIMESTAMPING",            SOL_SOCKET,   SO_TIMESTAMPING,            CMSG_KIND_TIMES  },
#endif
#ifdef SO_TIMESTAMP_NEW
  {"SO_TIMESTAMP_NEW",           SOL_SOCKET,   SO_TIMESTAMP_NEW,           CMSG_KIND_TIME   },
  {"SO_TIMESTAMPNS_NEW",         SOL_SOCKET,   SO_TIMESTAMPNS_NEW,         CMSG_KIND_TIME   },
  {"SO_TIMESTAMPING_NEW",        SOL_SOCKET,   SO_TIMESTAMPING_NEW,        CMSG_KIND_TIMES  },
#endif
#ifdef SCM_TIMESTAMPING_OPT_STATS
  {"SCM_TIMESTAMPING_OPT_STATS", SOL_SOCKET,   SCM_TIMESTAMPING_OPT_STATS,
   CMSG_KIND_BYTES                                                                          },
#endif
#ifdef SCM_TIMESTAMPING_PKTINFO
  {"SCM_TIMESTAMPING_PKTINFO",   SOL_SOCKET,   SCM_TIMESTAMPING_PKTINFO,
   CMSG_KIND_BYTES                                                                          },
#endif
#ifdef SCM_TXTIME
  {"SCM_TXTIME",                 SOL_SOCKET,   SCM_TXTIME,                 CMSG_KIND_LONG   },
#endif
#ifdef SCM_SECURITY
  {"SCM_SECURITY",               SOL_SOCKET,   SCM_SECURITY,               CMSG_KIND_BYTES  },
#endif
#ifdef SCM_PIDFD
  {"SCM_PIDFD",                  SOL_SOCKET,   SCM_PIDFD,                  CMSG_KIND_FDS    },
#endif
#ifdef SO_PRIORITY
  {"SO_PRIORITY",                SOL_SOCKET,   SO_PRIORITY,                CMSG_KIND_UINT   },
#endif
#ifdef SO_RXQ_OVFL
  {"SO_RXQ_OVFL",                SOL_SOCKET,   SO_RXQ_OVFL,                CMSG_KIND_UINT   },
#endif
#ifdef SO_MARK
  {"SO_MARK",                    SOL_SOCKET,   SO_MARK,                    CMSG_KIND_UINT   },
#endif
#ifdef IP_PKTINFO
  {"IP_PKTINFO",                 IPPROTO_IP,   IP_PKTINFO,                 CMSG_KIND_PKTINFO},
#endif
  {"IP_TTL",                     IPPROTO_IP,   IP_TTL,                     CMSG_KIND_BYTE   },
  {"IP_TOS",                     IPPROTO_IP,   IP_TOS,                     CMSG_KIND_BYTE   },
#ifdef IP_RECVOPTS
  {"IP_RECVOPTS",                IPPROTO_IP,   IP_RECVOPTS,                CMSG_KIND_BYTES  },
#endif
#ifdef IP_RETOPTS
  {"IP_RETOPTS",                 IPPROTO_IP,   IP_RETOPTS,                 CMSG_KIND_BYTES  },
#endif
#ifdef IP_CHECKSUM
  {"IP_CHECKSUM",                IPPROTO_IP,   IP_CHECKSUM,                CMSG_KIND_UINT   },
#endif
#ifdef IP_RECVERR
  {"IP_RECVERR",                 IPPROTO_IP,   IP_RECVERR,                 CMSG_KIND_ERROR  },
#endif
#ifdef IP_ORIGDSTADDR
  {"IP_ORIGDSTADDR",             IPPROTO_IP,   IP_ORIGDSTADDR,             CMSG_KIND_ADDR   },
#endif
#ifdef IP_RECVFRAGSIZE
  {"IP_RECVFRAGSIZE",            IPPROTO_IP,   IP_RECVFRAGSIZE,            CMSG_KIND_INT    },
#endif
#ifdef IPV6_PKTINFO
  {"IPV6_PKTINFO",               IPPROTO_IPV6, IPV6_PKTINFO,               CMSG_KIND_PKTINFO},
  {"IPV6_HOPLIMIT",              IPPROTO_IPV6, IPV6_HOPLIMIT,              CMSG_KIND_INT    },
  {"IPV6_TCLASS",                IPPROTO_IPV6, IPV6_TCLASS,                CMSG_KIND_INT    },
  {"IPV6_HOPOPTS",               IPPROTO_IPV6, IPV6_HOPOPTS,               CMSG_KIND_BYTES  },
  {"IPV6_RTHDR",                 IPPROTO_IPV6, IPV6_RTHDR,                 CMSG_KIND_BYTES  },
  {"IPV6_RTHDRDSTOPTS",          IPPROTO_IPV6, IPV6_RTHDRDSTOPTS,          CMSG_KIND_BYTES  },
  {"IPV6_DSTOPTS",               IPPROTO_IPV6, IPV6_DSTOPTS,               CMSG_KIND_BYTES  },
#endif
#ifdef IPV6_PATHMTU
  {"IPV6_PATHMTU",               IPPROTO_IPV6, IPV6_PATHMTU,               CMSG_KIND_MTU    },
#endif
#ifdef IPV6_FLOWINFO
  {"IPV6_FLOWINFO",              IPPROTO_IPV6, IPV6_FLOWINFO,              CMSG_KIND_BYTES  },
#endif
#ifdef IPV6_RECVERR
  {"IPV6_RECVERR",               IPPROTO_IPV6, IPV6_RECVERR,               CMSG_KIND_ERROR  },
#endif
#ifdef IPV6_ORIGDSTADDR
  {"IPV6_ORIGDSTADDR",           IPPROTO_IPV6, IPV6_ORIGDSTADDR,           CMSG_KIND_ADDR   },
#endif
#ifdef IPV6_RECVFRAGSIZE
  {"IPV6_RECVFRAGSIZE",          IPPROTO_IPV6, IPV6_RECVFRAGSIZE,          CMSG_KIND_INT    },
#endif
#ifdef TCP_INQ
  {"TCP_CM_INQ",                 IPPROTO_TCP,  TCP_INQ,                    CMSG_KIND_INT    },
#endif
#ifdef UDP_GRO
  {"UDP_GRO",                    IPPROTO_UDP,  UDP_GRO,                    CMSG_KIND_INT    },
#endif
#ifdef UDP_SEGMENT
  {"UDP_SEGMENT",                IPPROTO_UDP,  UDP_SEGMENT,                CMSG_KIND_SHORT  },
#endif
#ifdef __linux__
  {"PACKET_AUXDATA",             SOL_PACKET,   PACKET_AUXDATA,             CMSG_KIND_AUXDATA},
  {"PACKET_TX_TIMESTAMP",        SOL_PACKET,   PACKET_TX_TIMESTAMP,        CMSG_KIND_ERROR  },
#endif
};

const struct cmsg_row *cmsg_find(int level, int type) {
  size_t i;
  for (i = 0; i < countof(rows); i++)
    if (rows[i].level == level && rows[i].type == type)
      return &rows[i];
  return NULL;
}

const struct cmsg_row *cmsg_named(const char *name) {
  size_t i;
  for (i = 0; i < countof(rows); i++)
    if (strcmp(rows[i].name, name) == 0)
      return &rows[i];
  return NULL;
}

bool cmsg_next(const void *control, size_t len, size_t *at,
               struct cmsg_item *item) {
  struct cmsghdr h;
  size_t head = CMSG_LEN(0);
  if (*at > len || len - *at < head)
    return false;
  memcpy(&h, (const char *)control + *at, sizeof h);
  if (h.cmsg_len < head || h.cmsg_len > len - *at)
    return false;
  item->level = h.cmsg_level;
  item->type = h.cmsg_type;
  item->data = (const char *)control + *at + head;
  item->len = h.cmsg_len - head;
  *at += CMSG_SPACE(item->len);
  return true;
}

size_t cmsg_room(size_t len) {
  return CMSG_SPACE(len);
}

void cmsg_put(void *control, size_t *at, const struct cmsg_item *item) {
  struct cmsghdr h = {.cmsg_len = CMSG_LEN(item->len),
                      .cmsg_level = item->level,
                      .cmsg_type = item->type};
  memcpy((char *)control + *at, &h, sizeof h);
  if (item->len > 0)
    memcpy((char *)control + *at + CMSG_LEN(0), item->data, item->len);
  *at += CMSG_SPACE(item->len);
}

/* ---- what is in them ---- */

static bool get(const struct cmsg_item *item, size_t from, void *to, size_t n) {
  if (item->len < from + n)
    return false;
  memcpy(to, (const char *)item->data + from, n);
  return true;
}

/* As wide as the system made it. */
static bool get_int(const struct cmsg_item *item, struct cmsg_value *v,
                    bool sign) {
  int32_t i;
  uint16_t two;
  unsigned char byte;
  if (get(item, 0, &i, sizeof i))
    v->number = sign ? (int64_t)i : (int64_t)(uint32_t)i;
  else if (get(item, 0, &two, sizeof two))
    v->number = two;
  else if (get(item, 0, &byte, 1))
    v->number = byte;
  else
    return false;
  return true;
}

/* The newer rows have 64 bits also where the system's time has 32. */
static bool get_wide(const struct cmsg_item *item, size_t i,
                     struct timespec *t) {
  int64_t pair[2];
  if (!get(item, i * sizeof pair, pair, sizeof pair))
    return false;
  t->tv_sec = (time_t)pair[0];
  t->tv_nsec = (long)pair[1];
  return true;
}

static bool get_timeval(const struct cmsg_item *item, struct timespec *t) {
  struct timeval us;
  if (!get(item, 0, &us, sizeof us))
    return false;
  t->tv_sec = us.tv_sec;
  t->tv_nsec = us.tv_usec * 1000;
  return true;
}

/* The i-th time of an item. */
static bool get_clock(const struct cmsg_row *row, const struct cmsg_item *item,
                      size_t i, struct timespec *t) {
#ifdef SO_TIMESTAMP_NEW
  if (row->type == SO_TIMESTAMP_NEW) {
    if (!get_wide(item, i, t))
      return false;
    t->tv_nsec *= 1000;
    return true;
  }
  if (row->type == SO_TIMESTAMPNS_NEW || row->type == SO_TIMESTAMPING_NEW)
    return get_wide(item, i, t);
#endif
  if (row->type == SO_TIMESTAMP)
    return get_timeval(item, t);
  return get(item, i * sizeof *t, t, sizeof *t);
}

static bool get_time(const struct cmsg_row *row, const struct cmsg_item *item,
                     struct cmsg_value *v) {
  struct timespec t;
  if (!get_clock(row, item, 0, &t))
    return false;
  v->seconds = t.tv_sec;
  v->nanoseconds = t.tv_nsec;
  if (row->kind == CMSG_KIND_TIMES && get_clock(row, item, 2, &t)) {
    v->rawseconds = t.tv_sec;
    v->rawnanoseconds = t.tv_nsec;
  }
  return true;
}

static bool get_cred(const struct cmsg_item *item, struct cmsg_value *v) {
#ifdef SCM_CREDENTIALS
  struct ucred u;
  if (!get(item, 0, &u, sizeof u))
    return false;
  v->cred.pid = u.pid;
  v->cred.uid = u.uid;
  v->cred.gid = u.gid;
  return true;
#else
  (void)item;
  (void)v;
  return false;
#endif
}

static void ip4(struct addr *a, struct in_addr in) {
  addr_any(a, AF_INET, 0);
  a->u.in.sin_addr = in;
}

static bool get_pktinfo(const struct cmsg_row *row,
                        const struct cmsg_item *item, struct cmsg_value *v) {
  struct in_pktinfo four;
  struct in6_pktinfo six;
  if (row->level == IPPROTO_IP) {
    if (!get(item, 0, &four, sizeof four))
      return false;
    v->ifindex = (unsigned)four.ipi_ifindex;
    ip4(&v->addr, four.ipi_addr);
    ip4(&v->local, four.ipi_spec_dst);
    return true;
  }
  if (!get(item, 0, &six, sizeof six))
    return false;
  v->ifindex = six.ipi6_ifindex;
  addr_any(&v->addr, AF_INET6, 0);
  v->addr.u.in6.sin6_addr = six.ipi6_addr;
  if (IN6_IS_ADDR_LINKLOCAL(&six.ipi6_addr))
    v->addr.u.in6.sin6_scope_id = six.ipi6_ifindex;
  return true;
}

/* An address that fills what is left of the item from this offset on. */
static bool get_addr(const struct cmsg_item *item, size_t from,
                     struct addr *a) {
  sa_family_t family;
  size_t len;
  if (!get(item, from, &family, sizeof family))
    return false;
  len = family == AF_INET    ? sizeof a->u.in
        : family == AF_INET6 ? sizeof a->u.in6
                             : 0;
  return len > 0 && item->len >= from + len &&
         addr_raw(a, (const char *)item->data + from, len) == 0;
}

static bool get_error(const struct cmsg_item *item, struct cmsg_value *v) {
#ifdef __linux__
  struct sock_extended_err e;
  if (!get(item, 0, &e, sizeof e))
    return false;
  v->number = e.ee_errno;
  v->origin = e.ee_origin;
  v->etype = e.ee_type;
  v->ecode = e.ee_code;
  v->info = e.ee_info;
  get_addr(item, sizeof e, &v->addr);
  return true;
#else
  (void)item;
  (void)v;
  return false;
#endif
}

static bool get_mtu(const struct cmsg_item *item, struct cmsg_value *v) {
#ifdef IPV6_PATHMTU
  struct ip6_mtuinfo m;
  if (!get(item, 0, &m, sizeof m))
    return false;
  v->number = m.ip6m_mtu;
  return addr_raw(&v->addr, &m.ip6m_addr, sizeof m.ip6m_addr) == 0;
#else
  (void)item;
  (void)v;
  return false;
#endif
}

static bool get_auxdata(const struct cmsg_item *item, struct cmsg_value *v) {
#ifdef __linux__
  struct tpacket_auxdata a;
  if (!get(item, 0, &a, sizeof a))
    return false;
  v->number = a.tp_status;
  v->length = a.tp_len;
  v->snaplen = a.tp_snaplen;
  v->vlan = a.tp_status & TP_STATUS_VLAN_VALID ? a.tp_vlan_tci : -1;
  v->vlan_tpid = a.tp_status & TP_STATUS_VLAN_TPID_VALID ? a.tp_vlan_tpid : -1;
  return true;
#else
  (void)item;
  (void)v;
  return false;
#endif
}

bool cmsg_decode(const struct cmsg_row *row, const struct cmsg_item *item,
                 struct cmsg_value *v) {
  memset(v, 0, sizeof *v);
  switch (row->kind) {
  case CMSG_KIND_CRED:
    return get_cred(item, v);
  case CMSG_KIND_INT:
  case CMSG_KIND_BYTE:
    return get_int(item, v, true);
  case CMSG_KIND_UINT:
  case CMSG_KIND_SHORT:
    return get_int(item, v, false);
  case CMSG_KIND_LONG:
    return get(item, 0, &v->number, sizeof v->number);
  case CMSG_KIND_TIME:
  case CMSG_KIND_TIMES:
    return get_time(row, item, v);
  case CMSG_KIND_PKTINFO:
    return get_pktinfo(row, item, v);
  case CMSG_KIND_ADDR:
    return get_addr(item, 0, &v->addr);
  case CMSG_KIND_ERROR:
    return get_error(item, v);
  case CMSG_KIND_MTU:
    return get_mtu(item, v);
  case CMSG_KIND_AUXDATA:
    return get_auxdata(item, v);
  default:
    return true;
  }
}

/* ---- what is sent ---- */

static int put(void *bytes, const void *from, size_t n) {
  memcpy(bytes, from, n);
  return (int)n;
}

static int put_cred(const struct cmsg_value *v, void *bytes) {
#ifdef SCM_CREDENTIALS
  struct ucred u = {.pid = (pid_t)v->cred.pid,
                    .uid = (uid_t)v->cred.uid,
                    .gid = (gid_t)v->cred.gid};
  return put(bytes, &u, sizeof u);
#else
  (void)v;
  (void)bytes;
  return -EINVAL;
#endif
}

static int put_pktinfo(const struct cmsg_row *row, const struct cmsg_value *v,
                       void *bytes) {
  struct in_pktinfo four;
  struct in6_pktinfo six;
  memset(&four, 0, sizeof four);
  memset(&six, 0, sizeof six);
  if (row->level == IPPROTO_IP) {
    four.ipi_ifindex = (int)v->ifindex;
    if (addr_family(&v->local) == AF_INET)
      four.ipi_spec_dst = v->local.u.in.sin_addr;
    return put(bytes, &four, sizeof four);
  }
  six.ipi6_ifindex = v->ifindex;
  if (addr_family(&v->local) == AF_INET6)
    six.ipi6_addr = v->local.u.in6.sin6_addr;
  return put(bytes, &six, sizeof six);
}

int cmsg_encode(const struct cmsg_row *row, const struct cmsg_value *v,
                void *bytes) {
  uint32_t i = (uint32_t)v->number;
  uint16_t two = (uint16_t)v->number;
  switch (row->kind) {
  case CMSG_KIND_CRED:
    return put_cred(v, bytes);
  case CMSG_KIND_INT:
  case CMSG_KIND_BYTE:
  case CMSG_KIND_UINT:
    return put(bytes, &i, sizeof i);
  case CMSG_KIND_SHORT:
    return put(bytes, &two, sizeof two);
  case CMSG_KIND_LONG:
    return put(bytes, &v->number, sizeof v->number);
  case CMSG_KIND_PKTINFO:
    return put_pktinfo(row, v, bytes);
  default:
    return -EINVAL;
  }
}
