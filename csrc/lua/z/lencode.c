/* SPDX-License-Identifier: MIT */
#include "lua/z/lz.h"

#include <errno.h>
#include <string.h>

#include "z/encode.h"

#define ENCODER_CLASS "neap.z.encoder"

enum { PIECE = 4096, WINDOW = 15, TAIL = 4 };

struct encoder {
  struct zencoder z;
  enum zkind kind;
  bool ended;
};

static struct encoder *check(lua_State *L) {
  return luaL_checkudata(L, 1, ENCODER_CLASS);
}

/* encoder(kind[, level[, window_bits[, memory]]]) */
static int l_encoder(lua_State *L) {
  enum zkind kind = (enum zkind)lz_kind(L, 1);
  int level = lz_option(L, 2, -1, -1, 9);
  int bits = lz_option(L, 3, WINDOW, 8, WINDOW);
  int memory = lz_option(L, 4, 8, 1, 9), err;
  struct encoder *e = lua_newuserdatauv(L, sizeof *e, 0);
  memset(e, 0, sizeof *e);
  e->kind = kind;
  luaL_setmetatable(L, ENCODER_CLASS);
  err = zencoder_open(&e->z, kind, level, bits, memory);
  return err < 0 ? lz_fail(L, kind, err) : 1;
}

/* Why it cannot take more, or 0. */
static int state_of(const struct encoder *e) {
  return e->z.z == NULL ? -EBADF : e->ended ? -EINVAL : 0;
}

/* Pushes the coded bytes. The first piece of a buffer is on the C stack, so a
 * small message costs one string and no other memory. */
static int encode(lua_State *L, struct encoder *e, const char *bytes, size_t n,
                  enum zend how, size_t tail) {
  luaL_Buffer b;
  struct zspan s = {(const uint8_t *)bytes, n, NULL, 0};
  size_t room;
  int err = state_of(e);
  if (err != 0)
    return lz_fail(L, e->kind, err);
  luaL_buffinit(L, &b);
  for (room = LUAL_BUFFERSIZE; s.nout == 0; room = PIECE) {
    s.out = (uint8_t *)luaL_prepbuffsize(&b, room);
    s.nout = room;
    err = zencoder_run(&e->z, &s, how);
    luaL_addsize(&b, room - s.nout);
    if (err < 0)
      return lz_fail(L, e->kind, err);
  }
  if (tail > 0 && luaL_bufflen(&b) > tail)
    luaL_buffsub(&b, tail);
  else if (tail > 0)
    luaL_addchar(&b, 0); /* nothing to flush: an empty block */
  luaL_pushresult(&b);
  return 1;
}

static int l_feed(lua_State *L) {
  struct encoder *e = check(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  return encode(L, e, bytes, n, ZGOES_ON, 0);
}

/* flush([bytes]): so that the receiver can decode all that was given. */
static int l_flush(lua_State *L) {
  struct encoder *e = check(L);
  size_t n;
  const char *bytes = luaL_optlstring(L, 2, "", &n);
  return encode(L, e, bytes, n, ZFLUSH, 0);
}

/* finish([bytes]): the last of it. */
static int l_finish(lua_State *L) {
  struct encoder *e = check(L);
  size_t n;
  const char *bytes = luaL_optlstring(L, 2, "", &n);
  int results = encode(L, e, bytes, n, ZFINISH, 0);
  e->ended = true;
  return results;
}

/* message(bytes): the (last piece of a) message of permessage-deflate, without
 * the four bytes that every flush ends in. */
static int l_message(lua_State *L) {
  struct encoder *e = check(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  luaL_argcheck(L, e->kind == ZRAW, 1, "a raw encoder expected");
  return encode(L, e, bytes, n, ZFLUSH, TAIL);
}

/* reset(): the next text knows nothing of the last. */
static int l_reset(lua_State *L) {
  struct encoder *e = check(L);
  if (e->z.z == NULL)
    return lz_fail(L, e->kind, -EBADF);
  zencoder_reset(&e->z);
  e->ended = false;
  lua_settop(L, 1);
  return 1;
}

static int l_close(lua_State *L) {
  zencoder_close(&check(L)->z);
  return 0;
}

void lz_open_encoder(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",    l_close},
    {"__close", l_close},
    {NULL,      NULL   }
  };
  static const luaL_Reg methods[] = {
    {"feed",    l_feed   },
    {"flush",   l_flush  },
    {"finish",  l_finish },
    {"message", l_message},
    {"reset",   l_reset  },
    {"close",   l_close  },
    {NULL,      NULL     }
  };
  luaL_newmetatable(L, ENCODER_CLASS);
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_encoder);
  lua_setfield(L, -2, "encoder");
}
