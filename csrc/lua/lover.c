/* SPDX-License-Identifier: MIT
 * Streams over what is no plain descriptor: another object's channel carries
 * their bytes. */
#include <errno.h>

#include "lua/lstream.h"

/* stream -> { its channel, what is called instead of its methods }; weak
 * keys */
static const char made_key = 'o';

/* The option maxmessage, or a mebibyte. */
static uint32_t maxmessage(lua_State *L, int options) {
  uint32_t n = 1024 * 1024;
  if (!lua_isnoneornil(L, options) &&
      lua_getfield(L, options, "maxmessage") != LUA_TNIL)
    n = (uint32_t)neap_checkint(L, lua_gettop(L), 1, BYTES_MAX);
  lua_settop(L, options);
  return n;
}

/* What is called for the stream on top: the channel and the methods at these
 * slots. The table of all is at `made`. */
static void remember(lua_State *L, int made, int channel, int methods) {
  lua_pushvalue(L, -1);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, channel);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, methods);
  lua_rawseti(L, -2, 2);
  lua_rawset(L, made);
}

/* stream_over(channel, methods, options[, fd]): the stream. methods: what is
 * called for getsockname, getpeername, setsockopt and getsockopt where there
 * is no descriptor, and `event`, which makes a value of the bytes of a
 * notification. The descriptor becomes the stream's, also when this fails. */
static int l_over(lua_State *L) {
  struct core *core = neap_core(L);
  struct channel *c = lsession_channel(L, 1);
  int fd = (int)luaL_optinteger(L, 4, -1);
  struct stream *s;
  int err;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  c->maxrecord = maxmessage(L, 3);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &made_key);
  s = lstream_new(L, core);
  lstream_options(L, 3, s);
  remember(L, 4, 1, 2);
  err = stream_openover(s, c, fd);
  return err < 0 ? neap_fail(L, err, "stream") : 1;
}

/* stream_channel(stream, channel, methods, options): the same for a stream that
 * was accepted: the channel carries its bytes from now on. */
static int l_channel(lua_State *L) {
  struct stream *s = lstream_open(L);
  struct channel *c;
  if (s == NULL)
    return 3;
  c = lsession_channel(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_argcheck(L, s->session == NULL && !s->watch.hollow, 1, "it has one");
  lua_settop(L, 4);
  c->maxrecord = maxmessage(L, 4);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &made_key);
  lua_pushvalue(L, 1);
  remember(L, 5, 2, 3);
  c->owner = s;
  s->session = c;
  s->kind = FD_OTHER;
  return 1;
}

/* Pushes what the maker of the stream in slot 1 has under this name. */
static int push_made(lua_State *L, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &made_key);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  if (lua_type(L, -1) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 2);
    lua_getfield(L, -1, name);
    lua_copy(L, -1, -4);
    lua_pop(L, 3);
  } else {
    lua_copy(L, -1, -2);
    lua_pop(L, 1);
  }
  return lua_type(L, -1);
}

int lover_instead(lua_State *L, const char *method) {
  int nargs = lua_gettop(L);
  if (push_made(L, method) != LUA_TFUNCTION)
    return neap_fail(L, -EOPNOTSUPP, method);
  lua_insert(L, 1);
  lua_call(L, nargs, LUA_MULTRET);
  return lua_gettop(L);
}

int lover_event(lua_State *L, const char *bytes, size_t len) {
  if (push_made(L, "event") == LUA_TFUNCTION) {
    lua_pushlstring(L, bytes, len);
    lua_call(L, 1, 1);
  } else {
    lua_pop(L, 1);
    lua_pushlstring(L, bytes, len);
  }
  return 1;
}

void neap_open_over(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"stream_over",    l_over   },
    {"stream_channel", l_channel},
    {NULL,             NULL     }
  };
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &made_key);
  neap_setfuncs(L, functions);
}
