/* SPDX-License-Identifier: MIT
 * neap.headers: the fields of a message as a Lua object. What was parsed
 * stays bytes until it is asked for. */
#include "lua/http/lhttp.h"

#include <string.h>

#include "http/names.h"
#include "http/text.h"

static const char class_name[] = "neap.headers";

static struct http_fields *self(lua_State *L) {
  return lhttp_self(L, UP_HEADERS, class_name);
}

static struct http_wanted check_name(lua_State *L, int arg) {
  size_t n;
  const char *name = luaL_checklstring(L, arg, &n);
  return http_wanted(name, n);
}

static void place(struct http_fields *f, char *memory, size_t rows,
                  size_t bytes) {
  *f = (struct http_fields){
    .rows = (struct http_field *)(void *)memory,
    .bytes = memory + rows * sizeof(struct http_field),
    .room = (uint32_t)rows,
    .bytes_room = (uint32_t)bytes,
  };
}

struct http_fields *headers_make(lua_State *L, size_t rows, size_t bytes) {
  size_t size = rows * sizeof(struct http_field) + bytes;
  struct http_fields *f = lua_newuserdatauv(L, sizeof *f + size, 1);
  place(f, (char *)(f + 1), rows, bytes);
  return f;
}

struct http_fields *headers_new(lua_State *L, size_t rows, size_t bytes) {
  struct http_fields *f = headers_make(L, rows, bytes);
  lua_pushvalue(L, lua_upvalueindex(UP_HEADERS));
  lua_setmetatable(L, -2);
  return f;
}

/* Makes room for one more field, in a block that is a user value. */
static void reserve(lua_State *L, int at, struct http_fields *f, size_t name,
                    size_t value) {
  size_t bytes, rows = 2 * (size_t)f->n + 8;
  struct http_fields more;
  if (http_fields_fits(f, name, value))
    return;
  bytes = http_fields_size(f);
  if (name > UINT16_MAX || value > HTTP_FIELDS_MAX - name ||
      bytes > HTTP_FIELDS_MAX - name - value)
    luaL_error(L, "the header fields are too long");
  bytes = 2 * (bytes + name + value) + 64;
  place(&more, lua_newuserdatauv(L, rows * sizeof *f->rows + bytes, 0), rows,
        bytes);
  http_fields_copy(&more, f);
  *f = more;
  lua_setiuservalue(L, at, 1);
}

static void push_value(lua_State *L, const struct http_fields *f, uint32_t i) {
  lua_pushlstring(L, f->bytes + f->rows[i].value, f->rows[i].value_len);
}

/* In lower case. */
static void push_name(lua_State *L, const struct http_fields *f, uint32_t i) {
  const struct http_field *row = &f->rows[i];
  const char *name = f->bytes + row->name;
  luaL_Buffer lower;
  char *to;
  uint32_t k;
  if (row->id != HTTP_OTHER) {
    lua_rawgeti(L, lua_upvalueindex(UP_NAMES), row->id);
    return;
  }
  to = luaL_buffinitsize(L, &lower, row->name_len);
  for (k = 0; k < row->name_len; k++)
    to[k] = (char)(name[k] >= 'A' && name[k] <= 'Z' ? name[k] | 0x20 : name[k]);
  luaL_pushresultsize(&lower, row->name_len);
}

/* Several fields of a name are one with commas; cookies have semicolons. */
static void push_joined(lua_State *L, const struct http_fields *f,
                        struct http_wanted w, uint32_t i) {
  const char *between = w.id == HTTP_COOKIE ? "; " : ", ";
  luaL_Buffer all;
  luaL_buffinit(L, &all);
  while (i < f->n) {
    const struct http_field *row = &f->rows[i];
    luaL_addlstring(&all, f->bytes + row->value, row->value_len);
    i = http_fields_find(f, w, i + 1);
    if (i < f->n)
      luaL_addlstring(&all, between, 2);
  }
  luaL_pushresult(&all);
}

static int headers_get(lua_State *L) {
  const struct http_fields *f = self(L);
  struct http_wanted w = check_name(L, 2);
  uint32_t i = http_fields_find(f, w, 0);
  if (i == f->n)
    lua_pushnil(L);
  else if (w.id == HTTP_SET_COOKIE || http_fields_find(f, w, i + 1) == f->n)
    push_value(L, f, i);
  else
    push_joined(L, f, w, i);
  return 1;
}

static int headers_getall(lua_State *L) {
  const struct http_fields *f = self(L);
  struct http_wanted w = check_name(L, 2);
  lua_Integer n = 0;
  uint32_t i;
  lua_newtable(L);
  for (i = http_fields_find(f, w, 0); i < f->n;
       i = http_fields_find(f, w, i + 1)) {
    push_value(L, f, i);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* Whether a comma-separated list has the token. */
static bool has_token(const struct http_fields *f, uint32_t i,
                      const char *token, size_t n) {
  struct http_text list = {f->bytes + f->rows[i].value, f->rows[i].value_len};
  struct http_text item;
  while (http_item(&list, &item))
    if (item.n == n && http_alike(item.p, token, n))
      return true;
  return false;
}

static int headers_has(lua_State *L) {
  const struct http_fields *f = self(L);
  struct http_wanted w = check_name(L, 2);
  size_t n;
  const char *token = luaL_optlstring(L, 3, NULL, &n);
  uint32_t i = http_fields_find(f, w, 0);
  while (token != NULL && i < f->n && !has_token(f, i, token, n))
    i = http_fields_find(f, w, i + 1);
  lua_pushboolean(L, i < f->n);
  return 1;
}

static int next_field(lua_State *L) {
  const struct http_fields *f =
    lua_touserdata(L, lua_upvalueindex(UP_COUNT + 1));
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(UP_COUNT + 2));
  if (i >= f->n)
    return 0;
  lua_pushinteger(L, i + 1);
  lua_replace(L, lua_upvalueindex(UP_COUNT + 2));
  push_name(L, f, (uint32_t)i);
  push_value(L, f, (uint32_t)i);
  return 2;
}

static int headers_pairs(lua_State *L) {
  int i;
  self(L);
  for (i = 1; i <= UP_COUNT; i++)
    lua_pushvalue(L, lua_upvalueindex(i));
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_field, UP_COUNT + 2);
  return 1;
}

static int headers_len(lua_State *L) {
  lua_pushinteger(L, self(L)->n);
  return 1;
}

static int headers_tostring(lua_State *L) {
  const struct http_fields *f = self(L);
  luaL_Buffer all;
  uint32_t i;
  luaL_buffinit(L, &all);
  for (i = 0; i < f->n; i++) {
    const struct http_field *row = &f->rows[i];
    luaL_addlstring(&all, f->bytes + row->name, row->name_len);
    luaL_addlstring(&all, ": ", 2);
    luaL_addlstring(&all, f->bytes + row->value, row->value_len);
    luaL_addlstring(&all, "\r\n", 2);
  }
  luaL_pushresult(&all);
  return 1;
}

/* A value at an index, trimmed; raises if no field may have it. */
static struct http_text check_value(lua_State *L, int at, const char *name) {
  size_t n;
  const char *value = lua_tolstring(L, at, &n);
  if (value == NULL)
    luaL_error(L, "bad header field '%s' (string expected, got %s)", name,
               luaL_typename(L, at));
  if (!http_value(value, n))
    luaL_error(L, "bad header field '%s' (a control character in its value)",
               name);
  return http_trim(value, value + n);
}

static struct http_wanted check_token(lua_State *L, int at) {
  size_t n;
  const char *name = lua_tolstring(L, at, &n);
  if (!http_all(name, n, HTTP_TOKEN) || n > UINT16_MAX)
    luaL_error(L, "bad name of a header field: '%s'", name);
  return http_wanted(name, n);
}

static int headers_add(lua_State *L) {
  struct http_fields *f = self(L);
  struct http_wanted w;
  struct http_text value;
  luaL_checkstring(L, 2);
  w = check_token(L, 2);
  value = check_value(L, 3, w.name);
  reserve(L, 1, f, w.len, value.n);
  http_fields_add(f, w, value.p, value.n);
  lua_settop(L, 1);
  return 1;
}

static int headers_set(lua_State *L) {
  struct http_fields *f = self(L);
  struct http_wanted w;
  struct http_text value;
  uint32_t i;
  luaL_checkstring(L, 2);
  w = check_token(L, 2);
  value = check_value(L, 3, w.name);
  reserve(L, 1, f, w.len, value.n);
  i = http_fields_find(f, w, 0);
  if (i == f->n) {
    http_fields_add(f, w, value.p, value.n);
  } else {
    http_fields_remove(f, w, i + 1);
    http_fields_replace(f, i, value.p, value.n);
  }
  lua_settop(L, 1);
  return 1;
}

static int headers_remove(lua_State *L) {
  struct http_fields *f = self(L);
  struct http_wanted w = check_name(L, 2);
  lua_pushboolean(L, http_fields_remove(f, w, 0) > 0);
  return 1;
}

/* A field whose value, or list of values, is on top. */
static void visit_value(lua_State *L, struct http_wanted w,
                        field_visitor *visit, void *of) {
  lua_Integer i, n;
  struct http_text value;
  if (!lua_istable(L, -1)) {
    value = check_value(L, lua_gettop(L), w.name);
    visit(L, of, w, value.p, value.n);
    return;
  }
  n = (lua_Integer)lua_rawlen(L, -1);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    value = check_value(L, lua_gettop(L), w.name);
    visit(L, of, w, value.p, value.n);
    lua_pop(L, 1);
  }
}

/* { name, value }, at t[i] */
static void visit_pair(lua_State *L, int t, lua_Integer i, field_visitor *visit,
                       void *of) {
  if (lua_rawgeti(L, t, i) != LUA_TTABLE)
    luaL_error(L, "bad header field #%I ({ name, value } expected, got %s)",
               (LUAI_UACINT)i, luaL_typename(L, -1));
  if (lua_rawgeti(L, -1, 1) != LUA_TSTRING)
    luaL_error(L, "bad header field #%I (its name must be a string)",
               (LUAI_UACINT)i);
  lua_rawgeti(L, -2, 2);
  visit_value(L, check_token(L, lua_gettop(L) - 1), visit, of);
  lua_pop(L, 3);
}

static void visit_table(lua_State *L, int t, field_visitor *visit, void *of) {
  lua_Integer i, n = (lua_Integer)lua_rawlen(L, t);
  for (i = 1; i <= n; i++)
    visit_pair(L, t, i, visit, of);
  lua_pushnil(L);
  while (lua_next(L, t)) {
    if (lua_type(L, -2) == LUA_TSTRING)
      visit_value(L, check_token(L, lua_gettop(L) - 1), visit, of);
    else if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 ||
             lua_tointeger(L, -2) > n)
      luaL_error(L, "bad name of a header field: a %s", luaL_typename(L, -2));
    lua_pop(L, 1);
  }
}

void headers_visit(lua_State *L, int at, field_visitor *visit, void *of) {
  const struct http_fields *f;
  uint32_t i;
  luaL_checkstack(L, 8, NULL);
  if (lua_istable(L, at)) {
    visit_table(L, at, visit, of);
    return;
  }
  f = lua_touserdata(L, at);
  if (f == NULL || !lua_getmetatable(L, at))
    luaL_typeerror(L, at, "table or neap.headers");
  if (!lua_rawequal(L, -1, lua_upvalueindex(UP_HEADERS)))
    luaL_typeerror(L, at, "table or neap.headers");
  lua_pop(L, 1);
  for (i = 0; i < f->n; i++) {
    struct http_field row = f->rows[i];
    struct http_wanted w = {f->bytes + row.name, row.name_len, row.id};
    visit(L, of, w, f->bytes + row.value, row.value_len);
  }
}

/* To headers that are on the stack at the index that `of` points to. */
static void visit_add(lua_State *L, void *of, struct http_wanted w,
                      const char *value, size_t len) {
  int at = *(int *)of;
  struct http_fields *f = lua_touserdata(L, at);
  reserve(L, at, f, w.len, len);
  http_fields_add(f, w, value, len);
}

/* headers([fields]) */
int lhttp_headers(lua_State *L) {
  int at = 2;
  lua_settop(L, 1);
  headers_new(L, 8, 256);
  if (!lua_isnil(L, 1))
    headers_visit(L, 1, visit_add, &at);
  lua_settop(L, 2);
  return 1;
}

const luaL_Reg headers_methods[] = {
  {"add",    headers_add   },
  {"get",    headers_get   },
  {"getall", headers_getall},
  {"has",    headers_has   },
  {"pairs",  headers_pairs },
  {"remove", headers_remove},
  {"set",    headers_set   },
  {NULL,     NULL          },
};

const luaL_Reg headers_meta[] = {
  {"__len",      headers_len     },
  {"__pairs",    headers_pairs   },
  {"__tostring", headers_tostring},
  {NULL,         NULL            },
};
