/* SPDX-License-Identifier: MIT
 * Writing to a stream. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "lua/lopenfile.h"
#include "lua/lstream.h"

enum {
  SEND_COST = 8,          /* of the budget, for a system call */
  MAX_BLOCKS = 32,        /* gathered at once */
  OUT_ROOM = 8192,        /* buffered, if nothing else was said */
  FILE_BLOCK = 64 * 1024, /* copied at once where the kernel cannot send */
  FILE_MOST = 1024 * 1024 /* and sent at once where it can */
};

/* nil, message, code, and how much was taken. */
static int write_failed(lua_State *L, const struct stream *s, int err,
                        const char *operation, size_t taken) {
  lstream_fail(L, s, err, operation);
  lua_pushinteger(L, (lua_Integer)taken);
  return 4;
}

/* How every writing step begins: one writer at a time, the others queue.
 * Returns 0, OP_WAIT, or a number of results. */
static int begin(lua_State *L, struct core *c, struct wait *w, struct stream *s,
                 const char *operation) {
  if (w->object == NULL) /* interrupted: the error is on top */
    return lua_error(L);
  if (w->result < 0)
    lsession_linger(L, c, s);
  if (!stream_isopen(s) || w->result < 0)
    return write_failed(L, s, stream_isopen(s) ? w->result : ERR_CLOSED,
                        operation, w->progress);
  if (lock_take(&s->writer, w))
    return 0;
  await_wake(c, w, &s->writer.queue, true);
  return OP_WAIT;
}

/* What is held must not be forgotten when a task is cancelled, either. */
static void interrupted(lua_State *L, struct core *c, struct wait *w) {
  lsession_linger(L, c, lstream_of(w));
  w->object = NULL;
}

/* What follows one attempt to send. Returns 0 to go on. */
static int sent(lua_State *L, struct core *c, struct wait *w, struct stream *s,
                ssize_t n, const char *operation) {
  int r;
  if (n == -EAGAIN) {
    r = lstream_await(L, c, w, s, operation);
    if (r != OP_WAIT) {
      lua_pop(L, r);
      r = write_failed(L, s, -EBUSY, operation, w->progress);
    }
    return r;
  }
  if (n < 0)
    return write_failed(L, s, (int)n, operation, w->progress);
  w->progress += (size_t)n;
  c->budget -= SEND_COST;
  return 0;
}

/* ---- write ---- */

/* The arguments from byte `skip` on, as blocks; *total is their size, and 0
 * if more follow. */
static int gather(lua_State *L, size_t skip, struct iovec *iov, size_t *total) {
  int i, n = 0, top = lua_gettop(L);
  *total = 0;
  for (i = 2; i <= top; i++) {
    size_t len;
    const char *data;
    if (n == MAX_BLOCKS) {
      *total = 0;
      break;
    }
    data = lua_tolstring(L, i, &len);
    if (skip >= len) {
      skip -= len;
      continue;
    }
    iov[n].iov_base = (char *)data + skip;
    iov[n++].iov_len = len - skip;
    *total += len - skip;
    skip = 0;
  }
  return n;
}

/* May all of it wait in the stream's buffer? */
static bool buffers(lua_State *L, const struct stream *s) {
  size_t total = stream_queued(s);
  int i, top = lua_gettop(L);
  if (s->out == NULL || s->out->buffering == BUFFER_NO)
    return false;
  for (i = 2; i <= top; i++) {
    size_t len;
    const char *data = lua_tolstring(L, i, &len);
    if (s->out->buffering == BUFFER_LINE && memchr(data, '\n', len) != NULL)
      return false;
    total += len;
  }
  return total <= s->out->room;
}

static int buffer_all(lua_State *L, struct stream *s) {
  int i, top = lua_gettop(L);
  if (bytes_reserve(&s->out->queue, s->out->room - stream_queued(s)) < 0)
    return write_failed(L, s, -ENOMEM, "write", 0);
  for (i = 2; i <= top; i++) {
    size_t len;
    const char *data = lua_tolstring(L, i, &len);
    bytes_append(&s->out->queue, data, len); /* there is room: see above */
  }
  lua_settop(L, 1);
  return 1;
}

static int write_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int r = begin(L, c, w, s, "write");
  if (r == 0 && w->progress == 0 && buffers(L, s))
    return buffer_all(L, s);
  while (r == 0) {
    struct iovec iov[MAX_BLOCKS];
    size_t total;
    int n = gather(L, w->progress, iov, &total);
    ssize_t taken = 0;
    if (n > 0 || stream_unsent(s) > 0) {
      taken = stream_send(s, iov, n);
      r = sent(L, c, w, s, taken, "write");
    }
    if (r == 0 && (size_t)taken == total && stream_unsent(s) == 0 &&
        (total > 0 || n == 0)) {
      lua_pushvalue(L, 1);
      return 1;
    }
    if (r == 0 && c->budget < 0)
      r = lstream_turn(c, w);
  }
  return r;
}

static const struct op write_op = {"write", write_step, NULL};
static const struct op session_write_op = {"write", write_step, interrupted};

static int l_write(lua_State *L) {
  struct stream *s = lstream_open(L);
  int i, top = lua_gettop(L);
  if (s == NULL) {
    lua_pushinteger(L, 0);
    return 4;
  }
  for (i = 2; i <= top; i++) {
    int type = lua_type(L, i);
    if (type == LUA_TNUMBER)
      lua_tolstring(L, i, NULL); /* in place, once */
    else if (type != LUA_TSTRING)
      luaL_typeerror(L, i, "string or number");
  }
  return neap_opon(L, lstream_core(s),
                   s->session == NULL ? &write_op : &session_write_op, s,
                   s->timeout);
}

/* ---- buffering ---- */

static int flush_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int r = begin(L, c, w, s, "flush");
  while (r == 0) {
    if (stream_unsent(s) == 0) {
      lua_settop(L, 1);
      return 1;
    }
    r = sent(L, c, w, s, stream_send(s, NULL, 0), "flush");
  }
  return r;
}

static int l_flush(lua_State *L) {
  static const struct op op = {"flush", flush_step, NULL};
  static const struct op session_op = {"flush", flush_step, interrupted};
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  lua_settop(L, 1);
  return neap_opon(L, lstream_core(s), s->session == NULL ? &op : &session_op,
                   s, s->timeout);
}

/* setvbuf(mode, size) */
static int l_setvbuf(lua_State *L) {
  static const char *const modes[] = {"no", "line", "full", NULL};
  static const enum stream_buffering kinds[] = {BUFFER_NO, BUFFER_LINE,
                                                BUFFER_FULL};
  struct stream *s = lstream_open(L);
  uint32_t room;
  int mode;
  if (s == NULL)
    return 3;
  mode = luaL_checkoption(L, 2, NULL, modes);
  if (lua_isnoneornil(L, 3))
    room = OUT_ROOM;
  else
    room = (uint32_t)neap_checkint(L, 3, 1, 64 * 1024 * 1024);
  if (stream_buffer(s, kinds[mode], room) < 0)
    return neap_fail(L, -ENOMEM, "setvbuf");
  lua_settop(L, 1);
  return 1;
}

/* ---- sendfile ---- */

/* On the stack: stream, file, offset, length or nil, the opened file's box. */
enum { SF_OFFSET = 3, SF_LENGTH = 4, SF_BOX = 5 };

struct box {
  int fd; /* to be closed; -1: the caller's */
  int file;
  struct file *used;    /* is let go then */
  int64_t offset, left; /* left: -1 for up to the end */
  bool copies;          /* the kernel cannot send this */
};

/* Copies a block through the stream's own way of writing. */
static ssize_t copy_block(struct core *c, struct stream *s, struct box *b,
                          size_t want) {
  struct bytes room = {0};
  struct iovec iov;
  ssize_t n;
  if (bytes_borrow(&room, c->scratch) < 0)
    return -ENOMEM;
  n = sys_pread(b->file, room.data, want < FILE_BLOCK ? want : FILE_BLOCK,
                b->offset);
  if (n == -ESPIPE)
    n = -EINVAL; /* what cannot be sought cannot be sent in parts */
  if (n > 0) {
    iov.iov_base = room.data;
    iov.iov_len = (size_t)n;
    n = stream_send(s, &iov, 1);
  }
  bytes_free(&room);
  if (n > 0)
    b->offset += n;
  return n;
}

static ssize_t send_block(struct core *c, struct stream *s, struct box *b) {
  size_t want =
    b->left < 0 || b->left > FILE_MOST ? FILE_MOST : (size_t)b->left;
  ssize_t n;
  if (!b->copies && (s->session == NULL || s->session->direct)) {
    if (!(s->watch.ready & (POLLER_OUT | POLLER_HUP | POLLER_ERR))) {
      s->want = POLLER_OUT;
      return -EAGAIN;
    }
    s->want = POLLER_OUT;
    n = sys_sendfile(s->watch.fd, b->file, &b->offset, want);
    if (n >= 0) {
      s->sent += (uint64_t)n;
      return n;
    }
    if (n == -EAGAIN)
      s->watch.ready &= (uint8_t)~POLLER_OUT;
    if (n != -EINVAL && n != -ENOSYS && n != -EOPNOTSUPP)
      return n;
    b->copies = true;
  }
  return copy_block(c, s, b, want);
}

static int sendfile_done(lua_State *L, struct box *b, size_t total) {
  luaL_Stream *file = luaL_testudata(L, 2, LUA_FILEHANDLE);
  if (file != NULL && file->closef != NULL)
    fseeko(file->f, (off_t)b->offset, SEEK_SET);
  lua_pushinteger(L, (lua_Integer)total);
  return 1;
}

static int sendfile_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  struct box *b = lua_touserdata(L, SF_BOX);
  int r = begin(L, c, w, s, "sendfile");
  while (r == 0) {
    ssize_t n;
    if (stream_unsent(s) > 0) {
      n = stream_send(s, NULL, 0);
    } else if (b->left == 0) {
      return sendfile_done(L, b, w->progress);
    } else {
      n = send_block(c, s, b);
      if (n == 0)
        return sendfile_done(L, b, w->progress); /* the file's end */
      if (n > 0 && b->left > 0)
        b->left -= n;
    }
    r = sent(L, c, w, s, n, "sendfile");
    if (r == 0 && c->budget < 0)
      r = lstream_turn(c, w);
  }
  return r;
}

#define BOX_CLASS "neap.box"

static int box_close(lua_State *L) {
  struct box *b = neap_checkclass(L, 1, BOX_CLASS);
  if (b->fd >= 0)
    sys_close(b->fd);
  b->fd = -1;
  if (b->used != NULL)
    lopenfile_unuse(b->used);
  b->used = NULL;
  return 0;
}

/* Opens the path, or takes the file's descriptor and position. 0 or -errno. */
static int open_box(lua_State *L, struct box *b) {
  luaL_Stream *file = luaL_testudata(L, 2, LUA_FILEHANDLE);
  size_t len;
  b->used = lopenfile_use(L, 2, &b->file);
  if (b->used == NULL && file != NULL) {
    luaL_argcheck(L, file->closef != NULL, 2, "the file is closed");
    fflush(file->f);
    b->offset = (int64_t)ftello(file->f);
    b->fd = b->file = sys_dup(fileno(file->f)); /* it may be closed meanwhile */
    if (b->fd < 0)
      return b->fd;
  } else if (b->used == NULL) {
    const char *path = luaL_checklstring(L, 2, &len);
    luaL_argcheck(L, strlen(path) == len, 2, "the path holds a NUL");
    b->fd = b->file = sys_open(path);
    if (b->fd < 0)
      return b->fd;
  }
  if (!lua_isnil(L, SF_OFFSET))
    b->offset = neap_checkint(L, SF_OFFSET, 0, INT64_MAX);
  if (!lua_isnil(L, SF_LENGTH))
    b->left = neap_checkint(L, SF_LENGTH, 0, INT64_MAX);
  if (b->used == NULL && sys_kind(b->file) != FD_FILE)
    return -EINVAL;
  return b->offset < 0 ? -ESPIPE : 0;
}

/* sendfile(file or path, offset, length) */
static int l_sendfile(lua_State *L) {
  static const struct op op = {"sendfile", sendfile_step, NULL};
  static const struct op session_op = {"sendfile", sendfile_step, interrupted};
  struct stream *s = lstream_open(L);
  struct box *b;
  int err;
  if (s == NULL) {
    lua_pushinteger(L, 0);
    return 4;
  }
  lua_settop(L, 4);
  b = lua_newuserdatauv(L, sizeof *b, 1);
  memset(b, 0, sizeof *b);
  b->fd = -1;
  b->left = -1;
  lua_pushvalue(L, 2); /* what is used is not to be collected */
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, BOX_CLASS);
  lua_toclose(L, SF_BOX);
  err = open_box(L, b);
  if (err < 0) {
    neap_failf(L, err, "sendfile %s", luaL_tolstring(L, 2, NULL));
    lua_pushinteger(L, 0);
    return 4;
  }
  return neap_opon(L, lstream_core(s), s->session == NULL ? &op : &session_op,
                   s, s->timeout);
}

void lwrite_open(lua_State *L) {
  static const luaL_Reg meta[] = {
    {"__close", box_close},
    {"__gc",    box_close},
    {NULL,      NULL     }
  };
  static const luaL_Reg none[] = {
    {NULL, NULL}
  };
  neap_class(L, BOX_CLASS, meta, none);
}

const luaL_Reg lwrite_methods[] = {
  {"write",    l_write   },
  {"flush",    l_flush   },
  {"setvbuf",  l_setvbuf },
  {"sendfile", l_sendfile},
  {NULL,       NULL      }
};
