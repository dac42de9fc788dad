/* SPDX-License-Identifier: MIT
 * Makes what lua/neap/x509.lua has put into words. */
#include <string.h>

#include "lua/tls/lx509.h"
#include "tls/make.h"

#define MAKER_CLASS "neap.tlscore.maker"

enum { SPEC = 1 };

static int maker_gc(lua_State *L) {
  make_free(luaL_checkudata(L, 1, MAKER_CLASS));
  return 0;
}

static struct maker *new_maker(lua_State *L) {
  struct maker *m = lua_newuserdatauv(L, sizeof *m, 0);
  memset(m, 0, sizeof *m);
  if (luaL_newmetatable(L, MAKER_CLASS)) {
    lua_pushcfunction(L, maker_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  return m;
}

/* ---- fields of a table: strings stay where the table keeps them ---- */

static const char *opt_string(lua_State *L, int at, const char *name,
                              size_t *len) {
  const char *text = NULL;
  lua_getfield(L, at, name);
  if (lua_type(L, -1) == LUA_TSTRING)
    text = lua_tolstring(L, -1, len);
  lua_pop(L, 1);
  return text;
}

static const char *get_string(lua_State *L, int at, const char *name,
                              size_t *len) {
  const char *text = opt_string(L, at, name, len);
  if (text == NULL)
    luaL_error(L, "'%s' must be a string", name);
  return text;
}

static lua_Integer get_integer(lua_State *L, int at, const char *name) {
  lua_Integer value;
  int is;
  lua_getfield(L, at, name);
  value = lua_tointegerx(L, -1, &is);
  if (!is)
    luaL_error(L, "'%s' must be an integer", name);
  lua_pop(L, 1);
  return value;
}

static bool get_flag(lua_State *L, int at, const char *name) {
  bool value;
  lua_getfield(L, at, name);
  value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* Calls put for each table of the list that is the field `name`. */
static int each(lua_State *L, const char *name, struct maker *m,
                int (*put)(lua_State *, int, struct maker *)) {
  lua_Integer i, n;
  int err = 0;
  if (lua_getfield(L, SPEC, name) != LUA_TTABLE) {
    lua_pop(L, 1);
    return 0;
  }
  n = luaL_len(L, -1);
  for (i = 1; i <= n && err >= 0; i++) {
    lua_geti(L, -1, i);
    err = put(L, lua_gettop(L), m);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return err;
}

/* ---- what each row becomes ---- */

static int put_entry(lua_State *L, int at, struct maker *m) {
  size_t n;
  const char *value = get_string(L, at, "value", &n);
  return make_entry(m, get_string(L, at, "type", NULL), value, n,
                    get_flag(L, at, "joined"));
}

static int put_name(lua_State *L, int at, struct maker *m) {
  size_t n;
  const char *bytes = get_string(L, at, "bytes", &n);
  return make_name(m, get_string(L, at, "type", NULL), bytes, n);
}

static int put_extension(lua_State *L, int at, struct maker *m) {
  size_t n;
  const char *name = get_string(L, at, "name", NULL);
  const char *text = opt_string(L, at, "text", NULL);
  if (get_flag(L, at, "names"))
    return make_names(m, get_flag(L, at, "critical"));
  if (text != NULL)
    return make_extension(m, name, text);
  text = get_string(L, at, "value", &n);
  return make_rawextension(m, name, get_flag(L, at, "critical"), text, n);
}

static int put_revoked(lua_State *L, int at, struct maker *m) {
  return make_revoked(m, get_string(L, at, "serial", NULL),
                      get_integer(L, at, "time"),
                      (int)get_integer(L, at, "reason"));
}

/* ---- the three of them: fields on the stack are kept by the spec ---- */

static void *field(lua_State *L, const char *name,
                   void *(*to)(lua_State *, int)) {
  void *object;
  lua_getfield(L, SPEC, name);
  object = to(L, -1);
  lua_pop(L, 1);
  return object;
}

static void *need(lua_State *L, const char *name,
                  void *(*to)(lua_State *, int)) {
  void *object = field(L, name, to);
  if (object == NULL)
    luaL_error(L, "'%s' is missing", name);
  return object;
}

static void *to_cert(lua_State *L, int at) {
  return lx509_to(L, at);
}

static void *to_key(lua_State *L, int at) {
  return lkey_to(L, at);
}

static void *to_req(lua_State *L, int at) {
  return lreq_to(L, at);
}

static int begin_cert(lua_State *L, struct maker *m) {
  struct X509_req_st *req = field(L, "request", to_req);
  struct evp_pkey_st *key =
    req != NULL ? make_keyof(req) : need(L, "key", to_key);
  int err = 0;
  if (req != NULL && get_flag(L, SPEC, "subjectof"))
    err = make_subjectof(m, req);
  if (err >= 0)
    err = make_cert(m, key, field(L, "issuer", to_cert),
                    (int)get_integer(L, SPEC, "version"));
  if (err >= 0)
    err = make_serial(m, opt_string(L, SPEC, "serial", NULL));
  if (err >= 0)
    err = make_validity(m, get_integer(L, SPEC, "from"),
                        get_integer(L, SPEC, "till"));
  return err;
}

static int begin(lua_State *L, struct maker *m, const char *what) {
  int err = each(L, "subject", m, put_entry);
  if (err < 0)
    return err;
  if (strcmp(what, "certificate") == 0)
    return begin_cert(L, m);
  if (strcmp(what, "request") == 0)
    return make_request(m, need(L, "key", to_key));
  err = make_crl(m, need(L, "issuer", to_cert), get_integer(L, SPEC, "from"),
                 get_integer(L, SPEC, "till"));
  return err < 0 ? err : each(L, "revoked", m, put_revoked);
}

/* Pushes it; the maker lets go of what is pushed. */
static int finish(lua_State *L, struct maker *m) {
  if (m->cert != NULL) {
    struct x509_st **cert = lx509_new(L);
    *cert = m->cert;
    m->cert = NULL;
  } else if (m->request != NULL) {
    struct X509_req_st **req = lreq_new(L);
    *req = m->request;
    m->request = NULL;
  } else {
    return lx509_bytes(L, &m->out, make_crlpem(m));
  }
  make_free(m);
  return 1;
}

/* make(spec): what = "certificate", "request" or "crl"; the module has seen to
 * it that key, issuer and issuerkey are what they are called */
int lx509_make(lua_State *L) {
  struct maker *m;
  const char *what;
  int err;
  luaL_checktype(L, SPEC, LUA_TTABLE);
  lua_settop(L, SPEC);
  what = get_string(L, SPEC, "what", NULL);
  m = new_maker(L);
  err = begin(L, m, what);
  if (err >= 0)
    err = each(L, "names", m, put_name);
  if (err >= 0)
    err = each(L, "extensions", m, put_extension);
  if (err >= 0)
    err = make_sign(m, need(L, "signer", to_key),
                    opt_string(L, SPEC, "digest", NULL));
  return err < 0 ? lx509_fail(L, &m->out, err) : finish(L, m);
}
