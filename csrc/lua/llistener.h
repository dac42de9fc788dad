/* SPDX-License-Identifier: MIT
 * Listeners as userdata: what the files about them share. */
#ifndef NEAP_LUA_LLISTENER_H
#define NEAP_LUA_LLISTENER_H

#include "io/ownpath.h"
#include "lua/lstream.h"

#define LISTENER_CLASS "neap.listener"

struct listener {
  struct watch watch;
  struct lock acceptor;
  struct stream like; /* what accepted streams begin with */
  struct ownpath own; /* the Unix path that it made */
  int64_t timeout;    /* of accept */
  struct pace pace;
  enum fd_kind kind;
  bool shortdrains;
  bool messages;       /* what it accepts are message sockets */
  uint32_t maxmessage; /* of those; 0: the default */
};

/* A closed listener, pushed; the streams that it accepts take their options
 * from the table at `options`. */
struct listener *listener_new(lua_State *L, int options);

/* The descriptor, which listens or soon will, is the listener's. */
void listener_opened(struct listener *l, int fd, enum fd_kind kind);

/* Lets go of the descriptor; who accepts wakes with ERR_CLOSED. A path that it
 * made is unlinked if it is closed. Returns the descriptor, -1 if it had
 * none. */
int listener_leave(struct core *c, struct listener *l, bool closing);

/* Accepts one connection, in a step: pushes its stream and returns 1, or
 * OP_WAIT, or pushes a failure and returns 3. */
int listener_accept(lua_State *L, struct core *c, struct wait *w,
                    struct listener *l);

/* Each adds its functions to the table on top of the stack. */
void listener_open_making(lua_State *L); /* llisten.c */
void listener_open_serve(lua_State *L);  /* lserve.c */

#endif
