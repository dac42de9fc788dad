/* SPDX-License-Identifier: MIT
 * Parsers of heads: bytes to a table that has all of a message but its body.
 * They are codecs, too: then a head is parsed in the stream's queue. */
#include "lua/http/lhttp.h"

#include <string.h>

#include "http/framing.h"
#include "lua/codec.h"

struct parser {
  struct codec codec;
  struct lhead state;
};

/* The user values of a parser. What is set in every message is at hand there,
 * since codecs have no upvalues. */
enum {
  OF_BLOCK = 1, /* what is pending */
  OF_CLASS,     /* of the messages, or nil */
  OF_HEADERS,   /* the class of headers */
  OF_METHOD,
  OF_TARGET,
  OF_VERSION,
  OF_FIELDS,
  OF_CONN,
  OF_GET,
  OF_1_1,
  OF_COUNT = OF_1_1
};

/* From OF_METHOD on. */
static const char *const constants[] = {
  "method", "target", "version", "headers", "conn", "GET", "1.1"};

enum { ROOM = 4096 }; /* a head up to here is parsed where it lies */

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

typedef int decode_function(lua_State *L, const char *bytes, size_t n,
                            size_t *used);
static decode_function parser_decode, heads_decode;

static void fill_user_values(lua_State *L, int class) {
  int parser = lua_gettop(L), i;
  lua_pushvalue(L, class);
  lua_setiuservalue(L, parser, OF_CLASS);
  lua_pushvalue(L, lua_upvalueindex(UP_HEADERS));
  lua_setiuservalue(L, parser, OF_HEADERS);
  for (i = OF_METHOD; i <= OF_COUNT; i++) {
    lua_pushstring(L, constants[i - OF_METHOD]);
    lua_setiuservalue(L, parser, i);
  }
}

static int new_parser(lua_State *L, decode_function *decode) {
  int kind = luaL_checkoption(L, 1, NULL, kinds);
  struct parser *p;
  lua_settop(L, 3);
  p = lhttp_new(L, UP_PARSER, sizeof *p, OF_COUNT);
  p->codec = (struct codec){.magic = CODEC_MAGIC,
                            .version = CODEC_VERSION,
                            .size = sizeof p->codec,
                            .decode = decode};
  p->state.head.kind = (enum http_kind)kind;
  p->state.head.limits = (struct http_limits){
    .head = lhttp_limit(L, "head", kind == HTTP_REQUEST ? 1 << 16 : 1 << 18),
    .fields = lhttp_limit(L, "fields", 1000),
    .target = lhttp_limit(L, "target", 1 << 13),
  };
  lua_settop(L, 4);
  fill_user_values(L, 3);
  return 1;
}

/* parser(kind, [options, [class]]): objects made have the metatable class. */
int lhttp_parser(lua_State *L) {
  return new_parser(L, parser_decode);
}

/* heads(kind, options, class): a codec for all connections, since it keeps
 * nothing: of heads that are whole. What a message's version is, when it is
 * 1.1, the class says. */
int lhttp_heads(lua_State *L) {
  return new_parser(L, heads_decode);
}

/* ---- messages ---- */

/* A head that was parsed. */
struct parsed {
  int parser; /* its index */
  const struct http_head *head;
  const char *base; /* the head's bytes */
  bool brief;       /* version 1.1 goes without saying */
  struct http_framing framing;
};

static void push_constant(lua_State *L, const struct parsed *m, int of) {
  lua_getiuservalue(L, m->parser, of);
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

static void set_headers(lua_State *L, const struct parsed *m) {
  const struct http_head *h = m->head;
  push_constant(L, m, OF_FIELDS);
  http_fields_take(headers_make(L, h->nfields, h->size - h->first), h, m->base);
  push_constant(L, m, OF_HEADERS);
  lua_setmetatable(L, -2);
  lua_rawset(L, -3);
}

static void set_version(lua_State *L, const struct parsed *m) {
  if (m->brief && m->head->minor == 1)
    return;
  push_constant(L, m, OF_VERSION);
  if (m->head->minor == 1)
    push_constant(L, m, OF_1_1);
  else
    lua_pushliteral(L, "1.0");
  lua_rawset(L, -3);
}

/* What is the same of both kinds. */
static void set_framing(lua_State *L, const struct parsed *m) {
  static const char *const bodies[] = {NULL, "length", "chunked", "close"};
  const struct http_framing *f = &m->framing;
  set_version(L, m);
  set_headers(L, m);
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
    set_text(L, "upgrade", m->base + f->upgrade->value, f->upgrade->value_len);
}

static void set_request(lua_State *L, const struct parsed *m) {
  static const char *const forms[] = {"origin", "absolute", "authority",
                                      "asterisk"};
  const struct http_head *h = m->head;
  push_constant(L, m, OF_METHOD);
  if (http_method_is(h, m->base, "GET"))
    push_constant(L, m, OF_GET);
  else
    push_view(L, m->base, h->method);
  lua_rawset(L, -3);
  push_constant(L, m, OF_TARGET);
  push_view(L, m->base, h->target);
  lua_rawset(L, -3);
  if (h->form != HTTP_ORIGIN) {
    lua_pushstring(L, forms[h->form]);
    lua_setfield(L, -2, "form");
  }
  if (h->authority.len > 0)
    set_text(L, "authority", m->base + h->authority.at, h->authority.len);
  set_flag(L, m->framing.expects, "expect");
}

static void set_response(lua_State *L, const struct parsed *m) {
  lua_pushinteger(L, m->head->status);
  lua_setfield(L, -2, "status");
  push_view(L, m->base, m->head->target);
  lua_setfield(L, -2, "reason");
}

/* Is it a request as most are: HTTP/1.1, for a path, without a body, and
 * nothing else is to be heeded with its answer? */
static bool is_usual(const struct parsed *m) {
  const struct http_head *h = m->head;
  const struct http_framing *f = &m->framing;
  return h->kind == HTTP_REQUEST && h->minor == 1 && h->form == HTTP_ORIGIN &&
         f->body == HTTP_NONE && !f->close && !f->expects && !f->tunnel &&
         f->upgrade == NULL && !http_method_is(h, m->base, "HEAD");
}

/* Pushes the message; returns whether it is a usual request. */
static bool push_message(lua_State *L, const struct parsed *m) {
  bool usual = is_usual(m);
  lua_createtable(L, 0, usual ? 4 : 8);
  if (m->head->kind == HTTP_REQUEST)
    set_request(L, m);
  else
    set_response(L, m);
  set_framing(L, m);
  push_constant(L, m, OF_CLASS);
  lua_setmetatable(L, -2);
  return usual;
}

/* ---- parsing ---- */

static int parser_fail(lua_State *L, int at, struct parser *p, int done) {
  struct lhead *state = &p->state;
  state->failed = done;
  block_free(L, at, &state->pending);
  if (state->head.kind == HTTP_REQUEST)
    return lhttp_fail(L, "bad request", state->head.why, -done);
  lhttp_fail(L, "bad response", state->head.why, -done);
  lua_pushinteger(L, 502);
  lua_replace(L, -2);
  return 4;
}

/* Bytes of a string that is on the stack. Pushes the message, how many of the
 * bytes its head has, and whether it is a usual request; false if there must
 * be more (the bytes are kept); or a failure. */
static int parse(lua_State *L, int at, const char *method, const char *bytes,
                 size_t n, size_t *used) {
  struct parser *p = lua_touserdata(L, at);
  struct http_field rows[LHEAD_ROWS];
  struct parsed m = {.parser = at, .head = &p->state.head};
  int done = p->state.failed;
  bool usual;
  *used = n;
  if (done == 0)
    done = lhead_feed(L, at, &p->state, rows, bytes, n, &m.base, used);
  if (done > 0)
    done = http_framing(&p->state.head, m.base, method, &m.framing);
  if (done < 0)
    return parser_fail(L, at, p, done);
  if (done == HTTP_MORE) {
    *used = n;
    lua_pushboolean(L, 0);
    return 1;
  }
  usual = push_message(L, &m);
  block_free(L, at, &p->state.pending);
  lua_pushinteger(L, (lua_Integer)*used);
  lua_pushboolean(L, usual);
  return 3;
}

/* parser:feed(bytes, [from, [method]]) -> message, position after its head,
 * and whether it is a usual request (then no field of it is set but those
 * that all have); false if there must be more (the bytes are kept); or a
 * failure. */
static int parser_feed(lua_State *L) {
  const char *method = luaL_optstring(L, 4, NULL), *bytes;
  size_t n, from, used;
  int results;
  lhttp_self(L, UP_PARSER, "neap.parser");
  bytes = lhttp_bytes(L, &n, &from);
  results = parse(L, 1, method, bytes, n, &used);
  if (results == 3) {
    lua_pushinteger(L, (lua_Integer)(from + used));
    lua_replace(L, -3);
  }
  return results;
}

/* decode(stream, heads, conn, [method]) -> the same of a head that is all
 * there, with the field conn; false for what a parser has to look at. The head
 * is copied, since what lies in a stream may go as soon as something is made
 * of it. */
static int heads_decode(lua_State *L, const char *bytes, size_t n,
                        size_t *used) {
  struct parser *p = lua_touserdata(L, CODEC_AT);
  struct http_head *h = &p->state.head;
  const char *method = lua_tostring(L, CODEC_AT + 2);
  struct http_field rows[LHEAD_ROWS];
  struct parsed m = {.parser = CODEC_AT, .head = h, .brief = true};
  char room[ROOM];
  bool usual;
  *used = 0;
  lua_pushboolean(L, 0);
  http_head_rewind(h, rows, LHEAD_ROWS);
  if (http_head_parse(h, bytes, n) != HTTP_DONE || h->size > ROOM ||
      h->nfields > LHEAD_ROWS)
    return 1;
  m.base = memcpy(room, bytes, h->size);
  if (http_framing(h, room, method, &m.framing) != HTTP_DONE)
    return 1;
  *used = h->size;
  usual = push_message(L, &m);
  if (!lua_isnil(L, CODEC_AT + 1)) {
    push_constant(L, &m, OF_CONN);
    lua_pushvalue(L, CODEC_AT + 1);
    lua_rawset(L, -3);
  }
  lua_pushinteger(L, (lua_Integer)(n - h->size));
  lua_pushboolean(L, usual);
  return 3;
}

/* decode(stream, parser, [method]) -> as feed, but the number of bytes that
 * are left instead of the position. */
static int parser_decode(lua_State *L, const char *bytes, size_t n,
                         size_t *used) {
  const char *method = luaL_optstring(L, CODEC_AT + 1, NULL);
  int results;
  bytes = lua_pushlstring(L, bytes, n);
  results = parse(L, CODEC_AT, method, bytes, n, used);
  if (results == 3) {
    lua_pushinteger(L, (lua_Integer)(n - *used));
    lua_replace(L, -3);
  }
  return results;
}

/* Is a part of a head kept? */
static int parser_pending(lua_State *L) {
  const struct parser *p = lhttp_self(L, UP_PARSER, "neap.parser");
  lua_pushinteger(L, (lua_Integer)p->state.pending.n);
  return 1;
}

const luaL_Reg parser_methods[] = {
  {"feed",    parser_feed   },
  {"pending", parser_pending},
  {NULL,      NULL          },
};
