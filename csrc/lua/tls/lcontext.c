/* SPDX-License-Identifier: MIT
 * Contexts of TLS, in Lua. */
#include <openssl/err.h>
#include <string.h>

#include "lua/tls/ltls.h"
#include "tls/context.h"
#include "tls/early.h"
#include "tls/ocsp.h"
#include "tls/session.h"

#define CONTEXT_CLASS "neap.tls.context"

struct tls_context *ltls_context(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, CONTEXT_CLASS);
}

int ltls_done(lua_State *L, int err, const char *what) {
  char text[TLS_TEXTLEN];
  if (err < 0)
    return ltls_fail(L, "ETLS", "%s: %s", what, tls_error(text, sizeof text));
  ERR_clear_error();
  lua_pushboolean(L, 1);
  return 1;
}

/* context(for datagrams) */
static int l_context(lua_State *L) {
  bool datagrams = lua_toboolean(L, 1);
  struct tls_context *c = lua_newuserdatauv(L, sizeof *c, 1);
  memset(c, 0, sizeof *c);
  luaL_setmetatable(L, CONTEXT_CLASS);
  if (tls_context_open(c, datagrams) < 0)
    return ltls_done(L, -1, "context");
  lua_newtable(L); /* keeps what it refers to */
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int context_gc(lua_State *L) {
  tls_context_close(ltls_context(L, 1));
  return 0;
}

/* versions(context, min, max): as on the wire, 0x0303 for TLS 1.2; 0: any */
static int l_versions(lua_State *L) {
  return ltls_done(L,
                   tls_context_versions(ltls_context(L, 1),
                                        (int)luaL_checkinteger(L, 2),
                                        (int)luaL_checkinteger(L, 3)),
                   "version");
}

static int l_ciphers(lua_State *L) {
  SSL_CTX *ctx = ltls_context(L, 1)->ctx;
  return ltls_done(L, SSL_CTX_set_cipher_list(ctx, luaL_checkstring(L, 2)) - 1,
                   "ciphers");
}

static int l_ciphersuites(lua_State *L) {
  SSL_CTX *ctx = ltls_context(L, 1)->ctx;
  return ltls_done(L, SSL_CTX_set_ciphersuites(ctx, luaL_checkstring(L, 2)) - 1,
                   "ciphersuites");
}

static int l_groups(lua_State *L) {
  SSL_CTX *ctx = ltls_context(L, 1)->ctx;
  return ltls_done(
    L, (int)SSL_CTX_set1_groups_list(ctx, luaL_checkstring(L, 2)) - 1,
    "groups");
}

static int l_alpn(lua_State *L) {
  size_t len;
  const char *wire = luaL_checklstring(L, 2, &len);
  return ltls_done(L, tls_context_alpn(ltls_context(L, 1), wire, len), "alpn");
}

/* name(context, pattern, other): of a server */
static int l_name(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  struct tls_context *c = ltls_context(L, 1), *of = ltls_context(L, 3);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 3);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  return ltls_done(L, tls_context_name(c, name, len, of), "sni");
}

/* asknames(context): a server's handshakes pause */
static int l_asknames(lua_State *L) {
  tls_context_asknames(ltls_context(L, 1));
  return ltls_done(L, 0, NULL);
}

/* maxearly(context, bytes) */
static int l_maxearly(lua_State *L) {
  lua_Integer most = luaL_checkinteger(L, 2);
  return ltls_done(L, tls_context_early(ltls_context(L, 1), (uint32_t)most),
                   "max_early_data");
}

/* kernel(context): it may encrypt */
static int l_kernel(lua_State *L) {
  ltls_context(L, 1)->ktls = true;
  return ltls_done(L, 0, NULL);
}

/* verify(context, a server's certificate, its name, what a server asks clients
 * for: nil, "request", "require", depth) */
static int l_verify(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  const char *asks = luaL_optstring(L, 4, NULL);
  c->verifies = lua_toboolean(L, 2);
  c->verifies_name = lua_toboolean(L, 3);
  if (asks != NULL)
    c->asks = SSL_VERIFY_PEER;
  if (asks != NULL && strcmp(asks, "require") == 0)
    c->asks |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  if (!lua_isnoneornil(L, 5))
    SSL_CTX_set_verify_depth(c->ctx, (int)luaL_checkinteger(L, 5));
  return ltls_done(L, 0, NULL);
}

/* pin(context, SHA-256) */
static int l_pin(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  size_t len;
  const char *digest = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len == TLS_PINLEN, 2, "32 bytes expected");
  if (c->npins == TLS_MAXPINS)
    return ltls_fail(L, "EINVAL", "pins: more than %d", (int)TLS_MAXPINS);
  memcpy(c->pins[c->npins++], digest, len);
  return ltls_done(L, 0, NULL);
}

/* staple(context, DER): of a server, after its certificates */
static int l_staple(lua_State *L) {
  size_t len;
  const char *der = luaL_checklstring(L, 2, &len), *why;
  if (tls_ocsp_staple(ltls_context(L, 1), der, len, &why) < 0)
    return ltls_fail(L, "ETLS", "ocsp: %s", why);
  return ltls_done(L, 0, NULL);
}

/* ocsp(context, whether a client asks for a response, and requires it) */
static int l_ocsp(lua_State *L) {
  ltls_context(L, 1)->ocsp = !lua_toboolean(L, 2)  ? TLS_OCSP_SILENT
                             : lua_toboolean(L, 3) ? TLS_OCSP_REQUIRES
                                                   : TLS_OCSP_ASKS;
  return ltls_done(L, 0, NULL);
}

void ltls_open_context(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", context_gc},
    {NULL,   NULL      }
  };
  static const luaL_Reg functions[] = {
    {"context",      l_context     },
    {"versions",     l_versions    },
    {"ciphers",      l_ciphers     },
    {"ciphersuites", l_ciphersuites},
    {"groups",       l_groups      },
    {"alpn",         l_alpn        },
    {"name",         l_name        },
    {"asknames",     l_asknames    },
    {"maxearly",     l_maxearly    },
    {"kernel",       l_kernel      },
    {"verify",       l_verify      },
    {"pin",          l_pin         },
    {"staple",       l_staple      },
    {"ocsp",         l_ocsp        },
    {NULL,           NULL          }
  };
  ltls_class(L, CONTEXT_CLASS, meta, NULL);
  luaL_setfuncs(L, functions, 0);
}
