/* SPDX-License-Identifier: MIT
 * What came and was not taken yet: datagrams that the kernel put together
 * (UDP_GRO), which are given out one by one, each with what is said of all. */
#include "lua/lmsg.h"

/* Each is so many elements of the list. */
enum { DATA = 1, PEER, CONTROL, SEGMENT, WIDTH = SEGMENT };

static lua_Integer place(const struct msgsock *s, int n, int element) {
  return (lua_Integer)(s->pendinghead + n) * WIDTH + element;
}

void lmsg_setpending(lua_State *L, struct msgsock *s,
                     const struct sock_one *one) {
  if (lua_getiuservalue(L, 1, LMSG_PENDING) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, WIDTH, 0);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, LMSG_PENDING);
  }
  lua_pushlstring(L, one->iov.iov_base, one->len);
  lua_rawseti(L, -2, place(s, s->npending, DATA));
  lua_pushlstring(L, (const char *)&one->addr.u, one->addr.len);
  lua_rawseti(L, -2, place(s, s->npending, PEER));
  lua_pushlstring(L, one->control, one->controllen);
  lua_rawseti(L, -2, place(s, s->npending, CONTROL));
  lua_pushinteger(L, one->segment > 0 ? one->segment : UINT16_MAX);
  lua_rawseti(L, -2, place(s, s->npending, SEGMENT));
  lua_pop(L, 1);
  s->npending++;
}

/* The first of them is at an end. */
static void shift(lua_State *L, struct msgsock *s, int list) {
  int i;
  for (i = DATA; i <= WIDTH; i++) {
    lua_pushnil(L);
    lua_rawseti(L, list, place(s, 0, i));
  }
  s->pendingat = 0;
  s->pendinghead = --s->npending > 0 ? (uint16_t)(s->pendinghead + 1) : 0;
}

/* Pushes the next datagram, its peer and its control data; its length. */
static size_t next(lua_State *L, struct msgsock *s) {
  int list = lua_gettop(L) + 1;
  size_t len, n, segment;
  const char *all;
  lua_getiuservalue(L, 1, LMSG_PENDING);
  lua_rawgeti(L, list, place(s, 0, SEGMENT));
  segment = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_rawgeti(L, list, place(s, 0, DATA));
  all = lua_tolstring(L, -1, &len);
  n = len - s->pendingat < segment ? len - s->pendingat : segment;
  lua_pushlstring(L, all + s->pendingat, n);
  lua_replace(L, -2);
  lua_rawgeti(L, list, place(s, 0, PEER));
  lua_rawgeti(L, list, place(s, 0, CONTROL));
  s->pendingat += (uint32_t)n;
  s->received++;
  s->receivedbytes += n;
  if (s->pendingat == len)
    shift(L, s, list);
  lua_remove(L, list);
  return n;
}

/* The peer's address from the string below the one on top. */
static void get_peer(lua_State *L, struct addr *a) {
  size_t len;
  const char *bytes = lua_tolstring(L, -2, &len);
  if (addr_raw(a, bytes, len) < 0)
    a->len = 0;
}

static void tell(lua_State *L, struct msgsock *s, const struct addr *from) {
  struct addr shown = *from;
  int values = lmsg_pushaddr(L, s, &shown);
  lmsg_tell(L, s, "in", values);
  lua_pop(L, values);
}

size_t lmsg_nextpending(lua_State *L, struct msgsock *s, struct addr *from) {
  size_t n = next(L, s);
  get_peer(L, from);
  lua_pop(L, 2);
  if (s->tapped)
    tell(L, s, from);
  return n;
}

int lmsg_nextpendinginfo(lua_State *L, struct msgsock *s, size_t max) {
  struct sock_msg m = {.flags = 0};
  size_t n = next(L, s), have = n < max ? n : max;
  int data = lua_gettop(L) - 2;
  get_peer(L, &m.addr);
  m.control = (void *)lua_tolstring(L, -1, &m.controllen);
  lua_pushlstring(L, lua_tostring(L, data), have);
  if (s->tapped)
    tell(L, s, &m.addr);
  lmsg_pushinfo(L, s, &m, n, have);
  lua_pushnil(L);
  lua_setfield(L, -2, "segment"); /* it is one alone */
  return 2;
}
