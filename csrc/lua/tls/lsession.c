/* SPDX-License-Identifier: MIT
 * Sessions of TLS, in Lua: the core gets to know one as a channel. */
#include <string.h>

#include "lua/tls/ltls.h"
#include "tls/bio.h"
#include "tls/context.h"
#include "tls/early.h"
#include "tls/extra.h"
#include "tls/psk.h"
#include "tls/session.h"

#define SESSION_CLASS "neap.tls.session"

/* An end of DTLS begins with one. */
static struct tls_session *check_session(lua_State *L, int arg) {
  struct tls_session *s = luaL_testudata(L, arg, DTLS_CLASS);
  return s != NULL ? s : luaL_checkudata(L, arg, SESSION_CLASS);
}

/* session(context, server, name, sni): a channel, over nothing yet */
static int l_session(lua_State *L) {
  struct tls_context *c = ltls_context(L, 1);
  bool server = lua_toboolean(L, 2);
  const char *name = luaL_optstring(L, 3, NULL);
  const char *sni = luaL_optstring(L, 4, NULL), *why;
  struct tls_session *s = lua_newuserdatauv(L, sizeof *s, 2);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(L, SESSION_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  if (tls_session_open(s, c, server, name, sni, &why) < 0)
    return ltls_fail(L, "EINVAL", "tls: %s", why);
  return 1;
}

/* ---- whom a ClientHello is for ---- */

/* asked(session): the name in it, or nil */
static int l_asked(lua_State *L) {
  lua_pushstring(L, check_session(L, 1)->asked);
  return 1;
}

/* answer(session, context): or nil, then the handshake is refused */
static int l_answer(lua_State *L) {
  struct tls_session *s = check_session(L, 1);
  s->answer = lua_isnoneornil(L, 2) ? NULL : ltls_context(L, 2);
  s->answered = true;
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 2);
  return 0;
}

/* ---- early data ---- */

/* early(session, bytes): a client's; without any, a server's */
static int l_early(lua_State *L) {
  struct tls_session *s = check_session(L, 1);
  size_t len;
  const char *data = luaL_optlstring(L, 2, NULL, &len);
  int err = data != NULL ? tls_early_send(s, data, len) : tls_early_accept(s);
  if (err < 0)
    return ltls_fail(L, "ENOMEM", "early data: out of memory");
  lua_pushboolean(L, 1);
  return 1;
}

/* earlydata(session): what a server was sent, or nil */
static int l_earlydata(lua_State *L) {
  struct tls_session *s = check_session(L, 1);
  if (s->early == NULL || s->ssl == NULL || !SSL_is_server(s->ssl) ||
      SSL_get_early_data_status(s->ssl) != SSL_EARLY_DATA_ACCEPTED)
    lua_pushnil(L);
  else
    lua_pushlstring(L, s->early->data, s->early->len);
  return 1;
}

/* ---- what it gives beside bytes ---- */

static struct tls_session *check_done(lua_State *L, int arg) {
  struct tls_session *s = check_session(L, arg);
  return s->ssl != NULL && s->done ? s : NULL;
}

/* export(session, label, length, context) */
static int l_export(lua_State *L) {
  struct tls_session *s = check_done(L, 1);
  size_t labellen, contextlen = 0;
  const char *label = luaL_checklstring(L, 2, &labellen);
  lua_Integer len = luaL_checkinteger(L, 3);
  const char *context = luaL_optlstring(L, 4, NULL, &contextlen);
  char out[TLS_MAXEXPORT];
  luaL_argcheck(L, len > 0 && len <= TLS_MAXEXPORT, 3, "length out of range");
  if (s == NULL)
    return ltls_fail(L, "ECLOSED", "closed");
  if (tls_export(s, label, labellen, context, contextlen, out, (size_t)len) < 0)
    return ltls_done(L, -1, "tlsexport");
  lua_pushlstring(L, out, (size_t)len);
  return 1;
}

/* binding(session, kind) */
static int l_binding(lua_State *L) {
  static const char *const kinds[] = {"tls-exporter", "tls-server-end-point",
                                      "tls-unique", NULL};
  struct tls_session *s = check_done(L, 1);
  const char *kind = kinds[luaL_checkoption(L, 2, NULL, kinds)], *why;
  unsigned char out[TLS_MAXBINDING];
  int n;
  if (s == NULL)
    return ltls_fail(L, "ECLOSED", "closed");
  n = tls_binding(s, kind, out, &why);
  if (n < 0)
    return ltls_fail(L, "ENOTSUP", "tlsbinding: %s", why);
  lua_pushlstring(L, (const char *)out, (size_t)n);
  return 1;
}

/* rekey(session, whether the peer is asked to, too) */
static int l_rekey(lua_State *L) {
  struct tls_session *s = check_done(L, 1);
  const char *why;
  if (s == NULL)
    return ltls_fail(L, "ECLOSED", "closed");
  if (tls_rekey(s, lua_toboolean(L, 2), &why) < 0)
    return ltls_fail(L, "ENOTSUP", "tlsrekey: %s", why);
  lua_pushboolean(L, 1);
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

/* In DER, into memory of Lua's: to make a string of it may raise. */
static void push_der(lua_State *L, const X509 *cert) {
  int len = i2d_X509(cert, NULL);
  luaL_Buffer b;
  unsigned char *at;
  luaL_buffinit(L, &b);
  at = (unsigned char *)luaL_prepbuffsize(&b, len > 0 ? (size_t)len : 0);
  len = len > 0 ? i2d_X509(cert, &at) : 0;
  luaL_pushresultsize(&b, len > 0 ? (size_t)len : 0);
}

/* The peer's certificates, its own first. */
static void set_peer(lua_State *L, SSL *ssl) {
  STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
  X509 *own = SSL_is_server(ssl) ? SSL_get0_peer_certificate(ssl) : NULL;
  int i, at = 0, n = chain != NULL ? sk_X509_num(chain) : 0;
  lua_createtable(L, n + 1, 0);
  for (i = own != NULL ? -1 : 0; i < n; i++) {
    push_der(L, i < 0 ? own : sk_X509_value(chain, i));
    lua_rawseti(L, -2, ++at);
  }
  lua_setfield(L, -2, "peer");
}

/* What became of early data that was sent, or asked for. */
static void set_early(lua_State *L, const struct tls_session *s) {
  int status = SSL_get_early_data_status(s->ssl);
  if (s->early == NULL)
    return;
  set_string(L, "early_data",
             status == SSL_EARLY_DATA_ACCEPTED   ? "accepted"
             : status == SSL_EARLY_DATA_REJECTED ? "rejected"
                                                 : NULL);
}

static void set_kernel(lua_State *L, const struct tls_session *s) {
  BIO *bio = SSL_get_wbio(s->ssl);
  bool sends, receives;
  if (!s->context->ktls) /* the BIO may be another's */
    return;
  sends = tls_bio_kernelsends(bio);
  receives = tls_bio_kernelreceives(bio);
  set_string(L, "ktls",
             sends && receives ? "both"
             : sends           ? "send"
             : receives        ? "receive"
                               : "none");
}

/* To OpenSSL a session that a key makes is one that is resumed. */
static bool set_identity(lua_State *L, SSL *ssl) {
  size_t len;
  const char *identity = tls_psk_identity(ssl, &len);
  if (identity == NULL)
    return false;
  lua_pushlstring(L, identity, len);
  lua_setfield(L, -2, "psk_identity");
  return true;
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
  set_string(L, "ocsp", s->vouched ? "good" : NULL);
  set_alpn(L, s->ssl);
  set_peer(L, s->ssl);
  set_early(L, s);
  set_kernel(L, s);
  lua_pushboolean(L, !set_identity(L, s->ssl) && SSL_session_reused(s->ssl));
  lua_setfield(L, -2, "resumed");
  return 1;
}

void ltls_open_session(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc", session_gc},
    {NULL,   NULL      }
  };
  static const luaL_Reg functions[] = {
    {"session",   l_session  },
    {"info",      l_info     },
    {"asked",     l_asked    },
    {"answer",    l_answer   },
    {"early",     l_early    },
    {"earlydata", l_earlydata},
    {"export",    l_export   },
    {"binding",   l_binding  },
    {"rekey",     l_rekey    },
    {NULL,        NULL       }
  };
  ltls_class(L, SESSION_CLASS, meta, NULL);
  luaL_setfuncs(L, functions, 0);
}
