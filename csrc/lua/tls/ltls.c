/* SPDX-License-Identifier: MIT
 * neap.tlscore: contexts and sessions for neap.tls, certificates for neap.x509.
 * An object of its own: it needs nothing of neap's core. */
#include "lua/tls/ltls.h"

#include "lua/tls/lx509.h"
#include "tls/bio.h"
#include "tls/dtls.h"

__attribute__((visibility("default"))) int luaopen_neap_tlscore(lua_State *L);

int luaopen_neap_tlscore(lua_State *L) {
  if (tls_bio_setup() < 0 || dtls_setup() < 0)
    return luaL_error(L, "OpenSSL has no place for another kind of BIO");
  lua_newtable(L);
  ltls_open_context(L);
  ltls_open_files(L);
  ltls_open_functions(L);
  ltls_open_session(L);
  ltls_open_dtls(L);
  ltls_open_x509(L);
  ltls_open_digest(L);
  return 1;
}
