/* SPDX-License-Identifier: MIT
 * Interfaces are set up: each function takes one, by name or number, and
 * returns true, or nil, message, code. */
#include "sys/iface.h"

#include <errno.h>

#include "lua/lmsg.h"

/* Returns 0, or -ENODEV. */
static int check_interface(lua_State *L, int arg, char name[IF_NAMELEN]) {
  int index;
  luaL_checkany(L, arg);
  index = lmsg_checkinterface(L, arg);
  return index < 0 ? index : iface_name((unsigned)index, name);
}

static void check_ip(lua_State *L, int arg, struct addr *a) {
  size_t len;
  const char *ip = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, addr_ip(a, ip, len, 0) == 0, arg,
                "numeric address expected");
}

/* iface_setup(interface, up) */
static int l_setup(lua_State *L) {
  char name[IF_NAMELEN];
  int err = check_interface(L, 1, name);
  bool up = lua_toboolean(L, 2);
  if (err == 0)
    err = iface_setup(name, up);
  return neap_result(L, err, up ? "up" : "down");
}

/* iface_setmtu(interface, bytes) */
static int l_setmtu(lua_State *L) {
  char name[IF_NAMELEN];
  int err = check_interface(L, 1, name);
  int mtu = (int)neap_checkint(L, 2, 0, INT32_MAX);
  if (err == 0)
    err = iface_setmtu(name, mtu);
  if (err < 0)
    return neap_failf(L, err, "mtu %d", mtu);
  return neap_result(L, 0, NULL);
}

static int change(lua_State *L, const char *what,
                  int (*fn)(const char *, const struct addr *, int,
                            const struct addr *)) {
  char name[IF_NAMELEN];
  struct addr a, peer;
  int err = check_interface(L, 1, name), prefix;
  bool to = !lua_isnoneornil(L, 4);
  check_ip(L, 2, &a);
  prefix = (int)neap_checkint(L, 3, 0, addr_family(&a) == AF_INET ? 32 : 128);
  if (to)
    check_ip(L, 4, &peer);
  if (err == 0)
    err = fn(name, &a, prefix, to ? &peer : NULL);
  if (err < 0)
    return neap_failf(L, err, "%s %s/%d", what, lua_tostring(L, 2), prefix);
  return neap_result(L, 0, NULL);
}

/* iface_addaddr(interface, ip, prefix, peer or nil) */
static int l_addaddr(lua_State *L) {
  return change(L, "address", iface_addaddr);
}

/* iface_deladdr(interface, ip, prefix, peer or nil) */
static int l_deladdr(lua_State *L) {
  return change(L, "remove address", iface_deladdr);
}

void neap_open_iface(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"iface_setup",   l_setup  },
    {"iface_setmtu",  l_setmtu },
    {"iface_addaddr", l_addaddr},
    {"iface_deladdr", l_deladdr},
    {NULL,            NULL     }
  };
  neap_setfuncs(L, functions);
}
