/* SPDX-License-Identifier: MIT
 * The functions of neap.wire. */
#include "lua/wire/lwire.h"

#include "wire/sum.h"
#include "wire/text.h"

/* nil, message, "EINVAL" */
static int invalid(lua_State *L, const char *what) {
  luaL_pushfail(L);
  lua_pushfstring(L, "%s: '%s'", what, lua_tostring(L, 1));
  lua_pushliteral(L, "EINVAL");
  return 3;
}

static int l_checksum(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_Integer sum = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, sum >= 0, 2, "must not be negative");
  lua_pushinteger(L, ~wire_sum(bytes, n, (uint64_t)sum) & 0xffff);
  return 1;
}

static int l_crc32c(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_Integer crc = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, crc >= 0 && crc <= UINT32_MAX, 2,
                "must be in [0, 4294967295]");
  lua_pushinteger(L, wire_crc32c(bytes, n, (uint32_t)crc));
  return 1;
}

static int l_mac_text(lua_State *L) {
  char text[3 * WIRE_HEXMAX];
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n <= WIRE_HEXMAX, 1, "address too long");
  n = wire_hextext((const uint8_t *)bytes, n, text);
  lua_pushlstring(L, text, n);
  return 1;
}

static int l_mac_bytes(lua_State *L) {
  uint8_t bytes[WIRE_HEXMAX];
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  int n = wire_hex(text, len, bytes);
  if (n < 0)
    return invalid(L, "no hardware address");
  lua_pushlstring(L, (const char *)bytes, (size_t)n);
  return 1;
}

static int l_ip_text(lua_State *L) {
  char text[WIRE_IP6TEXT];
  size_t n;
  const uint8_t *bytes = (const uint8_t *)luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n == 4 || n == 16, 1, "must have 4 or 16 bytes");
  n = n == 4 ? wire_ip4text(bytes, text) : wire_ip6text(bytes, text);
  lua_pushlstring(L, text, n);
  return 1;
}

static int l_ip_bytes(lua_State *L) {
  uint8_t bytes[16];
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  int n = wire_ip4(text, len, bytes);
  if (n < 0)
    n = wire_ip6(text, len, bytes);
  if (n < 0)
    return invalid(L, "no IP address");
  lua_pushlstring(L, (const char *)bytes, (size_t)n);
  return 1;
}

static const luaL_Reg functions[] = {
  {"checksum",  l_checksum  },
  {"crc32c",    l_crc32c    },
  {"decode",    wire_ldecode},
  {"encode",    wire_lencode},
  {"ip_bytes",  l_ip_bytes  },
  {"ip_text",   l_ip_text   },
  {"mac_bytes", l_mac_bytes },
  {"mac_text",  l_mac_text  },
  {NULL,        NULL        },
};

__attribute__((visibility("default"))) int luaopen_neap_wirecore(lua_State *L);

int luaopen_neap_wirecore(lua_State *L) {
  luaL_checkversion(L);
  luaL_newlibtable(L, functions);
  names_new(L);
  luaL_setfuncs(L, functions, 1);
  return 1;
}
