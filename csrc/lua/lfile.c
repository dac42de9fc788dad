/* SPDX-License-Identifier: MIT
 * Files that hold secrets. */
#include <errno.h>
#include <stdio.h>
#include <lauxlib.h>

#include "lua/neap.h"
#include "lua/ltask.h"
#include "sys/fd.h"

static int close_file(lua_State *L) {
  luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(p->f) == 0, NULL);
}

/* append(path): a file of Lua's that is written at its end, each time at once;
 * made, if there is none, for nobody but its owner. */
static int l_append(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  luaL_Stream *p = lua_newuserdatauv(L, sizeof *p, 0);
  int fd;
  p->closef = NULL;
  p->f = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  fd = sys_append(path);
  if (fd < 0)
    return neap_failf(L, fd, "%s", path);
  p->f = fdopen(fd, "a");
  if (p->f == NULL) {
    sys_close(fd);
    return neap_failf(L, -ENOMEM, "%s", path);
  }
  setvbuf(p->f, NULL, _IONBF, 0);
  p->closef = close_file;
  return 1;
}

void neap_open_file(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"append", l_append},
    {NULL,     NULL    }
  };
  neap_setfuncs(L, functions);
}
