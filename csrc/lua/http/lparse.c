/* SPDX-License-Identifier: MIT
 * Parsers of heads: bytes to a table that has all of a message but its body. */
#include "lua/http/lhttp.h"

#include "http/framing.h"

static const char *const kinds[] = {"request", "response", NULL};

uint32_t lhttp_limit(lua_State *L, const char *name, uint32_t otherwise) {
  lua_Integer value = otherwise;
  if (lua_istable(L, 2) && lua_getfield(L, 2, name) != LUA_TNIL) {
    int whole;
    value = lua_tointegerx(L, -1, &whole);
    if (!whole || value < 1 || value > 1 << 30)
      luaL_error(L, "option '%s' must be an integer from 1 to 2^30", name);
  }
  return (uint32_t)value;
}

/* parser(kind, [options, [class]]): objects made have the metatable class. */
int lhttp_parser(lua_State *L) {
  int kind = luaL_checkoption(L, 1, NULL, kinds);
  struct lhead *p;
  lua_settop(L, 3);
  p = lhttp_new(L, UP_PARSER, sizeof *p, 2);
  p->head.kind = (enum http_kind)kind;
  p->head.limits = (struct http_limits){
    .head = lhttp_limit(L, "head", kind == HTTP_REQUEST ? 1 << 16 : 1 << 18),
    .fields = lhttp_limit(L, "fields", 1000),
    .target = lhttp_limit(L, "target", 1 << 13),
  };
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 4, 2);
  lua_settop(L, 4);
  return 1;
}

static void push_view(lua_State *L, const char *base, struct http_view v) {
  lua_pushlstring(L, base + v.at, v.len);
}

static void set_flag(lua_State *L, bool set, const char *name) {
  if (set) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, name);
  }
}

static void set_text(lua_State *L, const char *name, const char *p, size_t n) {
  lua_pushlstring(L, p, n);
  lua_setfield(L, -2, name);
}

static void set_headers(lua_State *L, const struct http_head *h,
                        const char *base) {
  size_t bytes = h->size - h->first;
  lua_pushvalue(L, lua_upvalueindex(UP_FIELDS));
  http_fields_take(headers_new(L, h->nfields, bytes), h, base);
  lua_rawset(L, -3);
}

static void set_version(lua_State *L, const struct http_head *h) {
  lua_pushvalue(L, lua_upvalueindex(UP_VERSION));
  if (h->minor == 1)
    lua_pushvalue(L, lua_upvalueindex(UP_1_1));
  else
    lua_pushliteral(L, "1.0");
  lua_rawset(L, -3);
}

/* What is the same of both kinds. */
static void set_framing(lua_State *L, const struct http_head *h,
                        const char *base, const struct http_framing *f) {
  static const char *const bodies[] = {NULL, "length", "chunked", "close"};
  set_version(L, h);
  set_headers(L, h, base);
  if (f->body != HTTP_NONE) {
    lua_pushstring(L, bodies[f->body]);
    lua_setfield(L, -2, "framing");
  }
  if (f->body == HTTP_LENGTH) {
    lua_pushinteger(L, (lua_Integer)f->length);
    lua_setfield(L, -2, "length");
  }
  set_flag(L, f->close, "close");
  set_flag(L, f->tunnel, "tunnel");
  if (f->upgrade != NULL)
    set_text(L, "upgrade", base + f->upgrade->value, f->upgrade->value_len);
}

static void set_request(lua_State *L, const struct http_head *h,
                        const char *base, const struct http_framing *f) {
  static const char *const forms[] = {"origin", "absolute", "authority",
                                      "asterisk"};
  lua_pushvalue(L, lua_upvalueindex(UP_METHOD));
  if (http_method_is(h, base, "GET"))
    lua_pushvalue(L, lua_upvalueindex(UP_GET));
  else
    push_view(L, base, h->method);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(UP_TARGET));
  push_view(L, base, h->target);
  lua_rawset(L, -3);
  if (h->form != HTTP_ORIGIN) {
    lua_pushstring(L, forms[h->form]);
    lua_setfield(L, -2, "form");
  }
  if (h->authority.len > 0)
    set_text(L, "authority", base + h->authority.at, h->authority.len);
  set_flag(L, f->expects, "expect");
}

static void set_response(lua_State *L, const struct http_head *h,
                         const char *base) {
  lua_pushinteger(L, h->status);
  lua_setfield(L, -2, "status");
  push_view(L, base, h->target);
  lua_setfield(L, -2, "reason");
}

static int parser_fail(lua_State *L, struct lhead *p, int done) {
  p->failed = done;
  block_free(L, 1, &p->pending);
  if (p->head.kind == HTTP_REQUEST)
    return lhttp_fail(L, "bad request", p->head.why, -done);
  lhttp_fail(L, "bad response", p->head.why, -done);
  lua_pushinteger(L, 502);
  lua_replace(L, -2);
  return 4;
}

/* Is it a request as most are: HTTP/1.1, for a path, without a body, and
 * nothing else is to be heeded with its answer? */
static bool is_usual(const struct http_head *h, const char *base,
                     const struct http_framing *f) {
  return h->kind == HTTP_REQUEST && h->minor == 1 && h->form == HTTP_ORIGIN &&
         f->body == HTTP_NONE && !f->close && !f->expects && !f->tunnel &&
         f->upgrade == NULL && !http_method_is(h, base, "HEAD");
}

/* parser:feed(bytes, [from, [method]]) -> message, position after its head,
 * and whether it is a usual request (then no field of it is set but those
 * that all have); false if there must be more (the bytes are kept); or a
 * failure. */
static int parser_feed(lua_State *L) {
  struct lhead *p = lhttp_self(L, UP_PARSER, "neap.parser");
  struct http_field rows[LHEAD_ROWS];
  struct http_framing f;
  const char *method = luaL_optstring(L, 4, NULL), *base;
  size_t n, from, used;
  const char *bytes = lhttp_bytes(L, &n, &from);
  int done = p->failed;
  bool usual;
  if (done == 0)
    done = lhead_feed(L, p, rows, bytes, n, &base, &used);
  if (done > 0)
    done = http_framing(&p->head, base, method, &f);
  if (done < 0)
    return parser_fail(L, p, done);
  if (done == HTTP_MORE) {
    lua_pushboolean(L, 0);
    return 1;
  }
  usual = is_usual(&p->head, base, &f);
  lua_createtable(L, 0, usual ? 4 : 8);
  if (p->head.kind == HTTP_REQUEST)
    set_request(L, &p->head, base, &f);
  else
    set_response(L, &p->head, base);
  set_framing(L, &p->head, base, &f);
  block_free(L, 1, &p->pending);
  if (lua_getiuservalue(L, 1, 2) == LUA_TNIL)
    lua_pop(L, 1);
  else
    lua_setmetatable(L, -2);
  lua_pushinteger(L, (lua_Integer)(from + used));
  lua_pushboolean(L, usual);
  return 3;
}

/* Is a part of a head kept? */
static int parser_pending(lua_State *L) {
  const struct lhead *p = lhttp_self(L, UP_PARSER, "neap.parser");
  lua_pushinteger(L, (lua_Integer)p->pending.n);
  return 1;
}

const luaL_Reg parser_methods[] = {
  {"feed",    parser_feed   },
  {"pending", parser_pending},
  {NULL,      NULL          },
};
