/* SPDX-License-Identifier: MIT
 * neap.interfaces(): the network interfaces of this machine. */
#include "lua/laddr.h"
#include "lua/ltask.h"
#include "sys/ifaddr.h"

#define HOLDER_CLASS "neap.interfaces"

/* Frees the list also when Lua raises half-way. */
struct holder {
  struct iface *list;
  size_t count;
};

static int holder_gc(lua_State *L) {
  struct holder *h = neap_checkclass(L, 1, HOLDER_CLASS);
  iface_free(h->list, h->count);
  h->list = NULL;
  h->count = 0;
  return 0;
}

static void push_flags(lua_State *L, unsigned flags) {
  const char *name;
  unsigned bit;
  size_t i;
  lua_newtable(L);
  for (i = 0; (name = iface_flag(i, &bit)) != NULL; i++)
    if (flags & bit) {
      lua_pushboolean(L, 1);
      lua_setfield(L, -2, name);
    }
}

static void push_mac(lua_State *L, const struct iface *f) {
  luaL_Buffer b;
  size_t i;
  luaL_buffinit(L, &b);
  for (i = 0; i < f->maclen; i++) {
    static const char digits[] = "0123456789abcdef";
    if (i > 0)
      luaL_addchar(&b, ':');
    luaL_addchar(&b, digits[f->mac[i] >> 4]);
    luaL_addchar(&b, digits[f->mac[i] & 15]);
  }
  luaL_pushresult(&b);
}

static void set_ip(lua_State *L, const char *name, const struct addr *a) {
  char ip[ADDR_IPLEN];
  if (addr_iptext(a, ip) < 0)
    return;
  lua_pushstring(L, ip);
  lua_setfield(L, -2, name);
}

static void push_addr(lua_State *L, const struct iface *f,
                      const struct iface_addr *a) {
  lua_createtable(L, 0, 5);
  lua_pushstring(L, laddr_familyname(addr_family(&a->addr)));
  lua_setfield(L, -2, "family");
  set_ip(L, "ip", &a->addr);
  set_ip(L, "broadcast", &a->broadcast);
  set_ip(L, "peer", &a->peer);
  lua_pushinteger(L, a->prefix);
  lua_setfield(L, -2, "prefix");
  if (addr_scope(&a->addr) != 0) {
    lua_pushstring(L, f->name);
    lua_setfield(L, -2, "zone");
  }
}

static void push_addrs(lua_State *L, const struct iface *f) {
  size_t i;
  lua_createtable(L, (int)f->naddrs, 0);
  for (i = 0; i < f->naddrs; i++) {
    push_addr(L, f, &f->addrs[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_iface(lua_State *L, const struct iface *f) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, f->name);
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, f->index);
  lua_setfield(L, -2, "index");
  push_flags(L, f->flags);
  lua_setfield(L, -2, "flags");
  if (f->mtu >= 0) {
    lua_pushinteger(L, f->mtu);
    lua_setfield(L, -2, "mtu");
  }
  if (f->maclen > 0) {
    push_mac(L, f);
    lua_setfield(L, -2, "mac");
  }
  push_addrs(L, f);
  lua_setfield(L, -2, "addresses");
}

static int l_interfaces(lua_State *L) {
  struct holder *h = lua_newuserdatauv(L, sizeof *h, 0);
  size_t i;
  int err;
  h->list = NULL;
  h->count = 0;
  luaL_setmetatable(L, HOLDER_CLASS);
  lua_toclose(L, -1);
  err = iface_list(&h->list, &h->count);
  if (err < 0)
    return neap_fail(L, err, "interfaces");
  lua_createtable(L, (int)h->count, 0);
  for (i = 0; i < h->count; i++) {
    push_iface(L, &h->list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

void neap_open_interfaces(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"interfaces", l_interfaces},
    {NULL,         NULL        }
  };
  static const luaL_Reg meta[] = {
    {"__close", holder_gc},
    {"__gc",    holder_gc},
    {NULL,      NULL     }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, HOLDER_CLASS, meta, none);
  neap_setfuncs(L, functions);
}
