/* SPDX-License-Identifier: MIT
 * neap.tlscore: contexts and sessions for neap.tls. An object of its own: it
 * needs nothing of neap's core, which gets to know a session as a channel. */
#include "lua/tls/ltls.h"

#include <openssl/err.h>
#include <string.h>

#include "lua/tls/lx509.h"
#include "tls/bio.h"
#include "tls/context.h"
#include "tls/session.h"
#include "tls/verify.h"

#define CONTEXT_CLASS "neap.tls.context"
#define SESSION_CLASS "neap.tls.session"

/* ---- contexts ---- */

static struct tls_context *check_context(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, CONTEXT_CLASS);
}

/* True, or what OpenSSL says. */
static int done(lua_State *L, int err, const char *what) {
  char text[TLS_TEXTLEN];
  if (err < 0)
    return ltls_fail(L, "ETLS", "%s: %s", what, tls_error(text, sizeof text));
  ERR_clear_error();
  lua_pushboolean(L, 1);
  return 1;
}

static int l_context(lua_State *L) {
  struct tls_context *c = lua_newuserdatauv(L, sizeof *c, 1);
  memset(c, 0, sizeof *c);
  luaL_setmetatable(L, CONTEXT_CLASS);
  if (tls_context_open(c) < 0)
    return done(L, -1, "context");
  lua_newtable(L); /* keeps what it refers to */
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int context_gc(lua_State *L) {
  tls_context_close(check_context(L, 1));
  return 0;
}

/* certificate(context, certificates, key, passphrase): PEM */
static int l_certificate(lua_State *L) {
  struct tls_context *c = check_context(L, 1);
  size_t certlen, keylen;
  const char *cert = luaL_checklstring(L, 2, &certlen);
  const char *key = luaL_checklstring(L, 3, &keylen);
  const char *passphrase = luaL_optstring(L, 4, NULL), *why;
  int err;
  if (tls_context_certificate(c, cert, certlen) < 0)
    return done(L, -1, "certificate");
  err = tls_context_key(c, key, keylen, passphrase, &why);
  if (why == NULL)
    return done(L, err, "key");
  ERR_clear_error();
  return ltls_fail(L, "ETLS", "key: %s", why);
}

static int l_systemtrust(lua_State *L) {
  return done(L, tls_context_systemtrust(check_context(L, 1)), "ca");
}

/* trust(context, PEM, whether clients are told) */
static int l_trust(lua_State *L) {
  size_t len;
  const char *pem = luaL_checklstring(L, 2, &len);
  return done(
    L, tls_context_trust(check_context(L, 1), pem, len, lua_toboolean(L, 3)),
    "ca");
}

static int l_trustdir(lua_State *L) {
  return done(
    L, tls_context_trustdir(check_context(L, 1), luaL_checkstring(L, 2)), "ca");
}

static int l_crl(lua_State *L) {
  size_t len;
  const char *pem = luaL_checklstring(L, 2, &len);
  return done(L, tls_context_crl(check_context(L, 1), pem, len), "crl");
}

/* versions(context, min, max): as on the wire, 0x0303 for TLS 1.2; 0: any */
static int l_versions(lua_State *L) {
  return done(L,
              tls_context_versions(check_context(L, 1),
                                   (int)luaL_checkinteger(L, 2),
                                   (int)luaL_checkinteger(L, 3)),
              "version");
}

static int l_ciphers(lua_State *L) {
  SSL_CTX *ctx = check_context(L, 1)->ctx;
  return done(L, SSL_CTX_set_cipher_list(ctx, luaL_checkstring(L, 2)) - 1,
              "ciphers");
}

static int l_ciphersuites(lua_State *L) {
  SSL_CTX *ctx = check_context(L, 1)->ctx;
  return done(L, SSL_CTX_set_ciphersuites(ctx, luaL_checkstring(L, 2)) - 1,
              "ciphersuites");
}

static int l_groups(lua_State *L) {
  SSL_CTX *ctx = check_context(L, 1)->ctx;
  return done(L, (int)SSL_CTX_set1_groups_list(ctx, luaL_checkstring(L, 2)) - 1,
              "groups");
}

static int l_alpn(lua_State *L) {
  size_t len;
  const char *wire = luaL_checklstring(L, 2, &len);
  return done(L, tls_context_alpn(check_context(L, 1), wire, len), "alpn");
}

/* name(context, pattern, other): of a server */
static int l_name(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  return done(
    L, tls_context_name(check_context(L, 1), name, len, check_context(L, 3)),
    "sni");
}

/* verify(context, a server's certificate, its name, what a server asks clients
 * for: nil, "request", "require", depth) */
static int l_verify(lua_State *L) {
  struct tls_context *c = check_context(L, 1);
  const char *asks = luaL_optstring(L, 4, NULL);
  c->verifies = lua_toboolean(L, 2);
  c->verifies_name = lua_toboolean(L, 3);
  if (asks != NULL)
    c->asks = SSL_VERIFY_PEER;
  if (asks != NULL && strcmp(asks, "require") == 0)
    c->asks |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  if (!lua_isnoneornil(L, 5))
    SSL_CTX_set_verify_depth(c->ctx, (int)luaL_checkinteger(L, 5));
  return done(L, 0, NULL);
}

/* pin(context, SHA-256) */
static int l_pin(lua_State *L) {
  struct tls_context *c = check_context(L, 1);
  size_t len;
  const char *digest = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len == TLS_PINLEN, 2, "32 bytes expected");
  if (c->npins == TLS_MAXPINS)
    return ltls_fail(L, "EINVAL", "pins: more than %d", (int)TLS_MAXPINS);
  memcpy(c->pins[c->npins++], digest, len);
  return done(L, 0, NULL);
}

/* ---- sessions ---- */

static struct tls_session *check_session(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, SESSION_CLASS);
}

/* session(context, server, name, sni): a channel, over nothing yet */
static int l_session(lua_State *L) {
  struct tls_context *c = check_context(L, 1);
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

/* ---- the module ---- */

static void make_class(lua_State *L, const char *name, lua_CFunction gc) {
  luaL_newmetatable(L, name);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_neap_tlscore(lua_State *L);

int luaopen_neap_tlscore(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"context",      l_context     },
    {"certificate",  l_certificate },
    {"systemtrust",  l_systemtrust },
    {"trust",        l_trust       },
    {"trustdir",     l_trustdir    },
    {"crl",          l_crl         },
    {"versions",     l_versions    },
    {"ciphers",      l_ciphers     },
    {"ciphersuites", l_ciphersuites},
    {"groups",       l_groups      },
    {"alpn",         l_alpn        },
    {"name",         l_name        },
    {"verify",       l_verify      },
    {"pin",          l_pin         },
    {"session",      l_session     },
    {"info",         l_info        },
    {NULL,           NULL          }
  };
  if (tls_bio_setup() < 0)
    return luaL_error(L, "OpenSSL has no place for another kind of BIO");
  make_class(L, CONTEXT_CLASS, context_gc);
  make_class(L, SESSION_CLASS, session_gc);
  luaL_newlib(L, functions);
  ltls_open_x509(L);
  return 1;
}
