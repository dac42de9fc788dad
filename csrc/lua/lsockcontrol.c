/* SPDX-License-Identifier: MIT
 * neap.socket: control data as a list of tables. Each has level, type and the
 * bytes as data; what is known has a name, and its fields beside. */
#include <errno.h>
#include <string.h>

#include "lua/laddr.h"
#include "lua/lsocket.h"
#include "sys/cmsg.h"

/* ---- to Lua ---- */

void control_collect(const struct sock_msg *m, struct room *r) {
  struct cmsg_item item;
  size_t at = 0;
  while (cmsg_next(m->control, m->controllen, &at, &item)) {
    const struct cmsg_row *row = cmsg_find(item.level, item.type);
    size_t n = item.len / sizeof(int);
    if (row == NULL || row->kind != CMSG_KIND_FDS)
      continue;
    memcpy(r->fds + r->nfds, item.data, n * sizeof(int));
    r->nfds += n;
  }
}

static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_ip(lua_State *L, const char *name, const struct addr *a) {
  char ip[ADDR_IPLEN];
  if (a->len == 0 || addr_iptext(a, ip) < 0)
    return;
  lua_pushstring(L, ip);
  lua_setfield(L, -2, name);
}

static void set_address(lua_State *L, const char *name, const struct addr *a) {
  if (a->len == 0)
    return;
  laddr_pushtable(L, a);
  lua_setfield(L, -2, name);
}

static void set_fds(lua_State *L, const struct cmsg_item *item) {
  size_t i, n = item->len / sizeof(int);
  lua_createtable(L, (int)n, 0);
  for (i = 0; i < n; i++) {
    int fd;
    memcpy(&fd, (const char *)item->data + i * sizeof fd, sizeof fd);
    lua_pushinteger(L, fd);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "fds");
}

static void set_times(lua_State *L, const struct cmsg_value *v) {
  set_integer(L, "seconds", v->seconds);
  set_integer(L, "nanoseconds", v->nanoseconds);
  if (v->rawseconds == 0 && v->rawnanoseconds == 0)
    return;
  set_integer(L, "rawseconds", v->rawseconds);
  set_integer(L, "rawnanoseconds", v->rawnanoseconds);
}

static void set_error(lua_State *L, const struct cmsg_value *v) {
  set_integer(L, "errno", v->number);
  set_integer(L, "origin", v->origin);
  set_integer(L, "errtype", v->etype);
  set_integer(L, "errcode", v->ecode);
  set_integer(L, "info", v->info);
  set_address(L, "offender", &v->addr);
}

static void set_auxdata(lua_State *L, const struct cmsg_value *v) {
  set_integer(L, "status", v->number);
  set_integer(L, "length", v->length);
  set_integer(L, "snaplen", v->snaplen);
  if (v->vlan >= 0)
    set_integer(L, "vlan", v->vlan);
  if (v->vlan_tpid >= 0)
    set_integer(L, "vlan_tpid", v->vlan_tpid);
}

static void set_fields(lua_State *L, const struct cmsg_row *row,
                       const struct cmsg_item *item) {
  struct cmsg_value v;
  if (!cmsg_decode(row, item, &v))
    return;
  switch (row->kind) {
  case CMSG_KIND_FDS:
    set_fds(L, item);
    break;
  case CMSG_KIND_CRED:
    set_integer(L, "pid", v.cred.pid);
    set_integer(L, "uid", v.cred.uid);
    set_integer(L, "gid", v.cred.gid);
    break;
  case CMSG_KIND_TIME:
  case CMSG_KIND_TIMES:
    set_times(L, &v);
    break;
  case CMSG_KIND_PKTINFO:
    set_integer(L, "ifindex", v.ifindex);
    set_ip(L, "ip", &v.addr);
    set_ip(L, "local", &v.local);
    break;
  case CMSG_KIND_ADDR:
    set_address(L, "addr", &v.addr);
    break;
  case CMSG_KIND_ERROR:
    set_error(L, &v);
    break;
  case CMSG_KIND_MTU:
    set_integer(L, "value", v.number);
    set_address(L, "addr", &v.addr);
    break;
  case CMSG_KIND_AUXDATA:
    set_auxdata(L, &v);
    break;
  case CMSG_KIND_BYTES:
    break;
  default:
    set_integer(L, "value", v.number);
    break;
  }
}

static void push_item(lua_State *L, const struct cmsg_item *item) {
  const struct cmsg_row *row = cmsg_find(item->level, item->type);
  lua_createtable(L, 0, 6);
  set_integer(L, "level", item->level);
  set_integer(L, "type", item->type);
  lua_pushlstring(L, item->data, item->len);
  lua_setfield(L, -2, "data");
  if (row == NULL)
    return;
  lua_pushstring(L, row->name);
  lua_setfield(L, -2, "name");
  set_fields(L, row, item);
}

void control_push(lua_State *L, const struct sock_msg *m) {
  struct cmsg_item item;
  size_t at = 0;
  lua_Integer n = 0;
  lua_newtable(L);
  while (cmsg_next(m->control, m->controllen, &at, &item)) {
    push_item(L, &item);
    lua_rawseti(L, -2, ++n);
  }
}

/* ---- from Lua: the item's table is on top of the stack ---- */

static int bad(lua_State *L, int arg, const char *why) {
  return luaL_argerror(L, arg, lua_pushfstring(L, "control data: %s", why));
}

/* An integer field; raises if it is something else, or absent and needed. */
static int64_t get_integer(lua_State *L, int arg, const char *name,
                           bool needed) {
  int64_t n;
  int type = lua_getfield(L, -1, name);
  if (!lua_isinteger(L, -1) && (needed || type != LUA_TNIL))
    bad(L, arg, lua_pushfstring(L, "'%s' must be an integer", name));
  n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

static void put(lua_State *L, int arg, struct room *r, size_t *at,
                const struct cmsg_item *item) {
  if (item->len > r->control || cmsg_room(item->len) > r->control - *at)
    bad(L, arg, "too long");
  cmsg_put(r->controldata, at, item);
}

/* Calls the fileno methods of objects, so anything may happen here. */
static void put_fds(lua_State *L, int arg, struct room *r, size_t *at,
                    struct cmsg_item *item) {
  int fds[FD_MAXPASS], at_fds = lua_gettop(L) + 1;
  lua_Integer i, n;
  if (lua_getfield(L, -1, "fds") != LUA_TTABLE)
    bad(L, arg, "'fds' must be a list of descriptors");
  n = luaL_len(L, -1);
  if (n < 1 || n > FD_MAXPASS)
    bad(L, arg, lua_pushfstring(L, "from 1 to %d descriptors", FD_MAXPASS));
  for (i = 0; i < n; i++) {
    lua_geti(L, at_fds, i + 1);
    fds[i] = neap_checkfd(L, at_fds + 1);
    lua_settop(L, at_fds);
  }
  lua_pop(L, 1);
  item->data = fds;
  item->len = (size_t)n * sizeof *fds;
  put(L, arg, r, at, item);
}

static void get_local(lua_State *L, int arg, struct addr *a) {
  size_t len;
  const char *ip;
  if (lua_getfield(L, -1, "local") == LUA_TSTRING) {
    ip = lua_tolstring(L, -1, &len);
    if (addr_ip(a, ip, len, 0) < 0)
      bad(L, arg, "'local' is not a numeric address");
  } else if (!lua_isnil(L, -1)) {
    bad(L, arg, "'local' must be a string");
  }
  lua_pop(L, 1);
}

/* The item's data as it is. */
static void put_data(lua_State *L, int arg, struct room *r, size_t *at,
                     struct cmsg_item *item) {
  if (lua_getfield(L, -1, "data") != LUA_TSTRING)
    bad(L, arg, "'data' must be a string");
  item->data = lua_tolstring(L, -1, &item->len);
  put(L, arg, r, at, item);
  lua_pop(L, 1);
}

static void put_bytes(lua_State *L, int arg, struct room *r, size_t *at) {
  struct cmsg_item item;
  item.level = (int)get_integer(L, arg, "level", true);
  item.type = (int)get_integer(L, arg, "type", true);
  put_data(L, arg, r, at, &item);
}

static void put_known(lua_State *L, int arg, struct room *r, size_t *at,
                      const struct cmsg_row *row) {
  struct cmsg_item item = {.level = row->level, .type = row->type};
  struct cmsg_value v;
  char bytes[CMSG_ENCODED];
  int n;
  memset(&v, 0, sizeof v);
  if (row->kind == CMSG_KIND_FDS) {
    put_fds(L, arg, r, at, &item);
    return;
  }
  if (row->kind == CMSG_KIND_BYTES) {
    put_data(L, arg, r, at, &item);
    return;
  }
  if (row->kind == CMSG_KIND_CRED) {
    v.cred.pid = get_integer(L, arg, "pid", true);
    v.cred.uid = get_integer(L, arg, "uid", true);
    v.cred.gid = get_integer(L, arg, "gid", true);
  } else if (row->kind == CMSG_KIND_PKTINFO) {
    v.ifindex = (unsigned)get_integer(L, arg, "ifindex", false);
    get_local(L, arg, &v.local);
  } else {
    v.number = get_integer(L, arg, "value", true);
  }
  n = cmsg_encode(row, &v, bytes);
  if (n < 0)
    bad(L, arg, lua_pushfstring(L, "%s cannot be sent", row->name));
  item.data = bytes;
  item.len = (size_t)n;
  put(L, arg, r, at, &item);
}

static void put_entry(lua_State *L, int arg, struct room *r, size_t *at) {
  const struct cmsg_row *row;
  if (lua_type(L, -1) != LUA_TTABLE)
    bad(L, arg, "each item must be a table");
  if (lua_getfield(L, -1, "name") == LUA_TNIL) {
    lua_pop(L, 1);
    put_bytes(L, arg, r, at);
    return;
  }
  row = lua_type(L, -1) == LUA_TSTRING ? cmsg_named(lua_tostring(L, -1)) : NULL;
  if (row == NULL) {
    bad(L, arg,
        lua_pushfstring(L, "unknown name '%s'", luaL_tolstring(L, -1, NULL)));
    return;
  }
  lua_pop(L, 1);
  put_known(L, arg, r, at, row);
}

size_t control_check(lua_State *L, int arg, struct room *r) {
  lua_Integer i, n;
  size_t at = 0;
  if (lua_type(L, -1) != LUA_TTABLE)
    bad(L, arg, "must be a list of tables");
  n = luaL_len(L, -1);
  for (i = 1; i <= n; i++) {
    lua_geti(L, -1, i);
    put_entry(L, arg, r, &at);
    lua_pop(L, 1);
  }
  return at;
}
