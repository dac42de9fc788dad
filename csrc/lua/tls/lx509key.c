/* SPDX-License-Identifier: MIT
 * Keys and requests as objects: immutable, freed by the collector. */
#include "lua/tls/lx509.h"

#define KEY_CLASS "neap.key"
#define REQ_CLASS "neap.csr"

/* ---- keys ---- */

struct evp_pkey_st **lkey_new(lua_State *L) {
  struct evp_pkey_st **key = lua_newuserdatauv(L, sizeof *key, 0);
  *key = NULL;
  luaL_setmetatable(L, KEY_CLASS);
  return key;
}

struct evp_pkey_st *lkey_to(lua_State *L, int at) {
  struct evp_pkey_st **key = luaL_testudata(L, at, KEY_CLASS);
  return key != NULL ? *key : NULL;
}

struct evp_pkey_st *lkey_check(lua_State *L, int arg) {
  struct evp_pkey_st **key = luaL_checkudata(L, arg, KEY_CLASS);
  luaL_argcheck(L, *key != NULL, arg, "the key was collected");
  return *key;
}

static int key_lgc(lua_State *L) {
  struct evp_pkey_st **key = luaL_checkudata(L, 1, KEY_CLASS);
  key_free(*key);
  *key = NULL;
  return 0;
}

static int key_leq(lua_State *L) {
  struct evp_pkey_st *a = lkey_to(L, 1), *b = lkey_to(L, 2);
  lua_pushboolean(L, a != NULL && b != NULL && key_equal(a, b));
  return 1;
}

/* A passphrase, or NULL. */
static const char *opt_pass(lua_State *L, int arg, size_t *len) {
  const char *pass = luaL_optlstring(L, arg, NULL, len);
  luaL_argcheck(L, pass == NULL || *len <= KEY_MAXPASS, arg,
                "the passphrase is too long");
  return pass;
}

/* loadkey(text, passphrase) */
static int l_loadkey(lua_State *L) {
  size_t len, passlen = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  const char *pass = opt_pass(L, 2, &passlen);
  struct cert_out *o = lx509_out(L);
  struct evp_pkey_st **key = lkey_new(L);
  int err = key_load(text, len, pass, passlen, key, o);
  return err < 0 ? lx509_fail(L, o, err) : 1;
}

/* makekey(type, bits, curve) */
static int l_makekey(lua_State *L) {
  const char *type = luaL_checkstring(L, 1);
  int bits = (int)luaL_checkinteger(L, 2);
  const char *curve = luaL_optstring(L, 3, NULL);
  struct cert_out *o = lx509_out(L);
  struct evp_pkey_st **key = lkey_new(L);
  int err = key_make(type, bits, curve, key, o);
  return err < 0 ? lx509_fail(L, o, err) : 1;
}

static int key_lpem(lua_State *L) {
  struct evp_pkey_st *key = lkey_check(L, 1);
  size_t len = 0;
  const char *pass = opt_pass(L, 2, &len);
  struct cert_out *o = lx509_out(L);
  return lx509_bytes(L, o, key_pem(key, pass, len, o));
}

static int key_lpublicpem(lua_State *L) {
  struct evp_pkey_st *key = lkey_check(L, 1);
  struct cert_out *o = lx509_out(L);
  return lx509_bytes(L, o, key_publicpem(key, o));
}

static int key_lpin(lua_State *L) {
  struct evp_pkey_st *key = lkey_check(L, 1);
  struct cert_out *o = lx509_out(L);
  return lx509_bytes(L, o, key_pin(key, o));
}

static int key_lkey(lua_State *L) {
  struct evp_pkey_st *key = lkey_check(L, 1);
  struct cert_out *o = lx509_out(L);
  return lx509_row(L, o, key_details(key, o));
}

/* Never what is secret. */
static int key_ltostring(lua_State *L) {
  struct evp_pkey_st *key = lkey_to(L, 1);
  struct cert_out *o = lx509_out(L);
  if (key == NULL || key_details(key, o) < 0) {
    lua_pushliteral(L, "key");
    return 1;
  }
  lx509_row(L, o, 0);
  lua_getfield(L, -1, "type");
  lua_getfield(L, -2, "bits");
  lua_pushfstring(L, "key (%s, %I bits)", lua_tostring(L, -2),
                  (LUAI_UACINT)lua_tointeger(L, -1));
  return 1;
}

void lx509_openkey(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",       key_lgc      },
    {"__eq",       key_leq      },
    {"__tostring", key_ltostring},
    {NULL,         NULL         }
  };
  static const luaL_Reg methods[] = {
    {"details",   key_lkey      },
    {"pem",       key_lpem      },
    {"pin",       key_lpin      },
    {"publicpem", key_lpublicpem},
    {NULL,        NULL          }
  };
  static const luaL_Reg functions[] = {
    {"loadkey", l_loadkey},
    {"makekey", l_makekey},
    {NULL,      NULL     }
  };
  ltls_class(L, KEY_CLASS, meta, methods);
  luaL_setfuncs(L, functions, 0);
}

/* ---- requests ---- */

struct X509_req_st **lreq_new(lua_State *L) {
  struct X509_req_st **req = lua_newuserdatauv(L, sizeof *req, 0);
  *req = NULL;
  luaL_setmetatable(L, REQ_CLASS);
  return req;
}

struct X509_req_st *lreq_to(lua_State *L, int at) {
  struct X509_req_st **req = luaL_testudata(L, at, REQ_CLASS);
  return req != NULL ? *req : NULL;
}

static struct X509_req_st *check_req(lua_State *L) {
  struct X509_req_st **req = luaL_checkudata(L, 1, REQ_CLASS);
  luaL_argcheck(L, *req != NULL, 1, "the request was collected");
  return *req;
}

static int req_lgc(lua_State *L) {
  struct X509_req_st **req = luaL_checkudata(L, 1, REQ_CLASS);
  req_free(*req);
  *req = NULL;
  return 0;
}

/* loadrequest(text) */
static int l_loadrequest(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  struct cert_out *o = lx509_out(L);
  struct X509_req_st **req = lreq_new(L);
  int err = req_load(text, len, req, o);
  return err < 0 ? lx509_fail(L, o, err) : 1;
}

static int req_lpem(lua_State *L) {
  struct X509_req_st *req = check_req(L);
  struct cert_out *o = lx509_out(L);
  return lx509_bytes(L, o, req_pem(req, o));
}

static int req_lder(lua_State *L) {
  struct X509_req_st *req = check_req(L);
  struct cert_out *o = lx509_out(L);
  return lx509_bytes(L, o, req_der(req, o));
}

static int req_lsubject(lua_State *L) {
  struct X509_req_st *req = check_req(L);
  struct cert_out *text = lx509_out(L), *list = lx509_out(L);
  int err = req_name(req, text), n;
  if (err >= 0)
    err = req_entries(req, list);
  if (err < 0)
    return lx509_fail(L, text->why[0] != '\0' ? text : list, err);
  n = lx509_bytes(L, text, 0);
  return n + lx509_rows(L, list, 0);
}

static int req_lnames(lua_State *L) {
  struct X509_req_st *req = check_req(L);
  struct cert_out *o = lx509_out(L);
  return lx509_rows(L, o, req_names(req, o));
}

static int req_lkey(lua_State *L) {
  struct X509_req_st *req = check_req(L);
  struct cert_out *o = lx509_out(L);
  return lx509_row(L, o, req_keydetails(req, o));
}

static int req_lverify(lua_State *L) {
  lua_pushboolean(L, req_verify(check_req(L)));
  return 1;
}

static int req_ltostring(lua_State *L) {
  struct X509_req_st *req = lreq_to(L, 1);
  struct cert_out *o = lx509_out(L);
  const char *text = "";
  if (req != NULL && req_name(req, o) == 0) {
    lx509_bytes(L, o, 0);
    text = lua_tostring(L, -1);
  }
  lua_pushfstring(L, "request (%s)", text);
  return 1;
}

void lx509_openreq(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__gc",       req_lgc      },
    {"__tostring", req_ltostring},
    {NULL,         NULL         }
  };
  static const luaL_Reg methods[] = {
    {"der",              req_lder    },
    {"key",              req_lkey    },
    {"names",            req_lnames  },
    {"pem",              req_lpem    },
    {"subject",          req_lsubject},
    {"verify_signature", req_lverify },
    {NULL,               NULL        }
  };
  static const luaL_Reg functions[] = {
    {"loadrequest", l_loadrequest},
    {NULL,          NULL         }
  };
  ltls_class(L, REQ_CLASS, meta, methods);
  luaL_setfuncs(L, functions, 0);
}
