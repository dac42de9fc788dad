/* SPDX-License-Identifier: MIT */
#include "io/relay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "io/record.h"

enum { BORDER_COST = 32 }; /* bytes that a border counts in its queue */

static struct relay *relay_of(struct channel *c) {
  return container_of(c, struct relay, base);
}

/* ---- queues ---- */

static size_t borders(const struct relay_queue *q) {
  return bytes_len(&q->borders) / sizeof(struct border);
}

static size_t cost(const struct relay_queue *q) {
  return bytes_len(&q->bytes) + borders(q) * BORDER_COST;
}

static void queue_free(struct relay_queue *q) {
  bytes_free(&q->bytes);
  bytes_free(&q->borders);
}

/* Borders are copied: nothing says how they lie. */
static struct border first(const struct relay_queue *q) {
  struct border b;
  memcpy(&b, bytes_head(&q->borders), sizeof b);
  return b;
}

static void put_first(struct relay_queue *q, const struct border *b) {
  memcpy(bytes_head(&q->borders), b, sizeof *b);
}

/* The last border if what comes now goes on with it. */
static char *open_border(const struct relay_queue *q, uint8_t type,
                         struct border *b) {
  char *at;
  if (borders(q) == 0)
    return NULL;
  at = q->borders.data + q->borders.tail - sizeof *b;
  memcpy(b, at, sizeof *b);
  return b->end || b->type != type ? NULL : at;
}

/* All or nothing. Returns 0 or -ENOMEM. */
static int append(struct relay_queue *q, const char *data, size_t len,
                  uint8_t type, bool end) {
  struct border b;
  char *at;
  int err;
  if (len == 0 && !end)
    return 0;
  err = bytes_reserve(&q->borders, sizeof b);
  if (err == 0 && len > 0)
    err = bytes_append(&q->bytes, data, len);
  if (err < 0)
    return err;
  at = open_border(q, type, &b);
  if (at == NULL)
    memset(&b, 0, sizeof b);
  b.length += (uint32_t)len;
  b.type = type;
  b.end = end;
  if (at != NULL)
    memcpy(at, &b, sizeof b);
  else
    bytes_append(&q->borders, &b, sizeof b);
  return 0;
}

/* Takes n bytes of the first border, and it, if nothing of it is left. */
static void consume(struct relay_queue *q, size_t n) {
  struct border b = first(q);
  if (n > 0)
    bytes_consume(&q->bytes, n);
  b.length -= (uint32_t)n;
  if (b.length == 0)
    bytes_consume(&q->borders, sizeof b);
  else
    put_first(q, &b);
}

/* ---- the hub ---- */

void relay_hub_init(struct relay_hub *h, struct loop *l) {
  memset(h, 0, sizeof *h);
  h->loop = l;
  list_init(&h->waiters);
  list_init(&h->busy);
}

void relay_hub_wake(struct relay_hub *h) {
  h->rung = true;
  loop_wake_all(h->loop, &h->waiters, 0);
}

struct relay *relay_next(struct relay_hub *h) {
  struct relay *r;
  if (list_empty(&h->busy))
    return NULL;
  r = container_of(h->busy.next, struct relay, node);
  list_remove(&r->node);
  return r;
}

void relay_hub_close(struct relay_hub *h) {
  struct relay *r;
  while ((r = relay_next(h)) != NULL)
    r->hub = NULL;
}

/* Something is there for the carrier. */
static void mark(struct relay *r) {
  if (r->hub == NULL || !list_empty(&r->node))
    return;
  list_append(&r->hub->busy, &r->node);
  relay_hub_wake(r->hub);
}

static void report(struct relay *r, unsigned ready) {
  if (r->base.report != NULL)
    r->base.report(r->base.owner, ready);
  else
    r->base.drained = false;
}

/* ---- what the stream does ---- */

static ssize_t again(struct channel *c, uint8_t want) {
  c->want = want;
  return -EAGAIN;
}

/* Nothing is there: is that the end? */
static ssize_t nothing(struct relay *r) {
  if (!r->ended)
    return again(&r->base, CHANNEL_IN);
  return r->failed ? CHANNEL_FAILED : 0;
}

/* The stream has taken something. */
static void after_read(struct relay *r) {
  r->base.drained = borders(&r->in) == 0 && !r->ended;
  if (!r->wanted || cost(&r->in) > r->room / 2)
    return;
  r->wanted = false;
  mark(r);
}

static ssize_t relay_read(struct channel *c, void *buf, size_t len) {
  struct relay *r = relay_of(c);
  size_t taken = 0;
  while (borders(&r->in) > 0 && taken < len) {
    size_t n = first(&r->in).length;
    n = n < len - taken ? n : len - taken;
    if (n > 0)
      memcpy((char *)buf + taken, bytes_head(&r->in.bytes), n);
    consume(&r->in, n);
    taken += n;
  }
  after_read(r);
  return taken > 0 ? (ssize_t)taken : nothing(r);
}

static ssize_t relay_receive(struct channel *c, void *buf, size_t len,
                             struct record *record) {
  struct relay *r = relay_of(c);
  struct border b;
  size_t n;
  if (borders(&r->in) == 0)
    return nothing(r);
  b = first(&r->in);
  n = b.length < len ? b.length : len;
  if (n > 0)
    memcpy(buf, bytes_head(&r->in.bytes), n);
  record->type = b.type;
  if (n == 0)
    record->flags = RECORD_EMPTY;
  if (b.end && n == b.length)
    record->flags |= RECORD_END;
  consume(&r->in, n);
  after_read(r);
  return (ssize_t)n;
}

/* May anything be written? 0, or why not. */
static ssize_t writable(struct relay *r) {
  if (r->failed)
    return CHANNEL_FAILED;
  if (r->shut != RELAY_OPEN || r->hungup)
    return -EPIPE;
  if (cost(&r->out) + BORDER_COST < r->room)
    return 0;
  r->refused = true;
  return again(&r->base, CHANNEL_OUT);
}

/* As much as there is room for; the border is at the end of all. */
static ssize_t write_record(struct relay *r, const struct iovec *iov, int n,
                            uint8_t type, bool end) {
  size_t room, all = 0, taken = 0;
  ssize_t err = writable(r);
  int i;
  if (err < 0)
    return err;
  room = r->room - cost(&r->out) - BORDER_COST;
  for (i = 0; i < n; i++)
    all += iov[i].iov_len;
  for (i = 0; i < n && taken < room; i++) {
    size_t len = iov[i].iov_len < room - taken ? iov[i].iov_len : room - taken;
    if (len > 0 && append(&r->out, iov[i].iov_base, len, type, false) < 0)
      break;
    taken += len;
  }
  if (end && taken == all && append(&r->out, NULL, 0, type, true) < 0 &&
      all == 0)
    return -ENOMEM;
  if (taken == 0 && all > 0)
    return -ENOMEM;
  mark(r);
  return (ssize_t)taken;
}

static ssize_t relay_write(struct channel *c, const struct iovec *iov, int n) {
  return write_record(relay_of(c), iov, n, 0, false);
}

static ssize_t relay_send(struct channel *c, const struct iovec *iov, int n,
                          const struct record *record) {
  if (record->type >= RELAY_TYPES)
    return -EINVAL;
  return write_record(relay_of(c), iov, n, record->type,
                      (record->flags & RECORD_END) != 0);
}

static int relay_handshake(struct channel *c) {
  struct relay *r = relay_of(c);
  if (r->connected)
    return 0;
  return r->failed || r->ended ? (int)(r->failed ? CHANNEL_FAILED : CHANNEL_EOF)
                               : (int)again(c, CHANNEL_IN);
}

/* Until what was written has been carried, and its end. */
static int relay_shutdown(struct channel *c, int how) {
  struct relay *r = relay_of(c);
  uint8_t wanted = how == 2 ? RELAY_OVER : RELAY_WRITTEN;
  if (how == 0)
    return 0;
  if (how == 1 && !r->halves && !r->hungup && r->done < RELAY_WRITTEN)
    return -EOPNOTSUPP;
  if (r->shut < wanted) {
    r->shut = wanted;
    mark(r);
  }
  if (r->done >= wanted || r->hungup)
    return 0;
  return r->failed ? CHANNEL_FAILED : (int)again(c, CHANNEL_OUT);
}

static void relay_close(struct channel *c, bool quiet) {
  struct relay *r = relay_of(c);
  if (r->closed)
    return;
  r->closed = true;
  r->quiet = quiet;
  c->owner = NULL;
  queue_free(&r->in);
  mark(r);
}

static const char *relay_why(struct channel *c, const char **code) {
  *code = relay_of(c)->code;
  return relay_of(c)->why;
}

static const struct channel_ops ops = {
  .kind = "spx",
  .read = relay_read,
  .write = relay_write,
  .handshake = relay_handshake,
  .shutdown = relay_shutdown,
  .close = relay_close,
  .why = relay_why,
  .send = relay_send,
  .receive = relay_receive,
  .records = RECORD_SPX,
};

void relay_init(struct relay *r, struct relay_hub *h, uint32_t room) {
  memset(r, 0, sizeof *r);
  r->base.magic = CHANNEL_MAGIC;
  r->base.version = CHANNEL_VERSION;
  r->base.size = sizeof r->base;
  r->base.ops = &ops;
  r->base.drained = true;
  r->hub = h;
  r->room = room;
  list_init(&r->node);
}

void relay_free(struct relay *r) {
  list_remove(&r->node);
  r->hub = NULL;
  queue_free(&r->in);
  queue_free(&r->out);
  r->ended = r->hungup = true;
}

/* ---- what the carrier does ---- */

int relay_put(struct relay *r, const char *data, size_t len, uint8_t type,
              bool end) {
  size_t used = cost(&r->in);
  int err;
  if (r->closed)
    return 1;
  if (used > 0 && used + len + BORDER_COST > r->room) {
    r->wanted = true;
    return 0;
  }
  err = append(&r->in, data, len, type, end);
  if (err < 0)
    return err;
  report(r, CHANNEL_IN);
  return 1;
}

ssize_t relay_peek(const struct relay *r, size_t max, const char **data,
                   uint8_t *type, bool *end) {
  struct border b;
  size_t n;
  if (borders(&r->out) == 0)
    return -EAGAIN;
  b = first(&r->out);
  n = b.length < max ? b.length : max;
  *data = n > 0 ? bytes_head(&r->out.bytes) : "";
  *type = b.type;
  *end = b.end && n == b.length;
  return (ssize_t)n;
}

void relay_taken(struct relay *r, size_t n) {
  consume(&r->out, n);
  if (!r->refused || cost(&r->out) > r->room / 2)
    return;
  r->refused = false;
  report(r, CHANNEL_OUT);
}

bool relay_waits(const struct relay *r) {
  return borders(&r->out) > 0;
}

void relay_connected(struct relay *r) {
  r->connected = true;
  if (r->base.report != NULL)
    report(r, CHANNEL_IN | CHANNEL_OUT);
}

/* Who has shut all, or closes, has seen the end himself. */
void relay_finish(struct relay *r) {
  r->ended = true;
  if (r->shut != RELAY_OVER)
    report(r, CHANNEL_IN);
}

void relay_hangup(struct relay *r) {
  r->hungup = true;
  queue_free(&r->out);
  report(r, CHANNEL_OUT);
}

void relay_fail(struct relay *r, const char *code, const char *why) {
  if (r->failed)
    return;
  r->failed = true;
  snprintf(r->code, sizeof r->code, "%s", code);
  snprintf(r->why, sizeof r->why, "%s", why);
  queue_free(&r->out);
  report(r, CHANNEL_IN | CHANNEL_OUT);
}

void relay_done(struct relay *r, enum relay_end end) {
  if (r->done < end)
    r->done = (uint8_t)end;
  report(r, CHANNEL_OUT);
}
