/* SPDX-License-Identifier: MIT
 * Writers of heads: values to bytes, and no byte that a peer could read as
 * another line. */
#include "lua/http/lhttp.h"

#include <string.h>
#include <time.h>

#include "http/names.h"
#include "http/text.h"

/* What a head is made of besides its fields. */
struct head_writer {
  struct scratch *scratch;
  bool framed; /* the fields that say how it is framed are ours */
  bool dated;  /* there is a Date */
};

static void put_field(lua_State *L, struct scratch *s, const char *name,
                      size_t name_len, const char *value, size_t len) {
  char *to;
  scratch_reserve(L, s, name_len + len + 4);
  to = s->data + s->n;
  memcpy(to, name, name_len);
  to += name_len;
  *to++ = ':';
  *to++ = ' ';
  memcpy(to, value, len);
  to += len;
  *to++ = '\r';
  *to++ = '\n';
  s->n = (size_t)(to - s->data);
}

#define put_known(L, s, name, value, len) \
  put_field(L, s, name, sizeof(name) - 1, value, len)

static void put_length(lua_State *L, struct scratch *s, uint64_t length) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + length % 10);
    length /= 10;
  } while (length > 0);
  put_known(L, s, "Content-Length", digits + at, sizeof digits - at);
}

static void visit_put(lua_State *L, void *of, struct http_wanted w,
                      const char *value, size_t len) {
  struct head_writer *writer = of;
  if (writer->framed &&
      (w.id == HTTP_CONTENT_LENGTH || w.id == HTTP_TRANSFER_ENCODING ||
       w.id == HTTP_CONNECTION))
    return;
  writer->dated |= w.id == HTTP_DATE;
  put_field(L, writer->scratch, w.name, w.len, value, len);
}

/* The headers at an index, and the two arguments after it: framing (a length,
 * "chunked", or nil) and what Connection says; "": nothing, and the headers'
 * own is left out. */
static void put_fields(lua_State *L, struct head_writer *w, int at) {
  size_t n;
  const char *connection = luaL_optlstring(L, at + 2, NULL, &n);
  luaL_argcheck(L, connection == NULL || http_value(connection, n), at + 2,
                "a control character");
  w->framed = !lua_isnoneornil(L, at + 1) || connection != NULL;
  if (!lua_isnoneornil(L, at))
    headers_visit(L, at, visit_put, w);
  if (connection != NULL && n > 0)
    put_known(L, w->scratch, "Connection", connection, n);
  if (lua_isinteger(L, at + 1)) {
    lua_Integer length = lua_tointeger(L, at + 1);
    luaL_argcheck(L, length >= 0, at + 1, "a negative length");
    put_length(L, w->scratch, (uint64_t)length);
  } else if (!lua_isnoneornil(L, at + 1)) {
    luaL_argcheck(L, strcmp(luaL_checkstring(L, at + 1), "chunked") == 0,
                  at + 1, "a length or 'chunked' expected");
    put_known(L, w->scratch, "Transfer-Encoding", "chunked", 7);
  }
}

/* request(method, target, [headers, [framing, [connection]]]) */
int lhttp_request(lua_State *L) {
  struct head_writer w = {0};
  size_t nmethod, ntarget;
  const char *method = luaL_checklstring(L, 1, &nmethod);
  const char *target = luaL_checklstring(L, 2, &ntarget);
  luaL_argcheck(L, http_all(method, nmethod, HTTP_TOKEN), 1,
                "a method is a token");
  luaL_argcheck(L, http_all(target, ntarget, HTTP_TARGET), 2,
                "the target holds a byte that must be encoded");
  lua_settop(L, 5);
  w.scratch = scratch_begin(L, nmethod + ntarget + 16);
  scratch_put(L, w.scratch, method, nmethod);
  scratch_text(L, w.scratch, " ");
  scratch_put(L, w.scratch, target, ntarget);
  scratch_text(L, w.scratch, " HTTP/1.1\r\n");
  put_fields(L, &w, 3);
  scratch_text(L, w.scratch, "\r\n");
  scratch_push(L, w.scratch);
  return 1;
}

static const struct {
  int status;
  const char *phrase;
} phrases[] = {
  {200, "OK"                             },
  {100, "Continue"                       },
  {101, "Switching Protocols"            },
  {102, "Processing"                     },
  {103, "Early Hints"                    },
  {201, "Created"                        },
  {202, "Accepted"                       },
  {203, "Non-Authoritative Information"  },
  {204, "No Content"                     },
  {205, "Reset Content"                  },
  {206, "Partial Content"                },
  {207, "Multi-Status"                   },
  {208, "Already Reported"               },
  {226, "IM Used"                        },
  {300, "Multiple Choices"               },
  {301, "Moved Permanently"              },
  {302, "Found"                          },
  {303, "See Other"                      },
  {304, "Not Modified"                   },
  {307, "Temporary Redirect"             },
  {308, "Permanent Redirect"             },
  {400, "Bad Request"                    },
  {401, "Unauthorized"                   },
  {402, "Payment Required"               },
  {403, "Forbidden"                      },
  {404, "Not Found"                      },
  {405, "Method Not Allowed"             },
  {406, "Not Acceptable"                 },
  {407, "Proxy Authentication Required"  },
  {408, "Request Timeout"                },
  {409, "Conflict"                       },
  {410, "Gone"                           },
  {411, "Length Required"                },
  {412, "Precondition Failed"            },
  {413, "Content Too Large"              },
  {414, "URI Too Long"                   },
  {415, "Unsupported Media Type"         },
  {416, "Range Not Satisfiable"          },
  {417, "Expectation Failed"             },
  {421, "Misdirected Request"            },
  {422, "Unprocessable Content"          },
  {423, "Locked"                         },
  {424, "Failed Dependency"              },
  {425, "Too Early"                      },
  {426, "Upgrade Required"               },
  {428, "Precondition Required"          },
  {429, "Too Many Requests"              },
  {431, "Request Header Fields Too Large"},
  {451, "Unavailable For Legal Reasons"  },
  {500, "Internal Server Error"          },
  {501, "Not Implemented"                },
  {502, "Bad Gateway"                    },
  {503, "Service Unavailable"            },
  {504, "Gateway Timeout"                },
  {505, "HTTP Version Not Supported"     },
  {507, "Insufficient Storage"           },
  {508, "Loop Detected"                  },
  {511, "Network Authentication Required"},
  {0,   ""                               },
};

static const char *phrase(int status) {
  size_t i = 0;
  while (phrases[i].status != 0 && phrases[i].status != status)
    i++;
  return phrases[i].phrase;
}

/* "HTTP/1.1 200 OK"; the reason is at an index, or is the usual one. */
static void put_status(lua_State *L, struct scratch *s, int status, int at) {
  char line[] = "HTTP/1.1 200 ";
  size_t n;
  const char *reason = luaL_optlstring(L, at, NULL, &n);
  luaL_argcheck(L, reason == NULL || http_value(reason, n), at,
                "a control character");
  if (reason == NULL) {
    reason = phrase(status);
    n = strlen(reason);
  }
  line[9] = (char)('0' + status / 100);
  line[10] = (char)('0' + status / 10 % 10);
  line[11] = (char)('0' + status % 10);
  scratch_text(L, s, line);
  scratch_put(L, s, reason, n);
  scratch_text(L, s, "\r\n");
}

static const char *now(struct scratch *s) {
  return http_clock_text(&s->clock, (int64_t)time(NULL));
}

/* response(status, [headers, [framing, [connection, [reason]]]]); one that is
 * not interim gets a Date. */
int lhttp_response(lua_State *L) {
  struct head_writer w = {0};
  lua_Integer status = luaL_checkinteger(L, 1);
  luaL_argcheck(L, status >= 100 && status <= 999, 1,
                "a status has three digits");
  lua_settop(L, 5);
  w.scratch = scratch_begin(L, 256);
  put_status(L, w.scratch, (int)status, 5);
  put_fields(L, &w, 2);
  if (!w.dated && status >= 200)
    put_known(L, w.scratch, "Date", now(w.scratch), HTTP_DATE_LEN);
  scratch_text(L, w.scratch, "\r\n");
  scratch_push(L, w.scratch);
  return 1;
}

/* last_chunk([trailers]) */
int lhttp_last_chunk(lua_State *L) {
  struct head_writer w = {0};
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_pushliteral(L, "0\r\n\r\n");
    return 1;
  }
  w.scratch = scratch_begin(L, 256);
  w.framed = true;
  scratch_text(L, w.scratch, "0\r\n");
  headers_visit(L, 1, visit_put, &w);
  scratch_text(L, w.scratch, "\r\n");
  scratch_push(L, w.scratch);
  return 1;
}

/* date([seconds since 1970]): as HTTP writes it; of now, if none are given. */
int lhttp_date(lua_State *L) {
  struct scratch *s = scratch_begin(L, 0);
  char text[HTTP_DATE_LEN];
  lua_Integer seconds;
  if (lua_isnoneornil(L, 1)) {
    lua_pushlstring(L, now(s), HTTP_DATE_LEN);
    return 1;
  }
  seconds = luaL_checkinteger(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= HTTP_DATE_LAST, 1,
                "must be from 1970 to 9999");
  http_date(text, seconds);
  lua_pushlstring(L, text, HTTP_DATE_LEN);
  return 1;
}
