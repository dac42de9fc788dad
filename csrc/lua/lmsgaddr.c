/* SPDX-License-Identifier: MIT
 * The addresses of message sockets, as each kind has them: ip, port; a path;
 * an ip alone; an interface, with what it says of a packet. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lua/laddr.h"
#include "lua/lmsg.h"
#include "sys/iface.h"
#include "sys/packet.h"

enum { STALE = 1000000000, MAC_TEXTLEN = 3 * IF_MACLEN + 1 };

/* ---- interfaces ---- */

/* A name is asked for once a second at most: it hardly ever changes. */
void lmsg_pushinterface(lua_State *L, struct core *c, unsigned ifindex) {
  struct core_ifname *at = &c->ifnames[ifindex % countof(c->ifnames)];
  if (at->index != ifindex || c->loop.now - at->asked > STALE) {
    at->index = ifindex;
    at->asked = c->loop.now;
    if (iface_name(ifindex, at->name) < 0)
      snprintf(at->name, sizeof at->name, "%u", ifindex);
  }
  lua_pushstring(L, at->name);
}

int lmsg_checkinterface(lua_State *L, int arg) {
  size_t len;
  const char *name;
  int index;
  if (lua_isnoneornil(L, arg))
    return 0;
  if (lua_type(L, arg) == LUA_TNUMBER)
    return (int)neap_checkint(L, arg, 0, INT32_MAX);
  if (lua_type(L, arg) != LUA_TSTRING)
    luaL_typeerror(L, arg, "the name or the number of an interface");
  name = lua_tolstring(L, arg, &len);
  index = iface_index(name, len);
  if (index == -EINVAL)
    luaL_argerror(L, arg, "this cannot be the name of an interface");
  return index;
}

/* ---- to Lua ---- */

int lmsg_addrvalues(const struct msgsock *s) {
  switch (s->kind) {
  case MSGSOCK_UDP:
    return 2;
  case MSGSOCK_UNIX:
  case MSGSOCK_RAW:
    return 1;
  case MSGSOCK_PACKET:
    return s->cooked ? 3 : 1;
  default:
    return 0;
  }
}

void lmsg_pushmac(lua_State *L, const unsigned char *mac, size_t len) {
  char text[MAC_TEXTLEN] = "";
  size_t i;
  for (i = 0; i < len && i < IF_MACLEN; i++) {
    static const char digits[] = "0123456789abcdef";
    text[3 * i] = digits[mac[i] >> 4];
    text[3 * i + 1] = digits[mac[i] & 15];
    text[3 * i + 2] = ':';
  }
  lua_pushlstring(L, text, i > 0 ? 3 * i - 1 : 0);
}

static int push_packet(lua_State *L, const struct msgsock *s,
                       const struct addr *a) {
  struct packet_from from = {.maclen = 0};
  packet_from(a, &from);
  lmsg_pushinterface(L, lmsg_core(s), from.ifindex);
  if (!s->cooked)
    return 1;
  lmsg_pushmac(L, from.mac, from.maclen);
  lua_pushinteger(L, from.protocol);
  return 3;
}

int lmsg_pushaddr(lua_State *L, const struct msgsock *s, struct addr *a) {
  switch (s->kind) {
  case MSGSOCK_UDP:
    addr_unmap(a);
    if (laddr_push(L, a) == 1)
      lua_pushnil(L); /* a socket of another family was adopted */
    return 2;
  case MSGSOCK_RAW:
    lua_pop(L, laddr_push(L, a) - 1);
    return 1;
  case MSGSOCK_UNIX:
    if (a->len == 0)
      lua_pushliteral(L, "");
    else
      laddr_push(L, a);
    return 1;
  case MSGSOCK_PACKET:
    return push_packet(L, s, a);
  default:
    return 0;
  }
}

const char *lmsg_addrtext(const struct addr *a, char text[ADDR_TEXTLEN]) {
  struct packet_from from;
  struct addr shown = *a;
  char name[IF_NAMELEN];
  const char *path;
  text[0] = '\0';
  addr_unmap(&shown);
  a = &shown;
  if (packet_from(a, &from)) {
    if (from.ifindex != 0 && iface_name(from.ifindex, name) == 0)
      snprintf(text, ADDR_TEXTLEN, "%s", name);
  } else if (addr_port(a) == 0) {
    addr_iptext(a, text);
  } else if (a->len > 0 && addr_path(a, &path) != 0) {
    addr_text(a, text);
  }
  return text;
}

/* ---- from Lua ---- */

static int to_ip(lua_State *L, const struct msgsock *s, int arg, unsigned port,
                 struct addr *a) {
  size_t len;
  const char *host;
  int err;
  if (lua_type(L, arg) != LUA_TSTRING)
    luaL_typeerror(L, arg, "host");
  host = lua_tolstring(L, arg, &len);
  err = addr_ip(a, host, len, port);
  if (err == -EINVAL) {
    luaL_argcheck(L, len > 0 && memchr(host, '\0', len) == NULL, arg,
                  "host is empty or holds a NUL");
    return LMSG_ISNAME;
  }
  if (err == 0 && s->family == AF_INET6)
    addr_map(a);
  return err;
}

int lmsg_topath(lua_State *L, int arg, struct addr *a) {
  size_t len;
  const char *path;
  int err;
  if (lua_type(L, arg) != LUA_TSTRING)
    luaL_typeerror(L, arg, "path");
  path = lua_tolstring(L, arg, &len);
  err = addr_unix(a, path, len);
  luaL_argcheck(L, err != -ENAMETOOLONG, arg,
                "path too long for a Unix socket");
  luaL_argcheck(L, err == 0, arg, "the path holds a NUL");
  return len > 0 ? 0 : -EDESTADDRREQ; /* who sent it may have no name */
}

static int to_mac(lua_State *L, int arg, unsigned char mac[IF_MACLEN]) {
  size_t len;
  const char *text;
  int n;
  if (lua_isnoneornil(L, arg))
    return 0;
  if (lua_type(L, arg) != LUA_TSTRING)
    luaL_typeerror(L, arg, "hardware address");
  text = lua_tolstring(L, arg, &len);
  n = packet_mac(text, len, mac);
  if (n < 0)
    luaL_argerror(L, arg, "not a hardware address: \"aa:bb:cc:dd:ee:ff\"");
  return n;
}

static int to_packet(lua_State *L, const struct msgsock *s, int arg,
                     struct addr *a) {
  unsigned char mac[IF_MACLEN];
  unsigned protocol = s->protocol;
  int index, n = 0;
  luaL_checkany(L, arg);
  index = lmsg_checkinterface(L, arg);
  if (index < 0)
    return index;
  luaL_argcheck(L, index > 0, arg, "interface expected");
  if (s->cooked) {
    n = to_mac(L, arg + 1, mac);
    if (!lua_isnoneornil(L, arg + 2))
      protocol = (unsigned)neap_checkint(L, arg + 2, 0, 65535);
  }
  return packet_addr(a, (unsigned)index, (uint16_t)protocol, mac, (size_t)n);
}

int lmsg_toaddr(lua_State *L, const struct msgsock *s, int arg,
                struct addr *a) {
  a->len = 0;
  switch (s->kind) {
  case MSGSOCK_UDP:
    if (lua_type(L, arg) != LUA_TSTRING)
      return luaL_typeerror(L, arg, "host");
    return to_ip(L, s, arg, laddr_checkport(L, arg + 1), a);
  case MSGSOCK_RAW:
    return to_ip(L, s, arg, 0, a);
  case MSGSOCK_UNIX:
    return lmsg_topath(L, arg, a);
  case MSGSOCK_PACKET:
    return to_packet(L, s, arg, a);
  default:
    return 0;
  }
}

/* ---- the slow way ---- */

static int slow_done(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

int lmsg_slow(lua_State *L, const char *method) {
  int n = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "neap.message") != LUA_TTABLE)
    return luaL_error(L, "require \"neap.message\" first");
  lua_getfield(L, -1, "slow");
  lua_getfield(L, -1, method);
  lua_replace(L, n + 1);
  lua_settop(L, n + 1);
  lua_insert(L, 1);
  lua_callk(L, n, LUA_MULTRET, 0, slow_done);
  return slow_done(L, LUA_OK, 0);
}
