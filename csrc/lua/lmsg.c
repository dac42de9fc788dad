/* SPDX-License-Identifier: MIT
 * The class of message sockets: making, naming and closing them. */
#include "lua/lmsg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "lua/laddr.h"
#include "lua/lpacket.h"
#include "lua/lsocket.h"
#include "sys/fd.h"

static const char mark = 'm';
static const char msgsock_class[] = MSGSOCK_CLASS;

/* ---- making ---- */

static void options(lua_State *L, int at, struct msgsock *s) {
  if (at == 0 || !lua_istable(L, at))
    return;
  lua_getfield(L, at, "timeout");
  s->timeout = neap_opttimeout(L, lua_gettop(L));
  if (lua_getfield(L, at, "maxmessage") != LUA_TNIL)
    s->maxmessage = (uint32_t)neap_checkint(L, lua_gettop(L), 1, 1 << 30);
  lua_pop(L, 2);
}

struct msgsock *lmsg_new(lua_State *L, struct core *c, enum msgsock_kind kind,
                         int at) {
  struct msgsock *s;
  core_checkopen(L, c);
  core_needscratch(L, c);
  s = lua_newuserdatauv(L, sizeof *s, LMSG_VALUES);
  msgsock_init(s, kind);
  s->magic = &mark;
  s->loop = &c->loop;
  core_setclass(L, msgsock_class);
  options(L, at, s);
  return s;
}

static enum msgsock_kind check_kind(lua_State *L, int arg) {
  static const char *const names[] = {"udp",    "unix", "seqpacket", "raw",
                                      "packet", "tun",  NULL};
  return (enum msgsock_kind)luaL_checkoption(L, arg, NULL, names);
}

/* message(kind, family, type, protocol, options): a socket that is neither
 * bound nor connected. */
static int l_message(lua_State *L) {
  enum msgsock_kind kind = check_kind(L, 1);
  int family = laddr_checkfamily(L, 2);
  int type = (int)neap_checkint(L, 3, 0, INT32_MAX);
  int protocol = (int)neap_checkint(L, 4, 0, INT32_MAX);
  struct msgsock *s = lmsg_new(L, neap_core(L), kind, 5);
  int fd = sock_open(family, type, protocol);
  if (fd < 0)
    return neap_fail(L, fd, "socket");
  msgsock_open(s, fd, family);
  if (kind == MSGSOCK_UDP || kind == MSGSOCK_RAW)
    msgsock_askinfo(s);
  return 1;
}

/* message_pair(kind, type, options): two that are connected. */
static int l_message_pair(lua_State *L) {
  struct core *c = neap_core(L);
  enum msgsock_kind kind = check_kind(L, 1);
  int type = (int)neap_checkint(L, 2, 0, INT32_MAX);
  struct msgsock *a = lmsg_new(L, c, kind, 3);
  struct msgsock *b = lmsg_new(L, c, kind, 3);
  int fds[2], err = sock_pair(AF_UNIX, type, 0, fds);
  if (err < 0)
    return neap_fail(L, err, "socketpair");
  msgsock_open(a, fds[0], AF_UNIX);
  msgsock_open(b, fds[1], AF_UNIX);
  return 2;
}

/* Is the descriptor a socket of this kind? What sends bytes without borders
 * would be cut, and lost, where a message is expected. A raw socket may be one
 * for ping. Returns 0 or -errno. */
static int check_socket(enum msgsock_kind kind, int fd, struct addr *a) {
  bool local = kind == MSGSOCK_UNIX || kind == MSGSOCK_SEQPACKET;
  int type = sock_type(fd), err = sock_name(fd, a);
  int family = addr_family(a);
  if (type < 0 || err < 0)
    return type < 0 ? type : err;
  if (kind == MSGSOCK_SEQPACKET
        ? type != SOCK_SEQPACKET
        : type != SOCK_DGRAM && (kind != MSGSOCK_RAW || type != SOCK_RAW))
    return -EINVAL;
  if (local ? family != AF_UNIX : family != AF_INET && family != AF_INET6)
    return -EINVAL;
  return 0;
}

/* message_fd(kind, fd, options): of a descriptor, which it owns then. */
static int l_message_fd(lua_State *L) {
  enum msgsock_kind kind = check_kind(L, 1);
  int fd = neap_checkfd(L, 2);
  struct msgsock *s = lmsg_new(L, neap_core(L), kind, 3);
  struct addr a = {.len = 0};
  int err = kind == MSGSOCK_TUN || kind == MSGSOCK_PACKET
              ? -EOPNOTSUPP
              : check_socket(kind, fd, &a);
  if (err == 0)
    err = sys_nonblock(fd);
  if (err < 0)
    return neap_failf(L, err, "descriptor %d", fd);
  msgsock_open(s, fd, addr_family(&a));
  s->connected = sock_peername(fd, &a) == 0;
  s->gro = kind == MSGSOCK_UDP && msgsock_getgro(s);
  s->watch.shared = true;
  if (kind == MSGSOCK_UDP || kind == MSGSOCK_RAW)
    msgsock_askinfo(s);
  return 1;
}

/* ---- what it is ---- */

/* By size and a mark, as a stream is. */
struct msgsock *lmsg_test(lua_State *L, int at) {
  struct msgsock *s = lua_touserdata(L, at);
  return s != NULL && lua_rawlen(L, at) == sizeof *s && s->magic == &mark
           ? s
           : NULL;
}

struct msgsock *lmsg_check(lua_State *L) {
  struct msgsock *s = lmsg_test(L, 1);
  return s != NULL ? s : luaL_checkudata(L, 1, MSGSOCK_CLASS);
}

struct msgsock *lmsg_open(lua_State *L) {
  struct msgsock *s = lmsg_check(L);
  if (msgsock_isopen(s))
    return s;
  neap_fail(L, ERR_CLOSED, NULL);
  return NULL;
}

int lmsg_fail(lua_State *L, const struct msgsock *s, int err,
              const char *operation) {
  char text[ADDR_TEXTLEN] = "";
  struct addr a;
  bool peer;
  if (err == ERR_EOF || err == ERR_CLOSED)
    return neap_fail(L, err, NULL);
  if (!msgsock_isopen(s) || s->kind == MSGSOCK_TUN)
    return neap_fail(L, err, operation);
  peer = sock_peername(s->watch.fd, &a) == 0;
  if (peer || sock_name(s->watch.fd, &a) == 0)
    lmsg_addrtext(&a, text);
  if (*text == '\0')
    return neap_fail(L, err, operation);
  return neap_failf(L, err, peer ? "%s %s" : "%s at %s", operation, text);
}

/* ---- steps ---- */

int lmsg_reading(lua_State *L, struct core *c, struct wait *w,
                 struct msgsock *s, const char *operation) {
  if (!msgsock_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return lmsg_fail(L, s, w->result, operation);
  if (lock_take(&s->reader, w))
    return 0;
  await_wake(c, w, &s->reader.queue, true);
  return OP_WAIT;
}

int lmsg_writing(lua_State *L, struct core *c, struct wait *w,
                 struct msgsock *s, const char *operation) {
  if (!msgsock_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  if (w->result < 0)
    return lmsg_fail(L, s, w->result, operation);
  if (lock_take(&s->writer, w))
    return 0;
  await_wake(c, w, &s->writer.queue, true);
  return OP_WAIT;
}

int lmsg_awaitin(lua_State *L, struct core *c, struct wait *w,
                 struct msgsock *s, const char *operation) {
  int err;
  if (!msgsock_isopen(s)) /* its tap closed it */
    return neap_fail(L, ERR_CLOSED, NULL);
  pace_empty(&s->pace, &s->watch);
  if (s->ended || s->watch.ready & POLLER_HUP) {
    s->watch.ready &= (uint8_t)~POLLER_HUP; /* or another who has it ended it */
    return neap_fail(L, ERR_EOF, NULL);
  }
  msgsock_calm(s);
  err = await_watch(c, w, &s->watch, POLLER_IN);
  return err < 0 ? lmsg_fail(L, s, err, operation) : OP_WAIT;
}

int lmsg_awaitout(lua_State *L, struct core *c, struct wait *w,
                  struct msgsock *s, const char *operation) {
  int err;
  if (!msgsock_isopen(s))
    return neap_fail(L, ERR_CLOSED, NULL);
  s->watch.ready &= (uint8_t)~POLLER_OUT;
  msgsock_calm(s);
  err = await_watch(c, w, &s->watch, POLLER_OUT);
  return err < 0 ? lmsg_fail(L, s, err, operation) : OP_WAIT;
}

/* ---- the tap ---- */

static int l_settap(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  if (!lua_isnoneornil(L, 2))
    luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  s->tapped = lua_toboolean(L, 2);
  lua_setiuservalue(L, 1, LMSG_TAP);
  return 1;
}

/* A tap must not disturb: one that raises is taken away, and onerror told. */
void lmsg_tell(lua_State *L, const struct msgsock *s, const char *direction,
               int n) {
  struct core *c = lmsg_core(s);
  int first = lua_gettop(L) - n, i, err;
  bool driven;
  luaL_checkstack(L, n + 8, NULL);
  lua_getiuservalue(L, 1, LMSG_TAP);
  lua_pushstring(L, direction);
  for (i = 0; i <= n; i++)
    lua_pushvalue(L, first + i);
  driven = c->driving;
  c->driving = true; /* it cannot wait, at top level neither */
  err = lua_pcall(L, n + 2, 0, 0);
  c->driving = driven;
  if (err == LUA_OK)
    return;
  ((struct msgsock *)s)->tapped = false;
  core_value(L, CORE_MODULE);
  if (lua_getfield(L, -1, "onerror") == LUA_TFUNCTION) {
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -4);
    lua_pushliteral(L, "");
    if (lua_pcall(L, 3, 0, 0) != LUA_OK)
      lua_pop(L, 1);
  } else {
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

/* ---- the end ---- */

int lmsg_close(struct msgsock *s) {
  int fd;
  if (s->ring != NULL) {
    ring_close(s->ring);
    free(s->ring);
    s->ring = NULL;
  }
  fd = msgsock_leave(s, true);
  return fd < 0 ? 0 : sys_close(fd);
}

static int l_close(lua_State *L) {
  return neap_result(L, lmsg_close(lmsg_check(L)), "close");
}

static int l_detach(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  if (s->ring != NULL || s->npending > 0)
    return lmsg_fail(L, s, -EBUSY, "detach");
  if (s->gro && !s->joined) /* who has it next does not expect it */
    msgsock_setgro(s, false);
  lua_pushinteger(L, msgsock_leave(s, false));
  return 1;
}

static int l_fileno(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  s->watch.shared = true;
  lua_pushinteger(L, s->watch.fd);
  return 1;
}

static int l_isopen(lua_State *L) {
  lua_pushboolean(L, msgsock_isopen(lmsg_check(L)));
  return 1;
}

static int l_tostring(lua_State *L) {
  struct msgsock *s = lmsg_check(L);
  if (msgsock_isopen(s))
    lua_pushfstring(L, "neap.%s (%d)", msgsock_kindname(s), s->watch.fd);
  else
    lua_pushfstring(L, "neap.%s (closed)", msgsock_kindname(s));
  return 1;
}

static int l_kind(lua_State *L) {
  struct msgsock *s = lmsg_check(L);
  lua_pushstring(L, msgsock_kindname(s));
  return 1;
}

static int l_family(lua_State *L) {
  struct msgsock *s = lmsg_check(L);
  lua_pushstring(L, laddr_familyname(s->family)); /* nil for others */
  return 1;
}

static int l_counters(lua_State *L) {
  const struct msgsock *s = lmsg_check(L);
  lua_pushinteger(L, (lua_Integer)s->received);
  lua_pushinteger(L, (lua_Integer)s->receivedbytes);
  lua_pushinteger(L, (lua_Integer)s->sent);
  lua_pushinteger(L, (lua_Integer)s->sentbytes);
  lua_pushinteger(L, (lua_Integer)s->oversized);
  return 5;
}

static int l_settimeout(lua_State *L) {
  struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  s->timeout = neap_opttimeout(L, 2);
  lua_settop(L, 1);
  return 1;
}

static int l_gettimeout(lua_State *L) {
  const struct msgsock *s = lmsg_open(L);
  if (s == NULL)
    return 3;
  if (s->timeout == SYS_FOREVER)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)s->timeout / 1e9);
  return 1;
}

void neap_open_message(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"message",                     l_message               },
    {"message_pair",                l_message_pair          },
    {"message_fd",                  l_message_fd            },
    {"message_sendto",              lmsg_sendto_once        },
    {"message_sendmsg",             lmsg_sendmsg_once       },
    {"message_sendmany",            lmsg_sendmany_once      },
    {"message_multicast_interface", lmsg_multicast_interface},
    {"ifindex",                     lmsg_ifindex            },
    {NULL,                          NULL                    }
  };
  static const luaL_Reg meta[] = {
    {"__gc",       l_close   },
    {"__close",    l_close   },
    {"__tostring", l_tostring},
    {NULL,         NULL      }
  };
  static const luaL_Reg methods[] = {
    {"settap",     l_settap    },
    {"counters",   l_counters  },
    {"settimeout", l_settimeout},
    {"gettimeout", l_gettimeout},
    {"fileno",     l_fileno    },
    {"detach",     l_detach    },
    {"isopen",     l_isopen    },
    {"kind",       l_kind      },
    {"family",     l_family    },
    {"close",      l_close     },
    {NULL,         NULL        }
  };
  static const luaL_Reg *const more[] = {lmsgrecv_methods, lmsgsend_methods,
                                         lmsgmany_methods, lmsgsendmany_methods,
                                         lmsgopt_methods,  lpacket_methods};
  size_t i;
  room_open(L); /* or what it holds would be lost where Lua raises */
  neap_class(L, msgsock_class, meta, methods);
  lua_rawgetp(L, LUA_REGISTRYINDEX, msgsock_class);
  lua_getfield(L, -1, "__index");
  for (i = 0; i < countof(more); i++)
    neap_setfuncs(L, more[i]);
  lua_setfield(L, -3, "messages"); /* for the methods that are Lua */
  lua_pop(L, 1);
  neap_setfuncs(L, functions);
  neap_setfuncs(L, lmsgtake_functions);
}
