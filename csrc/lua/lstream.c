/* SPDX-License-Identifier: MIT
 * The class of streams: making, naming and tuning them. */
#include "lua/lstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "sys/addr.h"
#include "sys/sock.h"

const char stream_class[] = STREAM_CLASS;

static const char mark = 's';

struct stream *lstream_new(lua_State *L, struct core *c) {
  struct stream *s;
  core_checkopen(L, c);
  core_needscratch(L, c);
  s = lua_newuserdatauv(L, sizeof *s, 0);
  stream_init(s);
  s->magic = &mark;
  s->loop = &c->loop;
  core_setclass(L, stream_class);
  return s;
}

/* By size and a mark that only streams that live carry: this is on the way
 * of every line, and asking for the metatable takes four times as long. */
struct stream *lstream_check(lua_State *L) {
  struct stream *s = lua_touserdata(L, 1);
  if (s != NULL && lua_rawlen(L, 1) == sizeof *s && s->magic == &mark)
    return s;
  return luaL_checkudata(L, 1, STREAM_CLASS);
}

struct stream *lstream_open(lua_State *L) {
  struct stream *s = lstream_check(L);
  if (stream_isopen(s))
    return s;
  neap_fail(L, ERR_CLOSED, NULL);
  return NULL;
}

/* As the session tells it. */
static int session_failed(lua_State *L, const struct stream *s,
                          const char *operation) {
  const char *code, *why = s->session->ops->why(s->session, &code);
  const char *peer = stream_peer(s);
  char text[ADDR_TEXTLEN];
  struct addr a;
  if (peer == NULL && s->watch.fd >= 0 && s->kind <= FD_UNIX &&
      sock_peername(s->watch.fd, &a) == 0)
    peer = addr_text(&a, text);
  luaL_pushfail(L);
  lua_pushfstring(L, peer != NULL ? "%s %s: %s" : "%s%s: %s", operation,
                  peer != NULL ? peer : "", why);
  lua_pushstring(L, code);
  return 3;
}

int lstream_fail(lua_State *L, const struct stream *s, int err,
                 const char *operation) {
  char text[ADDR_TEXTLEN] = "";
  const char *path;
  struct addr a;
  bool peer;
  if (err == ERR_EOF || err == ERR_CLOSED)
    return neap_fail(L, err, NULL);
  if (err == ERR_CHANNEL && s->session != NULL)
    return session_failed(L, s, operation);
  if (stream_peer(s) != NULL)
    return neap_failf(L, err, "%s %s", operation, stream_peer(s));
  if (s->watch.fd < 0 || s->kind > FD_UNIX)
    return neap_fail(L, err, operation);
  /* After a reset the peer has no name any more: our own tells something. */
  peer = sock_peername(s->watch.fd, &a) == 0;
  if ((peer || sock_name(s->watch.fd, &a) == 0) && addr_path(&a, &path) != 0)
    addr_text(&a, text);
  if (*text == '\0')
    return neap_fail(L, err, operation);
  return neap_failf(L, err, peer ? "%s %s" : "%s at %s", operation, text);
}

int lstream_turn(struct core *c, struct wait *w) {
  await_wake(c, w, NULL, true);
  loop_wake(&c->loop, w, 0);
  return OP_WAIT;
}

int lstream_await(lua_State *L, struct core *c, struct wait *w,
                  struct stream *s, const char *operation) {
  int err;
  if (s->session != NULL && s->session->more) {
    s->session->more = false;
    return lstream_turn(c, w);
  }
  err = await_watch(c, w, &s->watch, s->want);
  return err < 0 ? lstream_fail(L, s, err, operation) : OP_WAIT;
}

static uint32_t option_size(lua_State *L, int arg, const char *name,
                            uint32_t otherwise) {
  lua_Integer n;
  int isint;
  if (lua_getfield(L, arg, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return otherwise;
  }
  n = lua_tointegerx(L, -1, &isint);
  if (!isint || lua_type(L, -1) != LUA_TNUMBER || n < 1 ||
      n > (lua_Integer)BYTES_MAX)
    luaL_error(L, "option '%s' must be an integer in [1, %I]", name,
               (LUAI_UACINT)BYTES_MAX);
  lua_pop(L, 1);
  return (uint32_t)n;
}

void lstream_options(lua_State *L, int arg, struct stream *s) {
  if (lua_isnoneornil(L, arg))
    return;
  s->maxline = option_size(L, arg, "maxline", s->maxline);
  s->maxread = option_size(L, arg, "maxread", s->maxread);
  lua_getfield(L, arg, "timeout");
  s->timeout = neap_opttimeout(L, lua_gettop(L));
  lua_pop(L, 1);
}

int lstream_name(lua_State *L, int fd, bool peer) {
  struct addr a;
  int err = peer ? sock_peername(fd, &a) : sock_name(fd, &a);
  return err < 0 ? neap_fail(L, err, peer ? "getpeername" : "getsockname")
                 : laddr_push(L, &a);
}

/* ---- methods ---- */

static int l_settimeout(lua_State *L) {
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  s->timeout = neap_opttimeout(L, 2);
  lua_settop(L, 1);
  return 1;
}

static int l_gettimeout(lua_State *L) {
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  if (s->timeout == SYS_FOREVER)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)s->timeout / 1e9);
  return 1;
}

static int name_of(lua_State *L, bool peer) {
  struct stream *s = lstream_open(L);
  if (s != NULL && s->watch.hollow)
    return lover_instead(L, peer ? "getpeername" : "getsockname");
  return s == NULL ? 3 : lstream_name(L, s->watch.fd, peer);
}

static int l_getsockname(lua_State *L) {
  return name_of(L, false);
}

static int l_getpeername(lua_State *L) {
  return name_of(L, true);
}

static int l_setsockopt(lua_State *L) {
  struct stream *s = lstream_open(L);
  int n;
  if (s == NULL)
    return 3;
  if (s->watch.hollow)
    return lover_instead(L, "setsockopt");
  n = lsockopt_set(L, s->watch.fd, 2);
  if (n == 3)
    return n;
  lua_settop(L, 1);
  return 1;
}

static int l_getsockopt(lua_State *L) {
  struct stream *s = lstream_open(L);
  if (s != NULL && s->watch.hollow)
    return lover_instead(L, "getsockopt");
  return s == NULL ? 3 : lsockopt_get(L, s->watch.fd, 2);
}

static int l_fileno(lua_State *L) {
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  s->watch.shared = true; /* it may be duplicated now */
  if (s->watch.hollow && s->watch.ready & POLLER_IN)
    sys_raise(s->watch.fd);
  lua_pushinteger(L, s->watch.fd);
  return 1;
}

/* detach(): the descriptor, and what was received but not yet read. */
static int l_detach(lua_State *L) {
  struct core *c = neap_core(L);
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  if (s->session != NULL) /* what is left of it means nothing to others */
    return lstream_fail(L, s, -EOPNOTSUPP, "detach");
  if (stream_unsent(s) > 0)
    return neap_fail(L, -EBUSY, "detach: flush first");
  lua_pushinteger(L, s->watch.fd);
  lua_pushlstring(L, bytes_len(&s->in) > 0 ? bytes_head(&s->in) : "",
                  bytes_len(&s->in));
  stream_detach(s, &c->loop);
  return 2;
}

static int l_counters(lua_State *L) {
  struct stream *s = lstream_check(L);
  lua_pushinteger(L, (lua_Integer)s->received);
  lua_pushinteger(L, (lua_Integer)s->sent);
  return 2;
}

static int l_pending(lua_State *L) {
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return 3;
  lua_pushinteger(L, (lua_Integer)bytes_len(&s->in));
  return 1;
}

static int l_isopen(lua_State *L) {
  lua_pushboolean(L, stream_isopen(lstream_check(L)));
  return 1;
}

static int l_tostring(lua_State *L) {
  struct stream *s = lstream_check(L);
  if (!stream_isopen(s))
    lua_pushliteral(L, STREAM_CLASS " (closed)");
  else
    lua_pushfstring(L, STREAM_CLASS " (%s %d)", stream_kindname(s),
                    s->watch.fd);
  return 1;
}

/* send_more(stream): what is written next goes with what follows it. */
static int l_send_more(lua_State *L) {
  struct stream *s = lstream_open(L);
  if (s != NULL)
    s->more = true;
  return 0;
}

/* ---- adopting ---- */

/* stream(fd, options): takes the descriptor over. */
static int l_adopt(lua_State *L) {
  struct core *c = neap_core(L);
  int fd = neap_checkfd(L, 1);
  struct stream *s = lstream_new(L, c);
  int err, kind = sys_kind(fd);
  lstream_options(L, 2, s);
  if (kind < 0)
    return neap_failf(L, kind, "stream %d", fd);
  err = kind == FD_FILE ? 0 : sys_nonblock(fd);
  if (err < 0)
    return neap_failf(L, err, "stream %d", fd);
  stream_open(s, fd, (enum fd_kind)kind, false);
  s->blocked = err > 0;
  s->watch.shared = true; /* who knows its duplicates? */
  return 1;
}

void neap_open_stream(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"adopt",     l_adopt    },
    {"send_more", l_send_more},
    {NULL,        NULL       }
  };
  static const luaL_Reg meta[] = {
    {"__gc",       lend_gc   },
    {"__close",    lend_close},
    {"__tostring", l_tostring},
    {NULL,         NULL      }
  };
  static const luaL_Reg methods[] = {
    {"settimeout",  l_settimeout },
    {"gettimeout",  l_gettimeout },
    {"getsockname", l_getsockname},
    {"getpeername", l_getpeername},
    {"setsockopt",  l_setsockopt },
    {"getsockopt",  l_getsockopt },
    {"fileno",      l_fileno     },
    {"detach",      l_detach     },
    {"counters",    l_counters   },
    {"pending",     l_pending    },
    {"isopen",      l_isopen     },
    {NULL,          NULL         }
  };
  neap_class(L, stream_class, meta, methods);
  luaL_getmetatable(L, STREAM_CLASS);
  lua_getfield(L, -1, "__index");
  neap_setfuncs(L, lread_methods);
  neap_setfuncs(L, lreceive_methods);
  neap_setfuncs(L, lwrite_methods);
  neap_setfuncs(L, lpass_methods);
  neap_setfuncs(L, lend_methods);
  neap_setfuncs(L, lrecord_methods);
  lua_setfield(L, -3, "streams"); /* for the methods that are Lua */
  lua_pop(L, 1);
  lwrite_open(L);
  neap_setfuncs(L, functions);
}
