/* SPDX-License-Identifier: MIT
 * The table that goes with a message to be sent, at 3, becomes an address and
 * control data. */
#include <errno.h>
#include <string.h>

#include "lua/lmsg.h"
#include "lua/lstream.h"
#include "sys/fd.h"

enum {
  TABLE = 3,
  UDP = 1 << MSGSOCK_UDP,
  UNIX = 1 << MSGSOCK_UNIX,
  SEQ = 1 << MSGSOCK_SEQPACKET,
  RAW = 1 << MSGSOCK_RAW,
  PACKET = 1 << MSGSOCK_PACKET
};

static const struct {
  const char *name;
  unsigned kinds;
} fields[] = {
  {"ip",          UDP | RAW         },
  {"port",        UDP               },
  {"local_ip",    UDP | RAW         },
  {"interface",   UDP | RAW | PACKET},
  {"ttl",         UDP | RAW         },
  {"tos",         UDP | RAW         },
  {"ecn",         UDP | RAW         },
  {"segment",     UDP               },
  {"path",        UNIX              },
  {"fds",         UNIX | SEQ        },
  {"credentials", UNIX | SEQ        },
  {"mac",         PACKET            },
  {"protocol",    PACKET            },
};

static int bad(lua_State *L, const char *why) {
  return luaL_argerror(L, TABLE, why);
}

static void check_fields(lua_State *L, const struct msgsock *s) {
  for (lua_pushnil(L); lua_next(L, TABLE) != 0; lua_pop(L, 1)) {
    size_t i = 0;
    const char *key =
      lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    while (i < countof(fields) && (strcmp(fields[i].name, key) != 0 ||
                                   !(fields[i].kinds & 1u << s->kind)))
      i++;
    if (i == countof(fields))
      bad(L, lua_pushfstring(L, "a message of neap.%s has no field '%s'",
                             msgsock_kindname(s), key));
  }
}

/* The integer field, or `otherwise` if it is absent. */
static lua_Integer integer(lua_State *L, const char *name, lua_Integer hi,
                           lua_Integer otherwise) {
  lua_Integer i = otherwise;
  if (lua_getfield(L, TABLE, name) != LUA_TNIL) {
    i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
    if (i < 0 || i > hi)
      bad(L, lua_pushfstring(L, "'%s' must be an integer in [0, %I]", name,
                             (LUAI_UACINT)hi));
  }
  lua_pop(L, 1);
  return i;
}

/* The string field stays on the stack; NULL if it is absent. */
static const char *string(lua_State *L, const char *name, size_t *len) {
  int type = lua_getfield(L, TABLE, name);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    bad(L, lua_pushfstring(L, "'%s' must be a string", name));
  return lua_tolstring(L, -1, len);
}

static int ip_field(lua_State *L, const struct msgsock *s, const char *name,
                    unsigned port, struct addr *a) {
  size_t len;
  const char *ip = string(L, name, &len);
  int err = 0;
  a->len = 0;
  if (ip != NULL) {
    err = addr_ip(a, ip, len, port);
    if (err == -EINVAL && (len == 0 || memchr(ip, '\0', len) != NULL))
      bad(L, lua_pushfstring(L, "'%s' is empty or holds a NUL", name));
    if (err == 0 && s->family == AF_INET6)
      addr_map(a);
  }
  lua_pop(L, 1);
  return err;
}

static int udp_field(lua_State *L, const struct msgsock *s, struct addr *a) {
  lua_Integer port = integer(L, "port", 65535, -1);
  int err = ip_field(L, s, "ip", port > 0 ? (unsigned)port : 0, a);
  bool ip = err != 0 || a->len > 0;
  if (s->kind == MSGSOCK_UDP && ip != (port >= 0))
    bad(L, "'ip' and 'port' come together");
  return err == -EINVAL ? LMSG_ISNAME : err;
}

static int path_field(lua_State *L, struct addr *a) {
  size_t len;
  const char *path = string(L, "path", &len);
  int err = path != NULL ? addr_unix(a, path, len) : 0;
  if (path != NULL && len == 0)
    err = -EDESTADDRREQ; /* who sent it may have no name */
  if (err < 0 && err != -EDESTADDRREQ)
    bad(L, err == -ENAMETOOLONG ? "'path' is too long for a Unix socket"
                                : "'path' holds a NUL");
  lua_pop(L, 1);
  return err;
}

/* The fields as the arguments that sendto has. */
static int packet_field(lua_State *L, const struct msgsock *s, struct addr *a) {
  int err = 0, top = lua_gettop(L);
  lua_getfield(L, TABLE, "interface");
  lua_getfield(L, TABLE, "mac");
  lua_getfield(L, TABLE, "protocol");
  if (!lua_isnil(L, top + 1))
    err = lmsg_toaddr(L, s, top + 1, a);
  else if (!lua_isnil(L, top + 2) || !lua_isnil(L, top + 3))
    bad(L, "'mac' and 'protocol' go with 'interface'");
  lua_settop(L, top);
  return err;
}

static int address_field(lua_State *L, const struct msgsock *s,
                         struct addr *a) {
  a->len = 0;
  switch (s->kind) {
  case MSGSOCK_UNIX:
    return path_field(L, a);
  case MSGSOCK_PACKET:
    return packet_field(L, s, a);
  case MSGSOCK_SEQPACKET:
  case MSGSOCK_TUN:
    return 0;
  default:
    return udp_field(L, s, a);
  }
}

/* ---- control data ---- */

enum { CONTROL_ROOM = FD_MAXPASS * sizeof(int) + LMSG_CONTROL };

struct building {
  _Alignas(16) char bytes[CONTROL_ROOM];
  size_t len;
};

static int put(struct building *b, const char *name, struct cmsg_value *v) {
  const struct cmsg_row *row = cmsg_named(name);
  char bytes[CMSG_ENCODED];
  struct cmsg_item item;
  int n = row != NULL ? cmsg_encode(row, v, bytes) : -ENOPROTOOPT;
  if (n < 0)
    return n;
  item.level = row->level;
  item.type = row->type;
  item.data = bytes;
  item.len = (size_t)n;
  cmsg_put(b->bytes, &b->len, &item);
  return 0;
}

static int put_number(struct building *b, const char *name, int64_t number) {
  struct cmsg_value v;
  memset(&v, 0, sizeof v);
  v.number = number;
  return put(b, name, &v);
}

/* Where it leaves: source address, interface. */
static int put_source(lua_State *L, const struct msgsock *s,
                      struct building *b) {
  struct cmsg_value v;
  int err, index;
  memset(&v, 0, sizeof v);
  err = ip_field(L, s, "local_ip", 0, &v.local);
  if (err == -EINVAL)
    bad(L, "'local_ip' is not a numeric address");
  if (err < 0)
    return err;
  lua_getfield(L, TABLE, "interface");
  if (lua_isnil(L, -1) ? false
      : lua_type(L, -1) == LUA_TNUMBER
        ? !lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0 ||
            lua_tointeger(L, -1) > INT32_MAX
        : lua_type(L, -1) != LUA_TSTRING)
    bad(L, "'interface' must be a name or a number");
  index = lmsg_checkinterface(L, lua_gettop(L));
  lua_pop(L, 1);
  if (index < 0)
    return index;
  if (index == 0 && v.local.len == 0)
    return 0;
  if (v.local.len > 0 && addr_family(&v.local) != s->family)
    return -EAFNOSUPPORT;
  v.ifindex = (unsigned)index;
  return put(b, s->family == AF_INET ? "IP_PKTINFO" : "IPV6_PKTINFO", &v);
}

/* To an IPv4 address IPv4's options go, from a socket for both too. */
static bool goes_by_ip4(const struct msgsock *s, const struct addr *to) {
  struct addr peer = *to;
  if (peer.len == 0 && sock_peername(s->watch.fd, &peer) < 0)
    return s->family == AF_INET;
  addr_unmap(&peer);
  return addr_family(&peer) == AF_INET;
}

static int put_ip(lua_State *L, const struct msgsock *s, const struct addr *to,
                  struct building *b) {
  lua_Integer ttl = integer(L, "ttl", 255, -1),
              tos = integer(L, "tos", 255, -1);
  lua_Integer ecn = integer(L, "ecn", 3, -1);
  int err = put_source(L, s, b);
  bool ip4 = ttl >= 0 || tos >= 0 || ecn >= 0 ? goes_by_ip4(s, to) : true;
  if (err == 0 && ttl >= 0)
    err = put_number(b, ip4 ? "IP_TTL" : "IPV6_HOPLIMIT", ttl);
  if (ecn >= 0)
    tos = (tos < 0 ? 0 : tos & ~3) | ecn;
  if (err == 0 && tos >= 0)
    err = put_number(b, ip4 ? "IP_TOS" : "IPV6_TCLASS", tos);
  return err;
}

/* What is passed has a duplicate from now on: it must leave the poller before
 * it is closed. */
static void mark_shared(lua_State *L, int at) {
  struct stream *stream = luaL_testudata(L, at, STREAM_CLASS);
  struct msgsock *other = luaL_testudata(L, at, MSGSOCK_CLASS);
  if (stream != NULL)
    stream->watch.shared = true;
  if (other != NULL)
    other->watch.shared = true;
}

static void put_fds(lua_State *L, struct building *b) {
  const struct cmsg_row *row = cmsg_named("SCM_RIGHTS");
  struct cmsg_item item = {.level = row->level, .type = row->type};
  int fds[FD_MAXPASS], list = lua_gettop(L) + 1;
  lua_Integer i, n;
  const char *why;
  if (lua_getfield(L, TABLE, "fds") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_istable(L, list))
    bad(L, "'fds' must be a list of descriptors");
  n = (lua_Integer)lua_rawlen(L, list);
  if (n > FD_MAXPASS)
    bad(L, lua_pushfstring(L, "'fds' must have at most %d descriptors",
                           (int)FD_MAXPASS));
  if (n == 0) {
    lua_pop(L, 1);
    return;
  }
  for (i = 0; i < n; i++) {
    lua_rawgeti(L, list, i + 1);
    fds[i] = neap_tofd(L, lua_gettop(L), &why);
    if (fds[i] < 0)
      bad(L, lua_pushfstring(L, "'fds', element %I: %s", (LUAI_UACINT)(i + 1),
                             why != NULL ? why : "no descriptor"));
    mark_shared(L, lua_gettop(L));
    lua_settop(L, list);
  }
  lua_pop(L, 1);
  item.data = fds;
  item.len = (size_t)n * sizeof *fds;
  cmsg_put(b->bytes, &b->len, &item);
}

static int64_t cred_field(lua_State *L, const char *name) {
  int64_t n;
  lua_getfield(L, -1, name);
  if (!lua_isinteger(L, -1))
    bad(L, "'credentials' must be true or { pid =, uid =, gid = }");
  n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

static int put_cred(lua_State *L, struct building *b) {
  struct cmsg_value v;
  int err = 0;
  memset(&v, 0, sizeof v);
  lua_getfield(L, TABLE, "credentials");
  if (lua_istable(L, -1)) {
    v.cred.pid = cred_field(L, "pid");
    v.cred.uid = cred_field(L, "uid");
    v.cred.gid = cred_field(L, "gid");
  } else if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) {
    bad(L, "'credentials' must be true or { pid =, uid =, gid = }");
  } else {
    sys_owncred(&v.cred);
  }
  if (lua_toboolean(L, -1))
    err = put(b, "SCM_CREDENTIALS", &v);
  lua_pop(L, 1);
  return err;
}

static void push_bytes(lua_State *L, const void *bytes, size_t len) {
  if (len > 0)
    lua_pushlstring(L, bytes, len);
  else
    lua_pushnil(L);
}

int lmsg_prepare(lua_State *L, struct msgsock *s) {
  struct building b;
  struct addr to;
  lua_Integer segment;
  int err;
  b.len = 0;
  memset(b.bytes, 0, sizeof b.bytes);
  check_fields(L, s);
  err = address_field(L, s, &to);
  if (err != 0)
    return err;
  segment = integer(L, "segment", 65507, -1);
  if (segment == 0)
    bad(L, "'segment' must be an integer in [1, 65507]");
  if (segment < 0)
    segment = 0;
  if (s->kind == MSGSOCK_UDP || s->kind == MSGSOCK_RAW)
    err = put_ip(L, s, &to, &b);
  if (s->kind == MSGSOCK_UNIX || s->kind == MSGSOCK_SEQPACKET) {
    put_fds(L, &b);
    err = put_cred(L, &b);
  }
  if (err < 0)
    return err;
  push_bytes(L, &to.u, to.len);
  push_bytes(L, b.bytes, b.len);
  lua_pushinteger(L, segment);
  lua_rotate(L, TABLE, -1); /* the table last: it keeps what is in it */
  return 0;
}
