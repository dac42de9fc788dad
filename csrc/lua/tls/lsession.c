/* SPDX-License-Identifier: MIT
 * Sessions of TLS, in Lua: the core gets to know one as a channel. */
#include <string.h>

#include "lua/tls/ltls.h"
#include "tls/context.h"
#include "tls/session.h"

#define SESSION_CLASS "neap.tls.session"

static struct tls_session *check_session(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, SESSION_CLASS);
}

/* session(context, server, name, sni): a channel, over nothing yet */
static int l_session(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  bool server = lua_toboolean(L, 2);
  const char *name = luaL_optstring(L, 3, NULL);
  const char *sni = luaL_optstring(L, 4, NULL), *why;
  struct tls_session *s = lua_newuserdatauv(L, sizeof *s, 1);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(L, SESSION_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  if (tls_session_open(s, c, server, name, sni, &why) < 0)
    return ltls_fail(L, "EINVAL", "tls: %s", why);
  return 1;
}

static int session_gc(lua_State *L) {
  tls_session_close(check_session(L, 1));
  return 0;
}

static void set_string(lua_State *L, const char *name, const char *value) {
  if (value == NULL)
    return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_alpn(lua_State *L, SSL *ssl) {
  const unsigned char *alpn;
  unsigned len;
  SSL_get0_alpn_selected(ssl, &alpn, &len);
  if (len == 0)
    return;
  lua_pushlstring(L, (const char *)alpn, len);
  lua_setfield(L, -2, "alpn");
}

/* The peer's certificates in DER, its own first. */
static void set_peer(lua_State *L, SSL *ssl) {
  STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
  X509 *own = SSL_is_server(ssl) ? SSL_get_peer_certificate(ssl) : NULL;
  int i, at = 0, n = chain != NULL ? sk_X509_num(chain) : 0;
  lua_createtable(L, n + 1, 0);
  for (i = own != NULL ? -1 : 0; i < n; i++) {
    unsigned char *der = NULL;
    int len = i2d_X509(i < 0 ? own : sk_X509_value(chain, i), &der);
    if (len <= 0)
      continue;
    lua_pushlstring(L, (const char *)der, (size_t)len);
    OPENSSL_free(der);
    lua_rawseti(L, -2, ++at);
  }
  X509_free(own);
  lua_setfield(L, -2, "peer");
}

static int l_info(lua_State *L) {
  struct tls_session *s = check_session(L, 1);
  if (s->ssl == NULL || !s->done)
    return ltls_fail(L, "ECLOSED", "closed");
  lua_createtable(L, 0, 8);
  set_string(L, "version", SSL_get_version(s->ssl));
  set_string(L, "cipher", SSL_get_cipher_name(s->ssl));
  set_string(L, "servername",
             SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name));
  set_string(L, "group",
             OBJ_nid2sn((int)SSL_get_negotiated_group(s->ssl) & 0xffff));
  set_alpn(L, s->ssl);
  set_peer(L, s->ssl);
  lua_pushboolean(L, SSL_session_reused(s->ssl));
  lua_setfield(L, -2, "resumed");
  return 1;
}

void ltls_open_session(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", session_gc},
    {NULL,   NULL      }
  };
  static const luaL_Reg functions[] = {
    {"session", l_session},
    {"info",    l_info   },
    {NULL,      NULL     }
  };
  ltls_class(L, SESSION_CLASS, meta, NULL);
  luaL_setfuncs(L, functions, 0);
}
