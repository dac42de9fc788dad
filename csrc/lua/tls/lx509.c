/* SPDX-License-Identifier: MIT
 * Certificates as objects: immutable, freed by the collector. */
#include "lua/tls/lx509.h"

#define CERT_CLASS "neap.certificate"

struct x509_st **lx509_new(lua_State *L) {
  struct x509_st **cert = lua_newuserdatauv(L, sizeof *cert, 0);
  *cert = NULL;
  luaL_setmetatable(L, CERT_CLASS);
  return cert;
}

struct x509_st *lx509_to(lua_State *L, int at) {
  struct x509_st **cert = luaL_testudata(L, at, CERT_CLASS);
  return cert != NULL ? *cert : NULL;
}

struct x509_st *lx509_check(lua_State *L, int arg) {
  struct x509_st **cert = luaL_checkudata(L, arg, CERT_CLASS);
  luaL_argcheck(L, *cert != NULL, arg, "the certificate was collected");
  return *cert;
}

static int cert_gc(lua_State *L) {
  struct x509_st **cert = luaL_checkudata(L, 1, CERT_CLASS);
  cert_free(*cert);
  *cert = NULL;
  return 0;
}

static int cert_eq(lua_State *L) {
  struct x509_st *a = lx509_to(L, 1), *b = lx509_to(L, 2);
  lua_pushboolean(L, a != NULL && b != NULL && cert_equal(a, b));
  return 1;
}

/* ---- loading ---- */

/* The certificate after `at` bytes, which moves on. */
static int load_at(lua_State *L, const char *text, size_t len, size_t *at,
                   struct cert_out *o) {
  struct x509_st **cert = lx509_new(L);
  size_t used;
  int err = cert_load(text + *at, len - *at, cert, &used, o);
  *at += used;
  return err;
}

static bool is_der(const char *text, size_t len) {
  return len > 1 && text[0] == 0x30 && (unsigned char)text[1] >= 0x80;
}

/* load(text): the first of PEM, or DER and nothing behind it */
static int l_load(lua_State *L) {
  size_t len, at = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  struct cert_out *o = lx509_out(L);
  int err = load_at(L, text, len, &at, o);
  if (err != 0)
    return lx509_fail(L, o, err < 0 ? err : CERT_EBADMSG);
  if (is_der(text, len) && at < len)
    return ltls_fail(L, "EBADMSG", "x509: no certificate: %I bytes behind it",
                     (LUAI_UACINT)(len - at));
  return 1;
}

/* loadall(text): a list */
static int l_loadall(lua_State *L) {
  size_t len, at = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  struct cert_out *o = lx509_out(L);
  bool der = is_der(text, len);
  lua_Integer n = 0;
  int err;
  lua_newtable(L);
  do {
    err = load_at(L, text, len, &at, o);
    if (err > 0 && n > 0 && !der) {
      lua_pop(L, 1);
      return 1;
    }
    if (err != 0 && n > 0)
      return ltls_fail(L, "EBADMSG", "x509: certificate %I: %s",
                       (LUAI_UACINT)n + 1, o->why);
    if (err != 0)
      return lx509_fail(L, o, CERT_EBADMSG);
    lua_rawseti(L, -2, ++n);
  } while (at < len);
  return 1;
}

/* ---- to bytes ---- */

#define BYTES(name, get) \
  static int name(lua_State *L) { \
    struct x509_st *cert = lx509_check(L, 1); \
    struct cert_out *o = lx509_out(L); \
    return lx509_bytes(L, o, get(cert, o)); \
  }

BYTES(cert_lpem, cert_pem)
BYTES(cert_lder, cert_der)
BYTES(cert_ltext, cert_text)
BYTES(cert_lpin, cert_pin)
BYTES(cert_lserial, cert_serial)
BYTES(cert_lsignature, cert_signature)

static int cert_lfingerprint(lua_State *L) {
  struct x509_st *cert = lx509_check(L, 1);
  const char *digest = luaL_optstring(L, 2, "sha256");
  struct cert_out *o;
  if (!cert_isdigest(digest))
    return luaL_argerror(L, 2, lua_pushfstring(L, "no digest '%s'", digest));
  o = lx509_out(L);
  return lx509_bytes(L, o, cert_fingerprint(cert, digest, o));
}

/* ---- who ---- */

/* text, list */
static int push_name(lua_State *L, enum cert_whose whose) {
  struct x509_st *cert = lx509_check(L, 1);
  struct cert_out *text = lx509_out(L), *list = lx509_out(L);
  int err = cert_name(cert, whose, text), n;
  if (err >= 0)
    err = cert_entries(cert, whose, list);
  if (err < 0)
    return lx509_fail(L, text->why[0] != '\0' ? text : list, err);
  n = lx509_bytes(L, text, 0);
  return n + lx509_rows(L, list, 0);
}

static int cert_lsubject(lua_State *L) {
  return push_name(L, CERT_SUBJECT);
}

static int cert_lissuer(lua_State *L) {
  return push_name(L, CERT_ISSUER);
}

static int cert_lnames(lua_State *L) {
  struct x509_st *cert = lx509_check(L, 1);
  struct cert_out *o = lx509_out(L);
  return lx509_rows(L, o, cert_names(cert, o));
}

static int cert_lmatches(lua_State *L) {
  struct x509_st *cert = lx509_check(L, 1);
  size_t len;
  const char *host = luaL_checklstring(L, 2, &len);
  lua_pushboolean(L, cert_matches(cert, host, len));
  return 1;
}

static int cert_ltostring(lua_State *L) {
  struct x509_st *cert = lx509_to(L, 1);
  struct cert_out *o = lx509_out(L);
  const char *text = "";
  if (cert != NULL && cert_name(cert, CERT_SUBJECT, o) == 0) {
    lx509_bytes(L, o, 0);
    text = lua_tostring(L, -1);
  }
  lua_pushfstring(L, "certificate (%s)", text);
  return 1;
}

/* ---- what ---- */

static int cert_lvalidity(lua_State *L) {
  struct x509_st *cert = lx509_check(L, 1);
  struct cert_out *o = lx509_out(L);
  int64_t from = 0, till = 0;
  int err = cert_validity(cert, &from, &till, o);
  if (err < 0)
    return lx509_fail(L, o, err);
  lua_pushinteger(L, (lua_Integer)from);
  lua_pushinteger(L, (lua_Integer)till);
  return 2;
}

static int cert_lkey(lua_State *L) {
  struct x509_st *cert = lx509_check(L, 1);
  struct cert_out *o = lx509_out(L);
  return lx509_row(L, o, cert_keydetails(cert, o));
}

/* whether, and how many CAs may be below it */
static int cert_lisca(lua_State *L) {
  long pathlen;
  bool is = cert_isca(lx509_check(L, 1), &pathlen);
  lua_pushboolean(L, is);
  if (!is || pathlen < 0)
    return 1;
  lua_pushinteger(L, pathlen);
  return 2;
}

/* A list, or nil if there is no such extension. */
static int optional(lua_State *L,
                    int (*get)(struct x509_st *, struct cert_out *)) {
  struct x509_st *cert = lx509_check(L, 1);
  struct cert_out *o = lx509_out(L);
  int err = get(cert, o);
  if (err <= 0)
    return lx509_rows(L, o, err);
  lua_pushnil(L);
  return 1;
}

static int cert_lpurposes(lua_State *L) {
  return optional(L, cert_purposes);
}

static int cert_lkeyusage(lua_State *L) {
  return optional(L, cert_keyusage);
}

static int cert_lextensions(lua_State *L) {
  return optional(L, cert_extensions);
}

/* ---- others ---- */

static int cert_lhaskey(lua_State *L) {
  struct x509_st *cert = lx509_check(L, 1);
  lua_pushboolean(L, cert_haskey(cert, lkey_check(L, 2)));
  return 1;
}

/* verify_signature(certificate or key) */
static int cert_lverify(lua_State *L) {
  struct x509_st *cert = lx509_check(L, 1);
  struct evp_pkey_st *key = lkey_to(L, 2);
  if (key == NULL)
    key = cert_pubkey(lx509_check(L, 2));
  lua_pushboolean(L, key != NULL && cert_signedby(cert, key));
  return 1;
}

/* issued(certificate): true, or false and why not */
static int cert_lissued(lua_State *L) {
  struct x509_st *issuer = lx509_check(L, 1), *cert = lx509_check(L, 2);
  struct evp_pkey_st *key = cert_pubkey(issuer);
  const char *why = cert_issued(issuer, cert);
  if (why == NULL && (key == NULL || !cert_signedby(cert, key)))
    why = "signature failure";
  lua_pushboolean(L, why == NULL);
  if (why == NULL)
    return 1;
  lua_pushstring(L, why);
  return 2;
}

/* ---- the module ---- */

/* ip(text): its bytes, or nil */
static int l_ip(lua_State *L) {
  unsigned char ip[16];
  size_t len, n;
  const char *text = luaL_checklstring(L, 1, &len);
  n = cert_ip(text, len, ip);
  if (n == 0)
    return 0;
  lua_pushlstring(L, (const char *)ip, n);
  return 1;
}

/* kind(value): "certificate", "key", "csr", or nil */
static int l_kind(lua_State *L) {
  luaL_checkany(L, 1);
  if (lx509_to(L, 1) != NULL)
    lua_pushliteral(L, "certificate");
  else if (lkey_to(L, 1) != NULL)
    lua_pushliteral(L, "key");
  else if (lreq_to(L, 1) != NULL)
    lua_pushliteral(L, "csr");
  else
    lua_pushnil(L);
  return 1;
}

static int l_isdigest(lua_State *L) {
  lua_pushboolean(L, cert_isdigest(luaL_checkstring(L, 1)));
  return 1;
}

static void open_cert(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",       cert_gc       },
    {"__eq",       cert_eq       },
    {"__tostring", cert_ltostring},
    {NULL,         NULL          }
  };
  static const luaL_Reg methods[] = {
    {"der",              cert_lder        },
    {"extensions",       cert_lextensions },
    {"fingerprint",      cert_lfingerprint},
    {"haskey",           cert_lhaskey     },
    {"isca",             cert_lisca       },
    {"issued",           cert_lissued     },
    {"issuer",           cert_lissuer     },
    {"key",              cert_lkey        },
    {"keyusage",         cert_lkeyusage   },
    {"matches",          cert_lmatches    },
    {"names",            cert_lnames      },
    {"pem",              cert_lpem        },
    {"pin",              cert_lpin        },
    {"purposes",         cert_lpurposes   },
    {"serial",           cert_lserial     },
    {"signature",        cert_lsignature  },
    {"subject",          cert_lsubject    },
    {"text",             cert_ltext       },
    {"validity",         cert_lvalidity   },
    {"verify_signature", cert_lverify     },
    {NULL,               NULL             }
  };
  ltls_class(L, CERT_CLASS, meta, methods);
}

void ltls_open_x509(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"ip",       l_ip      },
    {"isdigest", l_isdigest},
    {"kind",     l_kind    },
    {"load",     l_load    },
    {"loadall",  l_loadall },
    {"make",     lx509_make},
    {NULL,       NULL      }
  };
  lx509_openout(L);
  open_cert(L);
  luaL_newlib(L, functions);
  lx509_openkey(L);
  lx509_openreq(L);
  lua_setfield(L, -2, "x509");
}
