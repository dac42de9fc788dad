/* SPDX-License-Identifier: MIT
 * Message sockets as userdata: what the files of their methods share. */
#ifndef NEAP_LUA_LMSG_H
#define NEAP_LUA_LMSG_H

#include "base/util.h"
#include "io/msgsock.h"
#include "lua/ltask.h"

#define MSGSOCK_CLASS "neap.message"

/* The user values of one. */
enum {
  LMSG_TAP = 1, /* who is told of each message */
  LMSG_PENDING, /* what came and was not taken yet */
  LMSG_VALUES = LMSG_PENDING
};

enum { LMSG_CONTROL = 512 }; /* room for what comes with a message from afar */

/* A closed one, pushed, with timeout and maxmessage of the options table at
 * `options` (0: none); msgsock_open makes it one that is open. */
struct msgsock *lmsg_new(lua_State *L, struct core *c, enum msgsock_kind kind,
                         int options);

/* The one at an index, or NULL. */
struct msgsock *lmsg_test(lua_State *L, int at);

/* The one at slot 1; raises if that is none. */
struct msgsock *lmsg_check(lua_State *L);

/* The same if it is open; else NULL, and nil, "closed", "ECLOSED" pushed. */
struct msgsock *lmsg_open(lua_State *L);

/* Closes it. Returns 0 or -errno. */
int lmsg_close(struct msgsock *s);

static inline struct msgsock *lmsg_of(const struct wait *w) {
  return (struct msgsock *)w->object;
}

static inline struct core *lmsg_core(const struct msgsock *s) {
  return container_of(s->loop, struct core, loop);
}

/* Pushes nil, "operation address: text", code; returns 3. */
int lmsg_fail(lua_State *L, const struct msgsock *s, int err,
              const char *operation);

/* The beginning of a step that receives, or sends: 0, or what it returns. */
int lmsg_reading(lua_State *L, struct core *c, struct wait *w,
                 struct msgsock *s, const char *operation);
int lmsg_writing(lua_State *L, struct core *c, struct wait *w,
                 struct msgsock *s, const char *operation);

/* Nothing is there: waits. */
int lmsg_awaitin(lua_State *L, struct core *c, struct wait *w,
                 struct msgsock *s, const char *operation);
int lmsg_awaitout(lua_State *L, struct core *c, struct wait *w,
                  struct msgsock *s, const char *operation);

/* Tells the tap of the message: its data and then n values of an address are
 * on top of the stack, which stays as it is. */
void lmsg_tell(lua_State *L, const struct msgsock *s, const char *direction,
               int n);

/* ---- addresses, as each kind has them (lmsgaddr.c) ---- */

/* Pushes what such an address is made of: a message's sender. */
int lmsg_pushaddr(lua_State *L, const struct msgsock *s, struct addr *a);

/* How many values that is. */
int lmsg_addrvalues(const struct msgsock *s);

/* Takes one from the arguments at `arg` on. Returns 0, -errno, or
 * LMSG_ISNAME: the host must be looked up. Raises on what is no address. */
enum { LMSG_ISNAME = 1 };
int lmsg_toaddr(lua_State *L, const struct msgsock *s, int arg, struct addr *a);

/* A Unix path, or raises. */
int lmsg_topath(lua_State *L, int arg, struct addr *a);

/* For messages; with a name where that was looked for. */
const char *lmsg_addrtext(const struct addr *a, char text[ADDR_TEXTLEN]);

/* Calls a Lua function of ours instead: slow(method, sock, ...), with the
 * arguments as they are. What neither waits nor fails never gets here. */
int lmsg_slow(lua_State *L, const char *method);

/* What those come back to, once a name was looked up: they neither look up
 * nor try again. */
int lmsg_sendto_once(lua_State *L);
int lmsg_sendmsg_once(lua_State *L);
int lmsg_sendmany_once(lua_State *L);

/* Functions of the core (lmsgopt.c). */
int lmsg_multicast_interface(lua_State *L);
int lmsg_ifindex(lua_State *L);

/* An interface's number, from a name or a number; raises on what is neither.
 * Returns 0 for nil, -ENODEV if there is none. */
int lmsg_checkinterface(lua_State *L, int arg);

/* Pushes the name of an interface, or its number if it has none any more. */
void lmsg_pushinterface(lua_State *L, struct core *c, unsigned ifindex);

/* ---- what comes with a message (lmsginfo.c) ---- */

/* Pushes the table of a message that was received: of its length, of which
 * there is a part. */
void lmsg_pushinfo(lua_State *L, struct msgsock *s, struct sock_msg *m,
                   size_t length, size_t have);

/* Replaces the table at 3 of sendmsg(data, info) by: address bytes or nil,
 * control data or nil, a segment's length or 0, and the table. */
int lmsg_prepare(lua_State *L, struct msgsock *s);

/* Pushes "aa:bb:cc:dd:ee:ff". */
void lmsg_pushmac(lua_State *L, const unsigned char *mac, size_t len);

/* Sets what an address says of a packet in the table on top (lpacket.c). */
void lmsg_setpacket(lua_State *L, struct msgsock *s, const struct addr *a);

/* ---- datagrams that came as one (lmsgpending.c) ---- */

/* Keeps them, to be taken one by one. */
void lmsg_setpending(lua_State *L, struct msgsock *s,
                     const struct sock_one *one);

/* Pushes the next of them; returns its length, and whose it is. */
size_t lmsg_nextpending(lua_State *L, struct msgsock *s, struct addr *from);

/* Pushes the next of them, up to max bytes, and its info. Returns 2. */
int lmsg_nextpendinginfo(lua_State *L, struct msgsock *s, size_t max);

/* Raises if the message would be taken for the end. */
void lmsg_checkempty(lua_State *L, const struct msgsock *s, int at);

/* The methods, by file. */
extern const luaL_Reg lmsgrecv_methods[], lmsgsend_methods[],
  lmsgmany_methods[], lmsgsendmany_methods[], lmsgopt_methods[];

/* Functions of the core for sockets that are made of these (lmsgtake.c). */
extern const luaL_Reg lmsgtake_functions[];

#endif
