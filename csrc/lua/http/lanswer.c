/* SPDX-License-Identifier: MIT
 * The answer that most requests get, in one piece: fields that were written
 * before, the length, the date, and the body. */
#include "lua/http/lhttp.h"

#include <string.h>
#include <time.h>

static size_t put_number(char *end, uint64_t n) {
  char *p = end;
  do {
    *--p = (char)('0' + n % 10);
    n /= 10;
  } while (n > 0);
  return (size_t)(end - p);
}

/* answer(begin, body): `begin` are the status line and fields; all but the end
 * of a head. A length in place of the body: only the head for it. */
int lhttp_answer(lua_State *L) {
  size_t nbegin, nbody = 0, ndigits;
  const char *begin = luaL_checklstring(L, 1, &nbegin), *body = NULL;
  char digits[20];
  struct scratch *s;
  uint64_t length;
  if (lua_isinteger(L, 2)) {
    lua_Integer n = lua_tointeger(L, 2);
    luaL_argcheck(L, n >= 0, 2, "a negative length");
    length = (uint64_t)n;
  } else {
    body = luaL_checklstring(L, 2, &nbody);
    length = nbody;
  }
  ndigits = put_number(digits + sizeof digits, length);
  s = scratch_begin(L, nbegin + nbody + 96);
  scratch_put(L, s, begin, nbegin);
  scratch_text(L, s, "Content-Length: ");
  scratch_put(L, s, digits + sizeof digits - ndigits, ndigits);
  scratch_text(L, s, "\r\nDate: ");
  scratch_put(L, s, http_clock_text(&s->clock, (int64_t)time(NULL)),
              HTTP_DATE_LEN);
  scratch_text(L, s, "\r\n\r\n");
  if (body != NULL)
    scratch_put(L, s, body, nbody);
  scratch_push(L, s);
  return 1;
}
