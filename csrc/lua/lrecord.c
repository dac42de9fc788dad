/* SPDX-License-Identifier: MIT
 * Sending and receiving where messages keep their borders: SCTP, SPX. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "io/record.h"
#include "lua/laddr.h"
#include "lua/lread.h"
#include "lua/lstream.h"

enum { RECORD_COST = 8 }; /* of the budget, for a system call */

/* ---- what goes with a message, from a table ---- */

enum field_kind {
  FIELD_U8,
  FIELD_U16,
  FIELD_U32,
  FIELD_FLAG,
  FIELD_POLICY,
  FIELD_LIFETIME, /* seconds */
  FIELD_IP,
  FIELD_PORT
};

static const struct field {
  const char *name;
  enum field_kind kind;
  int of;       /* enum record_kind; -1: of all */
  size_t where; /* in struct record; or the flag, the policy */
} fields[] = {
  {"stream",                FIELD_U16,   RECORD_SCTP,       offsetof(struct record,              stream)},
  {"ppid",                       FIELD_U32,                             RECORD_SCTP,               offsetof(struct record,           ppid)},
  {"context",                  FIELD_U32,                             RECORD_SCTP,                                      offsetof(struct record,                                     context)},
  {"association", FIELD_U32,    RECORD_SCTP,offsetof(struct record,association)},
  {"key",            FIELD_U16,RECORD_SCTP,                    offsetof(struct record,                                                                                     key)},
  {"type",   FIELD_U8,      RECORD_SPX,offsetof(struct record,type)},
  {"eor",                  FIELD_FLAG,                   -1,                     RECORD_END                                                    },
  {"unordered",                       FIELD_FLAG,                              RECORD_SCTP,                    RECORD_UNORDERED                                  },
  {"abort",                       FIELD_FLAG,                        RECORD_SCTP,         RECORD_ABORT},
  {"eof",                       FIELD_FLAG,                            RECORD_SCTP,             RECORD_SHUTDOWN},
  {"immediate",                       FIELD_FLAG,                              RECORD_SCTP,               RECORD_IMMEDIATE                                                            },
  {"lifetime",                       FIELD_LIFETIME,                        RECORD_SCTP,         RECORD_LIFETIME                        },
  {"retransmissions",                       FIELD_POLICY,                         RECORD_SCTP,      RECORD_RETRANSMISSIONS},
  {"priority",                       FIELD_POLICY,                  RECORD_SCTP, RECORD_PRIORITY},
  {"ip",                       FIELD_IP,                         RECORD_SCTP,        0                                                                    },
  {"port",                       FIELD_PORT,                               RECORD_SCTP,                  0                                         },
};

static const struct field *field_of(lua_State *L, const char *name, int kind) {
  size_t i;
  for (i = 0; i < countof(fields); i++)
    if ((fields[i].of == kind || fields[i].of < 0) &&
        strcmp(fields[i].name, name) == 0)
      return &fields[i];
  luaL_error(L, "bad argument #2 (unknown field '%s')", name);
  return NULL;
}

/* The integer on top, in [0, most]. */
static uint32_t whole(lua_State *L, const char *name, uint32_t most) {
  int isint;
  lua_Integer n = lua_tointegerx(L, -1, &isint);
  if (!isint || lua_type(L, -1) != LUA_TNUMBER || n < 0 || n > most)
    luaL_error(L, "bad argument #2 ('%s' must be an integer in [0, %I])", name,
               (LUAI_UACINT)most);
  return (uint32_t)n;
}

static uint32_t milliseconds(lua_State *L, const char *name) {
  lua_Number n = lua_tonumber(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || !(n > 0 && n <= 4000000))
    luaL_error(L, "bad argument #2 ('%s' must be a number of seconds)", name);
  return n < 0.001 ? 1 : (uint32_t)(n * 1000);
}

static void set_policy(lua_State *L, struct record *r,
                       enum record_policy policy, uint32_t value) {
  if (r->policy != RECORD_RELIABLE)
    luaL_error(L, "bad argument #2 (only one of 'lifetime', 'retransmissions' "
                  "and 'priority')");
  r->policy = (uint8_t)policy;
  r->value = value;
}

/* The value on top goes where the field belongs. */
static void set_field(lua_State *L, struct record *r, const struct field *f) {
  char *at = (char *)r + f->where;
  uint16_t n16;
  uint32_t n32;
  switch (f->kind) {
  case FIELD_U8:
    *at = (char)whole(L, f->name, UINT8_MAX);
    break;
  case FIELD_U16:
    n16 = (uint16_t)whole(L, f->name, UINT16_MAX);
    memcpy(at, &n16, sizeof n16);
    break;
  case FIELD_U32:
    n32 = whole(L, f->name, UINT32_MAX);
    memcpy(at, &n32, sizeof n32);
    break;
  case FIELD_FLAG:
    if (lua_type(L, -1) != LUA_TBOOLEAN)
      luaL_error(L, "bad argument #2 ('%s' must be a boolean)", f->name);
    r->flags = (uint16_t)(lua_toboolean(L, -1) ? r->flags | f->where
                                               : r->flags & ~f->where);
    break;
  case FIELD_POLICY:
    set_policy(L, r, (enum record_policy)f->where,
               whole(L, f->name, UINT32_MAX));
    break;
  case FIELD_LIFETIME:
    set_policy(L, r, RECORD_LIFETIME, milliseconds(L, f->name));
    break;
  case FIELD_IP:
  case FIELD_PORT:
    break; /* both at once: see below */
  }
}

static void set_address(lua_State *L, int arg, struct record *r) {
  size_t len;
  const char *ip;
  lua_getfield(L, arg, "port");
  lua_getfield(L, arg, "ip");
  ip = lua_tolstring(L, -1, &len);
  if (ip == NULL || addr_ip(&r->addr, ip, len, 0) < 0)
    luaL_error(L, "bad argument #2 ('ip' is not a numeric address)");
  lua_pop(L, 1);
  addr_setport(&r->addr, whole(L, "port", UINT16_MAX));
  lua_pop(L, 1);
}

/* The table at `arg`, or nil for what is usual. */
static void record_from(lua_State *L, int arg, int kind, struct record *r) {
  bool addressed = false;
  memset(r, 0, sizeof *r);
  r->flags = RECORD_END;
  if (lua_isnoneornil(L, arg))
    return;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg) != 0; lua_pop(L, 1)) {
    const struct field *f;
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_argerror(L, arg, "a field has no name");
    f = field_of(L, lua_tostring(L, -2), kind);
    addressed = addressed || f->kind == FIELD_IP || f->kind == FIELD_PORT;
    set_field(L, r, f);
  }
  if (addressed)
    set_address(L, arg, r);
}

/* ---- and as one ---- */

static void set_integer(lua_State *L, const char *name, lua_Integer n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, name);
}

static void push_sctp(lua_State *L, const struct record *r) {
  lua_createtable(L, 0, 8);
  set_integer(L, "association", r->association);
  set_integer(L, "stream", r->stream);
  if (!(r->flags & RECORD_NOTIFICATION)) {
    set_integer(L, "ssn", r->ssn);
    set_integer(L, "ppid", r->ppid);
    set_integer(L, "tsn", r->tsn);
    set_integer(L, "cumtsn", r->cumtsn);
    lua_pushboolean(L, (r->flags & RECORD_UNORDERED) != 0);
    lua_setfield(L, -2, "unordered");
  }
  if (r->addr.len > 0) {
    int n = laddr_push(L, &r->addr);
    if (n == 2) {
      lua_setfield(L, -3, "port");
      lua_setfield(L, -2, "ip");
    } else {
      lua_pop(L, n);
    }
  }
}

static void push_spx(lua_State *L, const struct record *r) {
  lua_createtable(L, 0, 2);
  set_integer(L, "type", r->type);
  lua_pushboolean(L, (r->flags & RECORD_END) != 0);
  lua_setfield(L, -2, "eor");
}

static void push_record(lua_State *L, const struct channel *c,
                        const struct record *r) {
  if (c->ops->records == RECORD_SPX)
    push_spx(L, r);
  else
    push_sctp(L, r);
}

/* ---- sending ---- */

static int send_failed(lua_State *L, const struct stream *s, int err,
                       size_t taken) {
  lstream_fail(L, s, err, "send");
  lua_pushinteger(L, (lua_Integer)taken);
  return 4;
}

/* What setvbuf keeps back goes first. */
static ssize_t send_some(struct stream *s, const struct iovec *iov,
                         const struct record *r) {
  while (stream_unsent(s) > 0) {
    ssize_t n = stream_send(s, NULL, 0);
    if (n < 0)
      return n;
  }
  return stream_sendrecord(s, iov, 1, r);
}

/* What came next would go on with a message that was given up midway. */
static int send_torn(lua_State *L) {
  neap_failf(L, -EPIPE, "send: an earlier message was sent in part only");
  lua_pushinteger(L, 0);
  return 4;
}

/* Slot 3: the record as bytes, as much of it as is used. */
static int send_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  struct record r;
  size_t len, size;
  const char *data = lua_tolstring(L, 2, &len);
  const char *packed = lua_tolstring(L, 3, &size);
  if (!stream_isopen(s) || w->result < 0)
    return send_failed(L, s, stream_isopen(s) ? w->result : ERR_CLOSED,
                       w->progress);
  if (!lock_take(&s->writer, w)) {
    await_wake(c, w, &s->writer.queue, true);
    return OP_WAIT;
  }
  if (s->torn && w->progress == 0)
    return send_torn(L);
  memcpy(&r, packed, size);
  do {
    struct iovec iov = {(char *)data + w->progress, len - w->progress};
    ssize_t n = send_some(s, &iov, &r);
    if (n == -EAGAIN) {
      int err = lstream_await(L, c, w, s, "send");
      return err == OP_WAIT ? err : send_failed(L, s, -EBUSY, w->progress);
    }
    if (n < 0)
      return send_failed(L, s, (int)n, w->progress);
    w->progress += (size_t)n;
    s->torn = w->progress < len && r.association == 0 && r.addr.len == 0;
    c->budget -= RECORD_COST;
  } while (w->progress < len);
  lua_settop(L, 1);
  return 1;
}

/* The stream at slot 1, if it is open and keeps borders. */
static struct stream *check_records(lua_State *L, const char *operation) {
  struct stream *s = lstream_open(L);
  if (s == NULL)
    return NULL;
  if (s->session != NULL && s->session->ops->send != NULL)
    return s;
  lstream_fail(L, s, -EOPNOTSUPP, operation);
  return NULL;
}

/* send(data, info) */
static int l_send(lua_State *L) {
  static const struct op op = {"send", send_step, NULL};
  struct stream *s = check_records(L, "send");
  struct record r;
  if (s == NULL) {
    lua_pushinteger(L, 0);
    return 4;
  }
  luaL_checklstring(L, 2, NULL);
  lua_settop(L, 3);
  record_from(L, 3, s->session->ops->records, &r);
  lua_pushlstring(L, (const char *)&r,
                  r.addr.len > 0 ? sizeof r : offsetof(struct record, addr.u));
  lua_replace(L, 3);
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

/* ---- receiving ---- */

/* A part has come. Returns 0 for more to come, or a number of results. */
static int arrived(lua_State *L, struct stream *s, const struct record *r,
                   const char *at, size_t n) {
  struct channel *c = s->session;
  if (r->flags & RECORD_CUT) {
    bytes_consume(&s->in, bytes_len(&s->in));
    c->midway = 0;
  }
  if (r->flags & RECORD_NOTIFICATION) {
    lua_pushliteral(L, "");
    push_record(L, c, r);
    lover_event(L, at, n);
    lua_setfield(L, -2, "notification");
    return 2;
  }
  s->received += n;
  c->midway += n;
  if (c->midway <= c->maxrecord)
    stream_keep(s, n);
  if (!(r->flags & RECORD_END))
    return 0;
  n = (size_t)c->midway;
  c->midway = 0;
  if (n > c->maxrecord) {
    bytes_consume(&s->in, bytes_len(&s->in));
    return neap_failf(L, -EMSGSIZE, "receivemsg: %I bytes, limit %I",
                      (LUAI_UACINT)n, (LUAI_UACINT)c->maxrecord);
  }
  lua_pushlstring(L, bytes_head(&s->in), n);
  bytes_consume(&s->in, n);
  push_record(L, c, r);
  return 2;
}

static int receive_step(lua_State *L, struct core *c, struct wait *w) {
  struct stream *s = lstream_of(w);
  int r = lread_begin(L, w, s, "receivemsg");
  while (r == 0) {
    struct record record = {0};
    char *at;
    ssize_t n;
    if (bytes_len(&s->in) > 0 && s->session->midway == 0)
      return neap_fail(L, -EBUSY,
                       "receivemsg: what was received is to be read");
    n = stream_fillrecord(s, c->scratch, &record, &at);
    if (n == -EAGAIN)
      return lstream_await(L, c, w, s, "receivemsg");
    if (n < 0)
      return lstream_fail(L, s, (int)n, "receivemsg");
    c->budget -= RECORD_COST;
    r = arrived(L, s, &record, at, (size_t)n);
    if (r == 0 && c->budget < 0)
      r = lstream_turn(c, w);
  }
  return r;
}

/* receivemsg() */
static int l_receive(lua_State *L) {
  static const struct op op = {"receivemsg", receive_step, NULL};
  struct stream *s = check_records(L, "receivemsg");
  if (s == NULL)
    return 3;
  lua_settop(L, 1);
  return neap_opon(L, lstream_core(s), &op, s, s->timeout);
}

const luaL_Reg lrecord_methods[] = {
  {"send",       l_send   },
  {"receivemsg", l_receive},
  {NULL,         NULL     }
};
