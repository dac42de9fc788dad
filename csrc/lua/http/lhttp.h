/* SPDX-License-Identifier: MIT
 * neap/httpcore.so: an object of its own, which needs nothing of neap's core.
 * What its files share. */
#ifndef NEAP_LUA_HTTP_LHTTP_H
#define NEAP_LUA_HTTP_LHTTP_H

#include <lua.h>
#include <lauxlib.h>
#include <stdbool.h>

#include "http/date.h"
#include "http/fields.h"
#include "http/head.h"

/* The upvalues of every function here. */
enum {
  UP_HEADERS = 1, /* metatables */
  UP_PARSER,
  UP_DECODER,
  UP_DEFRAMER,
  UP_NAMES,   /* a list: the usual names of fields, by their ids */
  UP_SCRATCH, /* struct scratch */
  UP_COUNT = UP_SCRATCH,
};

/* Argument 1, which must be of the class. */
void *lhttp_self(lua_State *L, int class, const char *name);

/* Pushes an object of a class, zeroed. */
void *lhttp_new(lua_State *L, int class, size_t size, int uservalues);

/* Pushes nil, "what: why", code, status. Returns 4. */
int lhttp_fail(lua_State *L, const char *what, const char *why, int status);

/* Argument 2, bytes, from the position of argument 3 on. */
const char *lhttp_bytes(lua_State *L, size_t *n, size_t *from);

/* options[name], where the options are argument 2, or else. */
uint32_t lhttp_limit(lua_State *L, const char *name, uint32_t otherwise);

/* Where text is put together; it stays until the next is. */
struct scratch {
  char *data;
  size_t n, room;
  struct http_clock clock;
  char first[4096];
};

/* Emptied, and with room for n bytes. */
struct scratch *scratch_begin(lua_State *L, size_t n);
void scratch_reserve(lua_State *L, struct scratch *s, size_t n);
void scratch_put(lua_State *L, struct scratch *s, const char *p, size_t n);

#define scratch_text(L, s, text) scratch_put(L, s, text, sizeof(text) - 1)

/* Pushes it as a string. */
void scratch_push(lua_State *L, struct scratch *s);

/* A block that grows, which is a user value of an object: its only one, or
 * its first. */
struct block {
  char *data;
  size_t n, room;
};

/* Room for n more bytes, which count already. */
char *block_extend(lua_State *L, int object, struct block *b, size_t n);
void block_append(lua_State *L, int object, struct block *b, const char *p,
                  size_t n);
void block_free(lua_State *L, int object, struct block *b);

/* A head that comes in pieces, and what to do when it is there. */
struct lhead {
  struct http_head head;
  struct block pending;
  int failed; /* what the parser returned */
};

/* Parses [p, p + n) after what is pending: HTTP_DONE, then the head's bytes
 * are at *base, *used of the new ones belong to it, and its fields are in
 * `rows` or, if those are too few, in a userdata that is pushed (else nil is
 * pushed). HTTP_MORE: all is kept. Or a failure. The object at an index has
 * the block. */
enum { LHEAD_ROWS = 96 };
int lhead_feed(lua_State *L, int object, struct lhead *h,
               struct http_field rows[LHEAD_ROWS], const char *p, size_t n,
               const char **base, size_t *used);

/* Pushes headers with room for this; headers_make leaves it to the caller to
 * give them their class. */
struct http_fields *headers_new(lua_State *L, size_t rows, size_t bytes);
struct http_fields *headers_make(lua_State *L, size_t rows, size_t bytes);

/* Calls `visit` with each field of the value at an index: headers, a table of
 * names and values (or lists of values), a list of pairs. Raises unless names
 * are tokens and no value holds control characters. */
typedef void field_visitor(lua_State *L, void *of, struct http_wanted w,
                           const char *value, size_t len);
void headers_visit(lua_State *L, int at, field_visitor *visit, void *of);

extern const luaL_Reg headers_methods[], headers_meta[];
extern const luaL_Reg parser_methods[], decoder_methods[], deframer_methods[];

int lhttp_headers(lua_State *L);
int lhttp_parser(lua_State *L);
int lhttp_heads(lua_State *L);
int lhttp_decoder(lua_State *L);
int lhttp_deframer(lua_State *L);
int lhttp_frame(lua_State *L);
int lhttp_frames(lua_State *L);
int lhttp_utf8(lua_State *L);
int lhttp_accept(lua_State *L);
int lhttp_answer(lua_State *L);
int lhttp_answers(lua_State *L);
int lhttp_request(lua_State *L);
int lhttp_response(lua_State *L);
int lhttp_chunk(lua_State *L);
int lhttp_last_chunk(lua_State *L);
int lhttp_date(lua_State *L);

#endif
