/* SPDX-License-Identifier: MIT
 * Ends of DTLS in Lua: datagrams are strings, and sockets somebody else's. */
#include <errno.h>
#include <string.h>

#include "lua/tls/ltls.h"
#include "tls/dtls.h"

#define COOKIES_CLASS "neap.dtls.cookies"

static struct dtls *check_end(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, DTLS_CLASS);
}

static int fail(lua_State *L, struct dtls *d, int err) {
  struct tls_session *s = &d->session;
  if (err == CHANNEL_CLOSED || s->ssl == NULL)
    return ltls_fail(L, "ECLOSED", "closed");
  if (err == -ETIMEDOUT)
    return ltls_fail(L, "ETIMEDOUT", "the peer does not answer");
  if (err == CHANNEL_EOF)
    return ltls_fail(L, "EOF", "end of stream");
  return ltls_fail(L, s->code != NULL ? s->code : "ETLS", "%s",
                   s->text != NULL ? s->text : "OpenSSL failed");
}

/* open(context, server, name, sni, mtu, microseconds until what got no answer
 * is sent again) */
static int l_open(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  bool server = lua_toboolean(L, 2);
  const char *name = luaL_optstring(L, 3, NULL);
  const char *sni = luaL_optstring(L, 4, NULL), *why;
  unsigned mtu = (unsigned)luaL_checkinteger(L, 5);
  unsigned first = (unsigned)luaL_checkinteger(L, 6);
  struct dtls *d = lua_newuserdatauv(L, sizeof *d, 2);
  memset(d, 0, sizeof *d);
  luaL_setmetatable(L, DTLS_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_argcheck(L, c->datagrams, 1, "a context for DTLS expected");
  if (dtls_open(d, c, server, name, sni, mtu, first, &why) < 0)
    return ltls_fail(L, "EINVAL", "dtls: %s", why);
  return 1;
}

/* feed(end, datagram or nil, list): the handshake goes on, or what comes is
 * appended to the list. "shaking", "open", "ended", or nil, message, code;
 * what was appended counts then, too. */
static int end_feed(lua_State *L) {
  struct dtls *d = check_end(L, 1);
  char buf[DTLS_RECORD];
  size_t len;
  const char *in = luaL_optlstring(L, 2, NULL, &len);
  lua_Integer n;
  ssize_t got;
  int err;
  luaL_checktype(L, 3, LUA_TTABLE);
  n = (lua_Integer)lua_rawlen(L, 3);
  if (d->session.ssl == NULL)
    return fail(L, d, CHANNEL_CLOSED);
  if (in != NULL)
    dtls_feed(d, in, len);
  err = dtls_handshake(d);
  for (got = err; got >= 0;) {
    got = dtls_read(d, buf);
    if (got <= 0)
      break;
    lua_pushlstring(L, buf, (size_t)got);
    lua_rawseti(L, 3, ++n);
  }
  d->in = NULL;
  if (err == 0 && (got == -EAGAIN || got == CHANNEL_EOF || got == 0)) {
    lua_pushstring(L, d->session.ended ? "ended" : "open");
    return 1;
  }
  if (err == -EAGAIN) {
    lua_pushliteral(L, "shaking");
    return 1;
  }
  return fail(L, d, err < 0 ? err : (int)got);
}

/* seal(end, message): the datagram that carries it */
static int end_seal(lua_State *L) {
  struct dtls *d = check_end(L, 1);
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len), *out;
  int err = dtls_write(d, data, len);
  if (err == -EMSGSIZE)
    return ltls_fail(L, "EMSGSIZE", "a message of %I bytes, room for %I",
                     (LUAI_UACINT)len, (LUAI_UACINT)dtls_most(d));
  if (err < 0)
    return fail(L, d, err);
  out = dtls_take(d, &len);
  if (out == NULL)
    return ltls_fail(L, "ENOMEM", "out of memory");
  lua_pushlstring(L, out, len);
  return 1;
}

/* take(end): the next datagram to be sent, or nil */
static int end_take(lua_State *L) {
  size_t len;
  const char *out = dtls_take(check_end(L, 1), &len);
  if (out == NULL)
    lua_pushnil(L);
  else
    lua_pushlstring(L, out, len);
  return 1;
}

/* due(end): seconds until expire() is to be called, or nil */
static int end_due(lua_State *L) {
  int64_t due = dtls_due(check_end(L, 1));
  if (due < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)due / 1e6);
  return 1;
}

static int end_expire(lua_State *L) {
  struct dtls *d = check_end(L, 1);
  int err = dtls_expire(d);
  if (err < 0)
    return fail(L, d, err);
  lua_pushboolean(L, 1);
  return 1;
}

/* finish(end): close_notify is to be taken */
static int end_finish(lua_State *L) {
  dtls_end(check_end(L, 1));
  return 0;
}

/* most(end): the longest message */
static int end_most(lua_State *L) {
  struct dtls *d = check_end(L, 1);
  lua_pushinteger(L, d->session.ssl != NULL ? (lua_Integer)dtls_most(d) : 0);
  return 1;
}

/* shrink(end, mtu) */
static int end_shrink(lua_State *L) {
  dtls_shrink(check_end(L, 1), (unsigned)luaL_checkinteger(L, 2));
  return 0;
}

static int end_close(lua_State *L) {
  dtls_close(check_end(L, 1));
  return 0;
}

/* ---- servers ---- */

/* cookies(): what keeps secrets */
static int l_cookies(lua_State *L) {
  struct dtls_cookies *k = lua_newuserdatauv(L, sizeof *k, 0);
  luaL_setmetatable(L, COOKIES_CLASS);
  if (dtls_cookies_rotate(k) < 0 || dtls_cookies_rotate(k) < 0)
    return ltls_fail(L, "ETLS", "dtls: no random bytes");
  return 1;
}

/* rotate(cookies) */
static int cookies_rotate(lua_State *L) {
  dtls_cookies_rotate(luaL_checkudata(L, 1, COOKIES_CLASS));
  return 0;
}

/* ishello(datagram): the random of the ClientHello that it begins with, or
 * nil */
static int l_ishello(lua_State *L) {
  size_t len;
  const char *in = luaL_checklstring(L, 1, &len), *random;
  if (dtls_ishello(in, len, &random))
    lua_pushlstring(L, random, 32);
  else
    lua_pushnil(L);
  return 1;
}

/* listen(end, cookies, address, datagram): true if the cookie was good; either
 * way something may be to be taken. */
static int end_listen(lua_State *L) {
  struct dtls *d = check_end(L, 1);
  struct dtls_cookies *k = luaL_checkudata(L, 2, COOKIES_CLASS);
  size_t addrlen, len;
  const char *addr = luaL_checklstring(L, 3, &addrlen);
  const char *in = luaL_checklstring(L, 4, &len);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 1, 2);
  lua_pushboolean(L, d->session.ssl != NULL &&
                       dtls_listen(d, k, addr, addrlen, in, len));
  return 1;
}

/* They are in a table of their own, `dtls`. */
void ltls_open_dtls(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", end_close},
    {NULL,   NULL     }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  static const luaL_Reg functions[] = {
    {"open",    l_open        },
    {"feed",    end_feed      },
    {"seal",    end_seal      },
    {"take",    end_take      },
    {"due",     end_due       },
    {"expire",  end_expire    },
    {"finish",  end_finish    },
    {"most",    end_most      },
    {"shrink",  end_shrink    },
    {"listen",  end_listen    },
    {"close",   end_close     },
    {"cookies", l_cookies     },
    {"rotate",  cookies_rotate},
    {"ishello", l_ishello     },
    {NULL,      NULL          }
  };
  ltls_class(L, DTLS_CLASS, meta, NULL);
  ltls_class(L, COOKIES_CLASS, none, NULL);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "dtls");
}
