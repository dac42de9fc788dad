/* SPDX-License-Identifier: MIT
 * neap.socket's class: Berkeley's calls by their own names. */
#ifndef NEAP_LUA_LSOCKET_H
#define NEAP_LUA_LSOCKET_H

#include "lua/ltask.h"
#include "sys/sock.h"

#define SOCKET_CLASS "neap.socket"

struct lsocket {
  struct watch watch; /* its fd is -1 when the socket is closed */
  struct core *core;
  int64_t timeout;
  int type; /* SOCK_STREAM and so on */
};

/* Pushes a closed one; its descriptor is set by socket_set. */
struct lsocket *socket_new(lua_State *L);
void socket_set(struct lsocket *s, int fd, int type);

/* Argument 1, open or not. */
struct lsocket *socket_check(lua_State *L);

/* Runs a step of a call on the socket at 1: under the one rule of waiting, or
 * at once (with a NULL wait) if the flags have MSG_DONTWAIT. */
int socket_op(lua_State *L, const struct op *op, int flags);

/* The beginning of each step: 0, or why it cannot go on. */
int socket_ready(const struct lsocket *s, const struct wait *w);

/* The call failed with err: waits if it would only have to wait. */
int socket_wait(lua_State *L, struct wait *w, struct lsocket *s, int err,
                unsigned want, const char *name);

/* The socket itself, for a chain of calls; or err, with the address if there
 * is one. */
int socket_self(lua_State *L, int err, const char *name, const struct addr *a);

/* Flags at arg, which becomes an integer; raises on what cannot be kept. */
int socket_optflags(lua_State *L, int arg);

/* Where messages are received and control data is put together: one for each
 * Lua state, or another one while that is taken or too small. Nothing may
 * wait while it is taken. If Lua raises meanwhile the collector frees it, and
 * closes the descriptors in it. */
struct room {
  size_t data, control; /* sizes */
  size_t nfds;
  int *fds; /* as many as the control data could bring */
  char *controldata, *bytes;
};

enum { ROOM_DATA = 65536, ROOM_CONTROL = 4096, ROOM_MAX = 1 << 30 };

/* Pushes one; its control data is all zero. */
struct room *room_take(lua_State *L, size_t data, size_t control);

/* Gives back the one at this index. Its descriptors are not in it any more:
 * they are the caller's. */
void room_give(lua_State *L, int at);
void room_open(lua_State *L);

/* What recvmsg filled into a room: its descriptors are made safe first, then
 * a list is pushed. */
void control_collect(const struct sock_msg *m, struct room *r);
void control_push(lua_State *L, const struct sock_msg *m);

/* Encodes the list on top of the stack into the room. Returns its bytes;
 * raises, as for this argument, on what is no control data. */
size_t control_check(lua_State *L, int arg, struct room *r);

/* Each adds its functions to the table on top. */
void socket_open_options(lua_State *L);
void socket_open_io(lua_State *L);
void socket_open_msg(lua_State *L);
void socket_open_poll(lua_State *L);

#endif
