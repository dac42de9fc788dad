/* SPDX-License-Identifier: MIT */
#include "lua/lsockopt.h"

#include <string.h>

#include "lua/neap.h"
#include "sys/sockopt.h"
#include "sys/tcpinfo.h"

/* By enum opt_type. */
static const char *const types[] = {"boolean", "integer", "integer", "integer",
                                    "integer", "seconds", "linger",  "string",
                                    "bytes",   "address", "cred",    "tcpinfo"};

static const struct sockopt *check_name(lua_State *L, int arg, int access) {
  const struct sockopt *o = NULL;
  if (lua_type(L, arg) != LUA_TSTRING)
    luaL_typeerror(L, arg, "the name of a socket option");
  o = sockopt_find(lua_tostring(L, arg));
  if (o == NULL)
    luaL_argerror(
      L, arg,
      lua_pushfstring(L, "unknown socket option '%s'", lua_tostring(L, arg)));
  if (!(o->access & access))
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%s can only be %s", o->name,
                                  access == OPT_W ? "read" : "set"));
  return o;
}

/* ---- values from Lua ---- */

static void check_type(lua_State *L, int arg, int type, const struct sockopt *o,
                       const char *expected) {
  if (lua_type(L, arg) != type)
    luaL_typeerror(L, arg, lua_pushfstring(L, "%s for %s", expected, o->name));
}

static void check_integer(lua_State *L, int arg, const struct sockopt *o,
                          struct optvalue *v, const char *expected) {
  int exact;
  check_type(L, arg, LUA_TNUMBER, o, expected);
  v->number = lua_tointegerx(L, arg, &exact);
  if (!exact)
    luaL_argerror(L, arg, "number has no integer representation");
}

static void check_linger(lua_State *L, int arg, const struct sockopt *o,
                         struct optvalue *v) {
  if (lua_isboolean(L, arg) && !lua_toboolean(L, arg))
    return;
  v->on = true;
  check_integer(L, arg, o, v, "whole seconds or false");
}

static void check_value(lua_State *L, int arg, const struct sockopt *o,
                        struct optvalue *v) {
  memset(v, 0, sizeof *v);
  switch (o->type) {
  case OPT_BOOL:
    check_type(L, arg, LUA_TBOOLEAN, o, "boolean");
    v->on = lua_toboolean(L, arg);
    break;
  case OPT_INT:
  case OPT_UINT:
  case OPT_LONG:
  case OPT_NETINT:
    check_integer(L, arg, o, v, "integer");
    break;
  case OPT_TIME:
    check_type(L, arg, LUA_TNUMBER, o, "seconds");
    v->seconds = lua_tonumber(L, arg);
    break;
  case OPT_LINGER:
    check_linger(L, arg, o, v);
    break;
  default:
    check_type(L, arg, LUA_TSTRING, o, "string");
    v->bytes = lua_tolstring(L, arg, &v->len);
    break;
  }
}

static void check_range(lua_State *L, int arg, const struct sockopt *o,
                        const struct optvalue *v) {
  const char *what =
    o->type == OPT_STRING || o->type == OPT_BYTES ? "length of " : "";
  if (sockopt_inrange(o, v))
    return;
  luaL_argerror(L, arg,
                lua_pushfstring(L, "%s%s must be in [%I, %I]", what, o->name,
                                (LUAI_UACINT)o->min, (LUAI_UACINT)o->max));
}

int lsockopt_set(lua_State *L, int fd, int arg) {
  const struct sockopt *o = check_name(L, arg, OPT_W);
  struct optvalue v;
  int err;
  check_value(L, arg + 1, o, &v);
  check_range(L, arg + 1, o, &v);
  err = sockopt_set(fd, o, &v);
  if (err < 0)
    return neap_failf(L, err, "setsockopt %s", o->name);
  lua_pushvalue(L, 1);
  return 1;
}

/* ---- values to Lua ---- */

static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void push_cred(lua_State *L, const struct sys_cred *cred) {
  lua_createtable(L, 0, 3);
  set_integer(L, "pid", cred->pid);
  set_integer(L, "uid", cred->uid);
  set_integer(L, "gid", cred->gid);
}

static void push_tcpinfo(lua_State *L, const struct optvalue *v) {
  const char *name;
  size_t at = 0;
  uint64_t value;
  lua_createtable(L, 0, 64);
  while ((name = tcpinfo_field(v->bytes, v->len, &at, &value)) != NULL)
    set_integer(L, name, (int64_t)value);
}

static void push_value(lua_State *L, const struct sockopt *o,
                       const struct optvalue *v) {
  switch (o->type) {
  case OPT_BOOL:
    lua_pushboolean(L, v->on);
    break;
  case OPT_INT:
  case OPT_UINT:
  case OPT_LONG:
  case OPT_NETINT:
    lua_pushinteger(L, v->number);
    break;
  case OPT_TIME:
    lua_pushnumber(L, v->seconds);
    break;
  case OPT_LINGER:
    if (v->on)
      lua_pushinteger(L, v->number);
    else
      lua_pushboolean(L, 0);
    break;
  case OPT_CRED:
    push_cred(L, &v->cred);
    break;
  case OPT_TCPINFO:
    push_tcpinfo(L, v);
    break;
  default:
    lua_pushlstring(L, v->bytes, v->len);
    break;
  }
}

int lsockopt_get(lua_State *L, int fd, int arg) {
  const struct sockopt *o = check_name(L, arg, OPT_R);
  struct optvalue v;
  int err = sockopt_get(fd, o, &v);
  if (err < 0)
    return neap_failf(L, err, "getsockopt %s", o->name);
  push_value(L, o, &v);
  return 1;
}

/* ---- the table ---- */

static void push_row(lua_State *L, const struct sockopt *o) {
  lua_createtable(L, 0, 9);
  lua_pushstring(L, o->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, types[o->type]);
  lua_setfield(L, -2, "type");
  set_integer(L, "level", o->level);
  if (o->number != OPT_ABSENT)
    set_integer(L, "number", o->number);
  if (o->access & OPT_W && o->type != OPT_BOOL) {
    set_integer(L, "min", o->min);
    set_integer(L, "max", o->max);
  }
  lua_pushboolean(L, (o->access & OPT_R) != 0);
  lua_setfield(L, -2, "readable");
  lua_pushboolean(L, (o->access & OPT_W) != 0);
  lua_setfield(L, -2, "writable");
}

int lsockopt_list(lua_State *L) {
  const struct sockopt *o;
  size_t i;
  lua_newtable(L);
  for (i = 0; (o = sockopt_row(i)) != NULL; i++) {
    push_row(L, o);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}
