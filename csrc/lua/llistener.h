/* SPDX-License-Identifier: MIT
 * Listeners as userdata: what the files about them share. */
#ifndef NEAP_LUA_LLISTENER_H
#define NEAP_LUA_LLISTENER_H

#include "lua/lstream.h"
#include "sys/setup.h"

#define LISTENER_CLASS "neap.listener"

struct listener {
  struct watch watch;
  struct lock acceptor;
  struct stream like;   /* what accepted streams begin with */
  struct sys_file file; /* the Unix path that it made */
  struct addr path;     /* len 0: none to unlink */
  int64_t timeout;      /* of accept */
  uint32_t turn;        /* of the loop, at the last accept */
  uint32_t run;         /* accepted since it was last found empty */
  enum fd_kind kind;
  bool shortdrains;
  bool bursts; /* more than one comes at a time */
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

/* Unlinks the path that it made, if it still is its own. */
void listener_unlink(struct listener *l);

/* Each adds its functions to the table on top of the stack. */
void listener_open_making(lua_State *L); /* llisten.c */
void listener_open_serve(lua_State *L);  /* lserve.c */

#endif
