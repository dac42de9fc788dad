/* SPDX-License-Identifier: MIT
 * neap.tun's devices: message sockets of an interface. */
#include "sys/tun.h"

#include <errno.h>
#include <string.h>

#include "lua/lmsg.h"
#include "sys/fd.h"

/* A name that is to be: "" for the system's choice. */
static void check_name(lua_State *L, int arg, char name[IF_NAMELEN]) {
  size_t len;
  const char *text = luaL_optlstring(L, arg, "", &len);
  luaL_argcheck(L, len < IF_NAMELEN && memchr(text, '\0', len) == NULL, arg,
                "this cannot be the name of an interface");
  memset(name, 0, IF_NAMELEN);
  memcpy(name, text, len);
}

static int check_flags(lua_State *L, int arg) {
  return (lua_toboolean(L, arg) ? TUN_TAP : 0) |
         (lua_toboolean(L, arg + 1) ? TUN_MULTIQUEUE : 0) |
         (lua_toboolean(L, arg + 2) ? TUN_EXCLUSIVE : 0);
}

static int opened(lua_State *L, struct msgsock *s, int fd, const char *name,
                  bool tap) {
  msgsock_open(s, fd, 0);
  s->frames = tap;
  lua_pushstring(L, name);
  return 2;
}

/* tun(name or nil, tap, multiqueue, exclusive, options) -> device, name */
static int l_tun(lua_State *L) {
  int flags = check_flags(L, 2), fd;
  char name[IF_NAMELEN];
  struct msgsock *s;
  check_name(L, 1, name);
  s = lmsg_new(L, neap_core(L), MSGSOCK_TUN, 5);
  fd = tun_open(name, flags);
  if (fd < 0)
    return neap_fail(L, fd, NULL);
  return opened(L, s, fd, name, flags & TUN_TAP);
}

/* tun_fd(fd, options) -> device, name; fd is its own then. */
static int l_tun_fd(lua_State *L) {
  int fd = neap_checkfd(L, 1), flags;
  char name[IF_NAMELEN];
  struct msgsock *s = lmsg_new(L, neap_core(L), MSGSOCK_TUN, 2);
  flags = tun_name(fd, name);
  if (flags >= 0) {
    int err = sys_nonblock(fd);
    flags = err < 0 ? err : flags;
  }
  if (flags < 0)
    return neap_failf(L, flags, "descriptor %d", fd);
  opened(L, s, fd, name, flags & TUN_TAP);
  s->watch.shared = true;
  return 2;
}

static struct msgsock *check_tun(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  luaL_argcheck(L, s == NULL || s->kind == MSGSOCK_TUN, 1, "not a tun device");
  return s;
}

/* tun_persist(device, on) */
static int l_tun_persist(lua_State *L) {
  struct msgsock *s = check_tun(L);
  if (s == NULL)
    return 3;
  return neap_result(L, tun_persist(s->watch.fd, lua_toboolean(L, 2)),
                     "persist");
}

/* tun_owner(device, uid) */
static int l_tun_owner(lua_State *L) {
  struct msgsock *s = check_tun(L);
  unsigned uid = (unsigned)neap_checkint(L, 2, 0, UINT32_MAX);
  if (s == NULL)
    return 3;
  return neap_result(L, tun_owner(s->watch.fd, uid), "owner");
}

/* tun_remove(name) */
static int l_tun_remove(lua_State *L) {
  char name[IF_NAMELEN];
  check_name(L, 1, name);
  return neap_result(L, *name == '\0' ? -ENODEV : tun_remove(name), NULL);
}

void neap_open_tun(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"tun",         l_tun        },
    {"tun_fd",      l_tun_fd     },
    {"tun_persist", l_tun_persist},
    {"tun_owner",   l_tun_owner  },
    {"tun_remove",  l_tun_remove },
    {NULL,          NULL         }
  };
  neap_setfuncs(L, functions);
}
