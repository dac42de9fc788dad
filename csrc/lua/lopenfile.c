/* SPDX-License-Identifier: MIT
 * neap.file: a file or a directory that is read, by its descriptor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lua/ltask.h"
#include "lua/neap.h"
#include "lua/lopenfile.h"
#include "sys/fd.h"
#include "sys/files.h"

#define FILE_CLASS "neap.file"

enum { NAMES_MOST = 100000 }; /* of a directory */

struct file {
  int fd;
  unsigned users; /* while there are any, the descriptor stays open */
  bool closed;
  struct file_info info;
};

static void close_unused(struct file *f) {
  if (f->fd >= 0 && f->users == 0) {
    sys_close(f->fd);
    f->fd = -1;
  }
}

struct file *lopenfile_use(lua_State *L, int arg, int *fd) {
  struct file *f = luaL_testudata(L, arg, FILE_CLASS);
  if (f == NULL)
    return NULL;
  luaL_argcheck(L, !f->closed, arg, "the file is closed");
  luaL_argcheck(L, f->info.kind == FILE_REGULAR, arg, "a directory");
  f->users++;
  *fd = f->fd;
  return f;
}

void lopenfile_unuse(struct file *f) {
  f->users--;
  if (f->closed)
    close_unused(f);
}

static struct file *new_file(lua_State *L) {
  struct file *f = lua_newuserdatauv(L, sizeof *f, 0);
  memset(f, 0, sizeof *f);
  f->fd = -1;
  luaL_setmetatable(L, FILE_CLASS);
  return f;
}

static struct file *check_open(lua_State *L) {
  struct file *f = neap_checkclass(L, 1, FILE_CLASS);
  luaL_argcheck(L, !f->closed, 1, "the file is closed");
  return f;
}

static const char *check_path(lua_State *L, int arg) {
  size_t n;
  const char *path = luaL_checklstring(L, arg, &n);
  luaL_argcheck(L, strlen(path) == n, arg, "the path holds a NUL");
  return path;
}

/* What was opened into f, which is on top; or why not. */
static int opened(lua_State *L, struct file *f, int fd, const char *path) {
  int err = fd;
  f->fd = fd < 0 ? -1 : fd;
  if (fd >= 0)
    err = sys_file_info(fd, &f->info);
  if (err >= 0 && f->info.kind == FILE_OTHER)
    err = -EINVAL;
  if (err >= 0)
    return 1;
  f->closed = true;
  close_unused(f);
  return neap_failf(L, err, "%s", path);
}

/* open_file(path): to be read; a regular file or a directory. */
static int l_open_file(lua_State *L) {
  const char *path = check_path(L, 1);
  struct file *f = new_file(L);
  return opened(L, f, sys_open(path), path);
}

/* open_beneath(directory, path, links) */
static int l_open_beneath(lua_State *L) {
  static const char *const kinds[] = {"none", "beneath", "any", NULL};
  static const enum file_links values[] = {LINKS_NONE, LINKS_BENEATH,
                                           LINKS_ANY};
  struct file *directory = check_open(L);
  const char *path = check_path(L, 2);
  enum file_links links = values[luaL_checkoption(L, 3, "none", kinds)];
  struct file *f = new_file(L);
  return opened(L, f, sys_open_beneath(directory->fd, path, links), path);
}

static int file_close(lua_State *L) {
  struct file *f = neap_checkclass(L, 1, FILE_CLASS);
  f->closed = true;
  close_unused(f);
  return 0;
}

/* file:info() -> kind, size, seconds, nanoseconds: when it was opened. */
static int file_info(lua_State *L) {
  const struct file *f = neap_checkclass(L, 1, FILE_CLASS);
  lua_pushstring(L, f->info.kind == FILE_REGULAR ? "file" : "directory");
  lua_pushinteger(L, (lua_Integer)f->info.size);
  lua_pushinteger(L, (lua_Integer)f->info.modified);
  lua_pushinteger(L, (lua_Integer)f->info.nanoseconds);
  return 4;
}

/* file:pread(offset, most) -> bytes, "" at its end. */
static int file_pread(lua_State *L) {
  struct file *f = check_open(L);
  int64_t offset = neap_checkint(L, 2, 0, INT64_MAX);
  size_t most = (size_t)neap_checkint(L, 3, 1, 1 << 24);
  luaL_Buffer room;
  char *to = luaL_buffinitsize(L, &room, most);
  ssize_t n = sys_pread(f->fd, to, most, offset);
  if (n < 0)
    return neap_fail(L, (int)n, "read");
  luaL_pushresultsize(&room, (size_t)n);
  return 1;
}

static int file_fileno(lua_State *L) {
  lua_pushinteger(L, check_open(L)->fd);
  return 1;
}

/* ---- directories ---- */

/* Names, each after a byte that is its kind, in a block of the C library's:
 * nothing may raise while the directory is open. */
struct names {
  char *data;
  size_t n, room, count;
};

static int add_name(void *of, const char *name, enum file_kind kind) {
  struct names *all = of;
  size_t len = strlen(name) + 2;
  if (++all->count > NAMES_MOST)
    return -EOVERFLOW;
  if (len > all->room - all->n) {
    size_t room = 2 * (all->n + len) + 1024;
    char *data = realloc(all->data, room);
    if (data == NULL)
      return -ENOMEM;
    all->data = data;
    all->room = room;
  }
  all->data[all->n] = (char)('0' + (int)kind);
  memcpy(all->data + all->n + 1, name, len - 1);
  all->n += len;
  return 0;
}

static int names_free(lua_State *L) {
  struct names *all = lua_touserdata(L, 1);
  free(all->data);
  all->data = NULL;
  return 0;
}

#define NAMES_CLASS "neap.file.names"

/* directory:names() -> a list of names; those of directories end in "/". */
static int file_names(lua_State *L) {
  struct file *f = check_open(L);
  struct names *all = lua_newuserdatauv(L, sizeof *all, 0);
  lua_Integer i = 0;
  size_t at = 0;
  int err;
  *all = (struct names){0};
  luaL_setmetatable(L, NAMES_CLASS);
  lua_toclose(L, lua_gettop(L));
  err = sys_each_name(f->fd, add_name, all);
  if (err < 0)
    return neap_fail(L, err, "directory");
  lua_newtable(L);
  while (at < all->n) {
    const char *name = all->data + at + 1;
    bool down = all->data[at] == '0' + FILE_DIRECTORY;
    lua_pushfstring(L, down ? "%s/" : "%s", name);
    lua_rawseti(L, -2, ++i);
    at += strlen(name) + 2;
  }
  return 1;
}

void neap_open_openfile(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"open_file",    l_open_file   },
    {"open_beneath", l_open_beneath},
    {NULL,           NULL          }
  };
  static const luaL_Reg methods[] = {
    {"close",  file_close },
    {"fileno", file_fileno},
    {"info",   file_info  },
    {"names",  file_names },
    {"pread",  file_pread },
    {NULL,     NULL       }
  };
  static const luaL_Reg meta[] = {
    {"__close", file_close},
    {"__gc",    file_close},
    {NULL,      NULL      }
  };
  static const luaL_Reg names_meta[] = {
    {"__close", names_free},
    {"__gc",    names_free},
    {NULL,      NULL      }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, FILE_CLASS, meta, methods);
  neap_class(L, NAMES_CLASS, names_meta, none);
  neap_setfuncs(L, functions);
}
