/* SPDX-License-Identifier: MIT
 * Contexts of TLS, in Lua: what is resumed, and functions that are called in
 * the midst of a handshake. These run in a thread of their own, which the
 * context keeps; they cannot wait, and what they raise goes no further than
 * here: OpenSSL is below. */
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "lua/tls/ltls.h"
#include "tls/context.h"
#include "tls/psk.h"
#include "tls/session.h"
#include "tls/ticket.h"

/* ---- functions ---- */

/* On the thread's stack are the functions, at their numbers. */
enum { PSK = 1, KEYLOG = 2 };

struct functions {
  lua_State *L;
  bool busy;
};

struct call {
  const char *text;
  size_t len;
  unsigned char *key; /* NULL: nothing is returned */
  int n;
};

/* (function, call): what it is told are strings, whose making may raise. */
static int call_step(lua_State *L) {
  struct call *c = lua_touserdata(L, 2);
  size_t len;
  lua_settop(L, 1);
  lua_pushlstring(L, c->text, c->len);
  lua_call(L, 1, 1);
  if (c->key == NULL || !lua_toboolean(L, -1))
    return 0;
  len = lua_rawlen(L, -1);
  if (lua_type(L, -1) != LUA_TSTRING || len < 1 || len > TLS_MAXPSK)
    return luaL_error(L, "a key must be a string of 1 to %d bytes",
                      (int)TLS_MAXPSK);
  memcpy(c->key, lua_tostring(L, -1), len);
  c->n = (int)len;
  return 0;
}

static int as_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* 0, or -1 and a text. Nothing here can raise. */
static int call(struct functions *f, int which, struct call *c,
                const char *name, char *text, size_t room) {
  lua_State *L = f->L;
  int top = lua_gettop(L), r = LUA_ERRMEM;
  const char *why = "not enough memory";
  if (f->busy)
    why = "it was called by itself";
  else if (lua_checkstack(L, 8)) {
    f->busy = true;
    lua_pushcfunction(L, as_text);
    lua_pushcfunction(L, call_step);
    lua_pushvalue(L, which);
    lua_pushlightuserdata(L, c);
    r = lua_pcall(L, 2, 0, top + 1);
    f->busy = false;
    if (r != LUA_OK && lua_type(L, -1) == LUA_TSTRING)
      why = lua_tostring(L, -1);
  }
  if (r != LUA_OK)
    snprintf(text, room, "%s: %s", name, why);
  if (!f->busy)
    lua_settop(L, top);
  return r == LUA_OK ? 0 : -1;
}

static int ask_psk(void *arg, const char *identity, size_t len,
                   unsigned char *key, char *text, size_t room) {
  struct call c = {identity, len, key, 0};
  return call(arg, PSK, &c, "psk", text, room) == 0 ? c.n : -1;
}

static int tell_keylog(void *arg, const char *line, char *text, size_t room) {
  struct call c = {line, strlen(line), NULL, 0};
  return call(arg, KEYLOG, &c, "keylog", text, room);
}

/* The function at index 2 is from now on what the thread has at `which`. */
static void set_function(lua_State *L, struct tls_context *c, int which) {
  struct functions *f = c->functions.arg;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (f == NULL) {
    lua_getiuservalue(L, 1, 1);
    f = lua_newuserdatauv(L, sizeof *f, 0);
    f->busy = false;
    f->L = lua_newthread(L);
    lua_settop(f->L, KEYLOG);
    lua_setfield(L, -3, "thread");
    lua_setfield(L, -2, "functions");
    lua_pop(L, 1);
    c->functions.arg = f;
  }
  lua_pushvalue(L, 2);
  lua_xmove(L, f->L, 1);
  lua_replace(f->L, which);
}

/* psk(context, function, hint or nil): of a server; the function gets an
 * identity and returns its key, or nil */
static int l_psk(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  const char *hint = luaL_optstring(L, 3, NULL);
  set_function(L, c, PSK);
  c->functions.psk = ask_psk;
  return ltls_done(L, tls_psk_server(c, hint), "psk");
}

/* pskclient(context, identity, key) */
static int l_pskclient(lua_State *L) {
  size_t len, idlen;
  const char *identity = luaL_checklstring(L, 2, &idlen);
  const char *key = luaL_checklstring(L, 3, &len);
  luaL_argcheck(L, idlen == strlen(identity) && idlen <= TLS_MAXIDENTITY, 2,
                "no identity");
  luaL_argcheck(L, len >= 1 && len <= TLS_MAXPSK, 3, "no key");
  return ltls_done(L, tls_psk_client(ltls_context(L, 1), identity, key, len),
                   "psk");
}

/* keylog(context, function): it gets lines without their ends */
static int l_keylog(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  set_function(L, c, KEYLOG);
  c->functions.keylog = tell_keylog;
  tls_context_keylog(c);
  return ltls_done(L, 0, NULL);
}

/* ---- what is resumed ---- */

/* tickets(context, false, or seconds, or nil for the default) */
static int l_tickets(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  if (lua_isboolean(L, 2))
    tls_tickets_off(c);
  else
    tls_tickets_lifetime(c, (long)luaL_optinteger(L, 2, TLS_LIFETIME));
  return ltls_done(L, 0, NULL);
}

/* secrets(context, secret...) */
static int l_secrets(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  struct tls_secret list[TLS_MAXSECRETS];
  int i, n = lua_gettop(L) - 1;
  luaL_argcheck(L, n >= 1 && n <= TLS_MAXSECRETS, 2, "too many secrets");
  for (i = 0; i < n; i++)
    list[i].bytes = luaL_checklstring(L, i + 2, &list[i].len);
  return ltls_done(L, tls_tickets_secrets(c, list, n), "ticket_secret");
}

/* inherit(context, from): its secrets */
static int l_inherit(lua_State *L) {
  tls_tickets_inherit(ltls_context(L, 1), ltls_context(L, 2));
  return ltls_done(L, 0, NULL);
}

/* scope(context, text): what is resumed must have the same */
static int l_scope(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  return ltls_done(L, tls_tickets_scope(ltls_context(L, 1), text, len),
                   "tickets");
}

void ltls_open_functions(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"psk",       l_psk      },
    {"pskclient", l_pskclient},
    {"keylog",    l_keylog   },
    {"tickets",   l_tickets  },
    {"secrets",   l_secrets  },
    {"inherit",   l_inherit  },
    {"scope",     l_scope    },
    {NULL,        NULL       }
  };
  luaL_setfuncs(L, functions, 0);
}
