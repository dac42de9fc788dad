/* SPDX-License-Identifier: MIT
 * The functions and classes of neap.httpcore. */
#include "lua/http/lhttp.h"

#include <string.h>

#include "http/names.h"

void *lhttp_self(lua_State *L, int class, const char *name) {
  void *object = lua_touserdata(L, 1);
  if (object != NULL && lua_getmetatable(L, 1)) {
    bool same = lua_rawequal(L, -1, lua_upvalueindex(class));
    lua_pop(L, 1);
    if (same)
      return object;
  }
  luaL_typeerror(L, 1, name);
  return NULL;
}

void *lhttp_new(lua_State *L, int class, size_t size, int uservalues) {
  void *object = lua_newuserdatauv(L, size, uservalues);
  memset(object, 0, size);
  lua_pushvalue(L, lua_upvalueindex(class));
  lua_setmetatable(L, -2);
  return object;
}

static const char *code_of(int status) {
  switch (status) {
  case 414:
  case 431:
  case 1009:
    return "EMSGSIZE";
  case 417:
  case 501:
  case 505:
    return "EPROTONOSUPPORT";
  default:
    return "EBADMSG";
  }
}

int lhttp_fail(lua_State *L, const char *what, const char *why, int status) {
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: %s", what, why);
  lua_pushstring(L, code_of(status));
  lua_pushinteger(L, status);
  return 4;
}

const char *lhttp_bytes(lua_State *L, size_t *n, size_t *from) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_Integer at = luaL_optinteger(L, 3, 1);
  luaL_argcheck(L, at >= 1 && (lua_Unsigned)at <= len + 1, 3,
                "must be a position in the bytes");
  *from = (size_t)at;
  *n = len - (*from - 1);
  return bytes + (*from - 1);
}

struct scratch *scratch_begin(lua_State *L, size_t n) {
  struct scratch *s = lua_touserdata(L, lua_upvalueindex(UP_SCRATCH));
  s->n = 0;
  if (s->data == NULL || (s->room > 1 << 16 && n < sizeof s->first)) {
    lua_pushnil(L);
    lua_setiuservalue(L, lua_upvalueindex(UP_SCRATCH), 1);
    s->data = s->first;
    s->room = sizeof s->first;
  }
  scratch_reserve(L, s, n);
  return s;
}

void scratch_reserve(lua_State *L, struct scratch *s, size_t n) {
  size_t room = 2 * (s->n + n);
  char *data;
  if (n <= s->room - s->n)
    return;
  data = lua_newuserdatauv(L, room, 0);
  memcpy(data, s->data, s->n);
  lua_setiuservalue(L, lua_upvalueindex(UP_SCRATCH), 1);
  s->data = data;
  s->room = room;
}

void scratch_put(lua_State *L, struct scratch *s, const char *p, size_t n) {
  scratch_reserve(L, s, n);
  memcpy(s->data + s->n, p, n);
  s->n += n;
}

void scratch_push(lua_State *L, struct scratch *s) {
  lua_pushlstring(L, s->data, s->n);
}

char *block_extend(lua_State *L, int object, struct block *b, size_t n) {
  if (n > b->room - b->n) {
    size_t room = b->n + n + b->n / 2 + 64;
    char *data = lua_newuserdatauv(L, room, 0);
    if (b->n > 0)
      memcpy(data, b->data, b->n);
    lua_setiuservalue(L, object, 1);
    b->data = data;
    b->room = room;
  }
  b->n += n;
  return b->data + (b->n - n);
}

void block_append(lua_State *L, int object, struct block *b, const char *p,
                  size_t n) {
  char *to = block_extend(L, object, b, n);
  if (n > 0)
    memcpy(to, p, n);
}

void block_free(lua_State *L, int object, struct block *b) {
  if (b->data != NULL) {
    lua_pushnil(L);
    lua_setiuservalue(L, object, 1);
  }
  *b = (struct block){0};
}

/* The rows of a head that has more than there was room for. */
static int all_rows(lua_State *L, struct http_head *h, const char *base) {
  uint32_t n = h->nfields;
  size_t size = h->size;
  struct http_field *rows = lua_newuserdatauv(L, n * sizeof *rows, 0);
  http_head_rewind(h, rows, n);
  return http_head_parse(h, base, size);
}

int lhead_feed(lua_State *L, int object, struct lhead *h,
               struct http_field rows[LHEAD_ROWS], const char *p, size_t n,
               const char **base, size_t *used) {
  struct http_head *head = &h->head;
  size_t before = h->pending.n;
  int done;
  if (before == 0) {
    http_head_rewind(head, rows, LHEAD_ROWS);
    done = http_head_parse(head, p, n);
    if (done == HTTP_MORE)
      block_append(L, object, &h->pending, p, n);
    *base = p;
  } else {
    size_t most = head->limits.head - before;
    block_append(L, object, &h->pending, p, n < most ? n : most);
    head->room = 0;
    done = http_head_parse(head, h->pending.data, h->pending.n);
    *base = h->pending.data;
    if (done > 0) {
      http_head_rewind(head, rows, LHEAD_ROWS);
      done = http_head_parse(head, *base, h->pending.n);
    }
  }
  if (done > 0 && head->nfields > LHEAD_ROWS)
    done = all_rows(L, head, *base);
  else
    lua_pushnil(L);
  *used = head->size - before;
  return done;
}

static const luaL_Reg functions[] = {
  {"accept_key", lhttp_accept    },
  {"answer",     lhttp_answer    },
  {"answers",    lhttp_answers   },
  {"chunk",      lhttp_chunk     },
  {"date",       lhttp_date      },
  {"decoder",    lhttp_decoder   },
  {"deframer",   lhttp_deframer  },
  {"frame",      lhttp_frame     },
  {"frames",     lhttp_frames    },
  {"headers",    lhttp_headers   },
  {"heads",      lhttp_heads     },
  {"last_chunk", lhttp_last_chunk},
  {"parser",     lhttp_parser    },
  {"request",    lhttp_request   },
  {"response",   lhttp_response  },
  {"utf8",       lhttp_utf8      },
  {NULL,         NULL            },
};

static const struct class {
  const char *name;
  const luaL_Reg *methods, *meta;
} classes[] = {
  {"neap.headers",  headers_methods,  headers_meta},
  {"neap.parser",   parser_methods,   NULL        },
  {"neap.decoder",  decoder_methods,  NULL        },
  {"neap.deframer", deframer_methods, NULL        },
};

/* Pushes all upvalues; the first is at `first`. */
static void push_upvalues(lua_State *L, int first) {
  int i;
  for (i = 0; i < UP_COUNT; i++)
    lua_pushvalue(L, first + i);
}

static void fill_class(lua_State *L, int first, int index) {
  const struct class *class = &classes[index];
  int at = first + index;
  lua_newtable(L);
  push_upvalues(L, first);
  luaL_setfuncs(L, class->methods, UP_COUNT);
  lua_setfield(L, at, "__index");
  if (class->meta == NULL)
    return;
  lua_pushvalue(L, at);
  push_upvalues(L, first);
  luaL_setfuncs(L, class->meta, UP_COUNT);
  lua_pop(L, 1);
}

static void push_names(lua_State *L) {
  unsigned i;
  lua_createtable(L, (int)http_nnames, 0);
  for (i = 1; i < http_nnames; i++) {
    lua_pushlstring(L, http_names[i].name, http_names[i].len);
    lua_rawseti(L, -2, i);
  }
}

__attribute__((visibility("default"))) int luaopen_neap_httpcore(lua_State *L);

int luaopen_neap_httpcore(lua_State *L) {
  int first = lua_gettop(L) + 1, i;
  luaL_checkversion(L);
  for (i = 0; i < UP_NAMES - 1; i++)
    luaL_newmetatable(L, classes[i].name);
  push_names(L);
  memset(lua_newuserdatauv(L, sizeof(struct scratch), 1), 0,
         sizeof(struct scratch));
  for (i = 0; i < UP_NAMES - 1; i++)
    fill_class(L, first, i);
  luaL_newlibtable(L, functions);
  push_upvalues(L, first);
  luaL_setfuncs(L, functions, UP_COUNT);
  return 1;
}
