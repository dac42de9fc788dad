/* SPDX-License-Identifier: MIT
 * Contexts of TLS, in Lua: what they are told in files. */
#include <openssl/err.h>

#include "lua/tls/ltls.h"
#include "tls/context.h"

/* why: what is wrong, or NULL: then OpenSSL knows. A fourth value tells that
 * a passphrase would help. */
static int read_by(lua_State *L, int err, const char *what, const char *why) {
  if (err >= 0 || why == NULL)
    return ltls_done(L, err, what);
  ERR_clear_error();
  ltls_fail(L, "ETLS", "%s: %s", what, why);
  lua_pushboolean(L, why == tls_locked);
  return 4;
}

/* certificate(context, PEM): its chain behind it */
static int l_certificate(lua_State *L) {
  size_t len;
  const char *pem = luaL_checklstring(L, 2, &len), *why;
  int err = tls_context_certificate(ltls_context(L, 1), pem, len, &why);
  return read_by(L, err, "cert", why);
}

/* key(context, PEM, passphrase or nil): of the certificate before */
static int l_key(lua_State *L) {
  size_t len;
  const char *pem = luaL_checklstring(L, 2, &len), *why;
  const char *passphrase = luaL_optstring(L, 3, NULL);
  int err = tls_context_key(ltls_context(L, 1), pem, len, passphrase, &why);
  return read_by(L, err, "key", why);
}

/* pkcs12(context, DER, passphrase or nil) */
static int l_pkcs12(lua_State *L) {
  size_t len;
  const char *der = luaL_checklstring(L, 2, &len), *why;
  const char *passphrase = luaL_optstring(L, 3, NULL);
  int err = tls_context_pkcs12(ltls_context(L, 1), der, len, passphrase, &why);
  return read_by(L, err, "pkcs12", why);
}

static int l_systemtrust(lua_State *L) {
  return ltls_done(L, tls_context_systemtrust(ltls_context(L, 1)), "ca");
}

/* trust(context, PEM, whether clients are told) */
static int l_trust(lua_State *L) {
  size_t len;
  const char *pem = luaL_checklstring(L, 2, &len), *why;
  int err =
    tls_context_trust(ltls_context(L, 1), pem, len, lua_toboolean(L, 3), &why);
  return read_by(L, err, "ca", why);
}

/* trustdir(context, path, whether clients are told) */
static int l_trustdir(lua_State *L) {
  const char *path = luaL_checkstring(L, 2), *why;
  int err =
    tls_context_trustdir(ltls_context(L, 1), path, lua_toboolean(L, 3), &why);
  return read_by(L, err, "ca", why);
}

/* crl(context, PEM) */
static int l_crl(lua_State *L) {
  size_t len;
  const char *pem = luaL_checklstring(L, 2, &len), *why;
  int err = tls_context_crl(ltls_context(L, 1), pem, len, &why);
  return read_by(L, err, "crl", why);
}

void ltls_open_files(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"certificate", l_certificate},
    {"key",         l_key        },
    {"pkcs12",      l_pkcs12     },
    {"systemtrust", l_systemtrust},
    {"trust",       l_trust      },
    {"trustdir",    l_trustdir   },
    {"crl",         l_crl        },
    {NULL,          NULL         }
  };
  luaL_setfuncs(L, functions, 0);
}
