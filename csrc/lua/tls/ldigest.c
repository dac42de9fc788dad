/* SPDX-License-Identifier: MIT
 * Digests by their names, for HTTP's authentication. */
#include "lua/tls/ltls.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* Pushes the failure. Returns the number of results. */
static int no_such(lua_State *L, const char *name) {
  return ltls_fail(L, "ENOTSUP", "digest: OpenSSL has no '%s'", name);
}

/* digest(name, bytes): "md5", "sha1", "sha256", "sha512-256"... OpenSSL may
 * know one and yet refuse it (FIPS). */
static int l_digest(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  const EVP_MD *kind = EVP_get_digestbyname(name);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  if (kind == NULL || EVP_Digest(bytes, n, out, &len, kind, NULL) != 1)
    return no_such(L, name);
  lua_pushlstring(L, (const char *)out, len);
  return 1;
}

/* hmac(name, key, bytes) */
static int l_hmac(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  size_t n, nkey;
  const char *key = luaL_checklstring(L, 2, &nkey);
  const char *bytes = luaL_checklstring(L, 3, &n);
  const EVP_MD *kind = EVP_get_digestbyname(name);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  luaL_argcheck(L, nkey <= INT_MAX, 2, "key too long");
  if (kind == NULL || HMAC(kind, key, (int)nkey, (const unsigned char *)bytes,
                           n, out, &len) == NULL)
    return no_such(L, name);
  lua_pushlstring(L, (const char *)out, len);
  return 1;
}

void ltls_open_digest(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"digest", l_digest},
    {"hmac",   l_hmac  },
    {NULL,     NULL    }
  };
  luaL_setfuncs(L, functions, 0);
}
