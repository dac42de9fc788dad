/* SPDX-License-Identifier: MIT
 * The kernel's SCTP: sockets, options as the kernel's bytes, addresses packed
 * as it wants them. What the bytes mean is Lua's affair
 * (lua/neap/sctp/layout.lua). */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "io/sctpchannel.h"
#include "lua/laddr.h"
#include "lua/lread.h"
#include "lua/lstream.h"
#include "sys/sctp.h"
#include "sys/sock.h"
#include "sys/sockopt.h"

#define SOCKET_CLASS "neap.sctp.bare"

enum { SCTP_LEVEL = 132, OPTION_MOST = 65536 };

/* ---- a socket that nobody has yet ---- */

static int *check_socket(lua_State *L) {
  return neap_checkclass(L, 1, SOCKET_CLASS);
}

static int *new_socket(lua_State *L) {
  int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
  *fd = -1;
  luaL_setmetatable(L, SOCKET_CLASS);
  return fd;
}

static int l_close(lua_State *L) {
  int *fd = check_socket(L);
  if (*fd >= 0)
    sys_close(*fd);
  *fd = -1;
  return 0;
}

static int l_fileno(lua_State *L) {
  lua_pushinteger(L, *check_socket(L));
  return 1;
}

/* release(): the descriptor, which is the caller's from now on. */
static int l_release(lua_State *L) {
  int *fd = check_socket(L);
  lua_pushinteger(L, *fd);
  *fd = -1;
  return 1;
}

/* sctp_socket(family, many) */
static int l_socket(lua_State *L) {
  int family = laddr_checkfamily(L, 1);
  bool many = lua_toboolean(L, 2);
  int *fd, n;
  core_checkopen(L, neap_core(L));
  fd = new_socket(L);
  n = sctp_socket(family, many);
  if (n < 0)
    return neap_fail(L, n, "socket");
  *fd = n;
  return 1;
}

/* ---- options ---- */

/* sctp_set(fd, number, bytes) */
static int l_set(lua_State *L) {
  int fd = neap_checkfd(L, 1), number = (int)luaL_checkinteger(L, 2);
  size_t len;
  const char *bytes = luaL_checklstring(L, 3, &len);
  return neap_result(L, sockopt_setraw(fd, SCTP_LEVEL, number, bytes, len),
                     NULL);
}

/* sctp_get(fd, number, bytes, room): bytes are what is asked; what comes has
 * up to `room` of them. */
static int l_get(lua_State *L) {
  int fd = neap_checkfd(L, 1), number = (int)luaL_checkinteger(L, 2);
  size_t len, room;
  const char *asked = luaL_checklstring(L, 3, &len);
  luaL_Buffer b;
  char *bytes;
  int err;
  room = (size_t)luaL_optinteger(L, 4, (lua_Integer)len);
  luaL_argcheck(L, room >= len && room <= OPTION_MOST, 4, "out of range");
  bytes = luaL_buffinitsize(L, &b, room);
  memset(bytes, 0, room);
  memcpy(bytes, asked, len);
  err = sockopt_getraw(fd, SCTP_LEVEL, number, bytes, &room);
  if (err < 0)
    return neap_fail(L, err, NULL);
  luaL_pushresultsize(&b, room);
  return 1;
}

/* sctp_sockopt(fd, name, value): one of those that every socket has. */
static int l_sockopt(lua_State *L) {
  int fd = neap_checkfd(L, 1), n = lsockopt_set(L, fd, 2);
  if (n != 3)
    lua_pushboolean(L, 1);
  return n == 3 ? n : 1;
}

/* ---- addresses ---- */

/* sctp_pack(ip, port): as the kernel has it. */
static int l_pack(lua_State *L) {
  struct addr a;
  size_t len;
  const char *ip = luaL_checklstring(L, 1, &len);
  int err = addr_ip(&a, ip, len, (unsigned)neap_checkint(L, 2, 0, 65535));
  if (err < 0)
    return neap_fail(L, err, ip);
  lua_pushlstring(L, (const char *)&a.u, a.len);
  return 1;
}

/* sctp_unpack(bytes, at): ip, port, where the next one is; nothing if there is
 * none. */
static int l_unpack(lua_State *L) {
  size_t len, room, size;
  const char *bytes = luaL_checklstring(L, 1, &len);
  size_t at = (size_t)neap_checkint(L, 2, 1, 1 << 20) - 1;
  struct addr a;
  struct sockaddr sa;
  if (at + sizeof sa > len)
    return 0;
  room = len - at;
  memcpy(&sa, bytes + at, sizeof sa);
  size = sa.sa_family == AF_INET    ? sizeof a.u.in
         : sa.sa_family == AF_INET6 ? sizeof a.u.in6
                                    : 0;
  if (size == 0 || size > room)
    return 0;
  memset(&a, 0, sizeof a);
  memcpy(&a.u, bytes + at, size);
  a.len = (socklen_t)size;
  addr_unmap(&a);
  laddr_push(L, &a);
  lua_pushinteger(L, (lua_Integer)(at + size + 1));
  return 3;
}

/* ---- what the kernel does ---- */

/* sctp_connectx(fd, addresses): the association's number, and false while it
 * is not connected yet. */
static int l_connectx(lua_State *L) {
  int fd = neap_checkfd(L, 1);
  uint32_t association = 0;
  size_t len;
  const char *addrs = luaL_checklstring(L, 2, &len);
  int err = sctp_connectx(fd, addrs, len, &association);
  if (err < 0 && err != -EINPROGRESS)
    return neap_fail(L, err, NULL);
  lua_pushinteger(L, association);
  lua_pushboolean(L, err == 0);
  return 2;
}

/* sctp_peel(fd, association): a socket of its own. */
static int l_peel(lua_State *L) {
  int from = neap_checkfd(L, 1);
  uint32_t association = (uint32_t)neap_checkint(L, 2, 0, UINT32_MAX);
  int *fd = new_socket(L), n = sctp_peel(from, association);
  if (n < 0)
    return neap_fail(L, n, NULL);
  *fd = n;
  return 1;
}

/* sctp_listen(fd, backlog) */
static int l_listen(lua_State *L) {
  int fd = neap_checkfd(L, 1);
  return neap_result(L, sock_listen(fd, (int)luaL_checkinteger(L, 2)), NULL);
}

/* ---- channels ---- */

static struct sctpchannel *check_channel(lua_State *L) {
  struct sctpchannel *c = lua_touserdata(L, 1);
  luaL_argcheck(L, c != NULL && lua_rawlen(L, 1) == sizeof *c, 1,
                "no channel of SCTP");
  return c;
}

/* sctp_channel(fd, many, peer) */
static int l_channel(lua_State *L) {
  int fd = neap_checkfd(L, 1);
  bool many = lua_toboolean(L, 2);
  const char *peer = luaL_optstring(L, 3, NULL);
  struct sctpchannel *c = lua_newuserdatauv(L, sizeof *c, 0);
  sctpchannel_init(c, fd, many, peer);
  return 1;
}

/* sctp_tells(channel, association, cuts): whether its reader gets these
 * notifications, which it has itself in any case. */
static int l_tells(lua_State *L) {
  struct sctpchannel *c = check_channel(L);
  c->tells_association = lua_toboolean(L, 2);
  c->tells_cuts = lua_toboolean(L, 3);
  lua_settop(L, 1);
  return 1;
}

/* sctp_mute(channel): close() says no end. */
static int l_mute(lua_State *L) {
  check_channel(L)->mute = true;
  return 0;
}

void neap_open_sctp(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",    l_close},
    {"__close", l_close},
    {NULL,      NULL   }
  };
  static const luaL_Reg methods[] = {
    {"fileno",  l_fileno },
    {"release", l_release},
    {NULL,      NULL     }
  };
  static const luaL_Reg functions[] = {
    {"sctp_socket",   l_socket  },
    {"sctp_set",      l_set     },
    {"sctp_get",      l_get     },
    {"sctp_sockopt",  l_sockopt },
    {"sctp_peel",     l_peel    },
    {"sctp_pack",     l_pack    },
    {"sctp_unpack",   l_unpack  },
    {"sctp_connectx", l_connectx},
    {"sctp_listen",   l_listen  },
    {"sctp_channel",  l_channel },
    {"sctp_tells",    l_tells   },
    {"sctp_mute",     l_mute    },
    {NULL,            NULL      }
  };
  neap_class(L, SOCKET_CLASS, meta, methods);
  neap_setfuncs(L, functions);
}
