/* SPDX-License-Identifier: MIT
 * Relays: what goes in comes out, with its borders; what is full says so, and
 * tells when it is not. */
#include "io/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "check.h"
#include "io/record.h"

enum { ROOM = 1024, LONG = 2000 };

struct end {
  struct relay_hub hub;
  struct relay relay;
  struct channel *c;
  unsigned reported; /* to the stream */
};

static void reported(void *owner, unsigned ready) {
  ((struct end *)owner)->reported |= ready;
}

static unsigned told(struct end *e) {
  unsigned ready = e->reported;
  e->reported = 0;
  return ready;
}

static void begin(struct end *e) {
  memset(e, 0, sizeof *e);
  relay_hub_init(&e->hub, NULL);
  relay_init(&e->relay, &e->hub, ROOM);
  e->c = &e->relay.base;
  e->c->owner = e;
  e->c->report = reported;
}

static void end(struct end *e) {
  e->c->ops->close(e->c, false);
  relay_free(&e->relay);
  relay_hub_close(&e->hub);
}

/* One record from the stream. */
static ssize_t send_text(struct end *e, const char *text, uint8_t type,
                         bool ends) {
  struct record r = {.type = type, .flags = ends ? RECORD_END : 0};
  struct iovec iov = {(char *)text, strlen(text)};
  return e->c->ops->send(e->c, &iov, 1, &r);
}

/* The next of what was written is this. */
static bool takes(struct end *e, size_t max, const char *text, uint8_t type,
                  bool ends) {
  const char *data;
  uint8_t its_type;
  bool its_end;
  ssize_t n = relay_peek(&e->relay, max, &data, &its_type, &its_end);
  bool same = n == (ssize_t)strlen(text) &&
              (n == 0 || memcmp(data, text, (size_t)n) == 0) &&
              its_type == type && its_end == ends;
  if (n >= 0)
    relay_taken(&e->relay, (size_t)n);
  return same;
}

/* The next that is received is this. */
static bool gets(struct end *e, size_t max, const char *text, uint8_t type,
                 unsigned flags) {
  char room[LONG];
  struct record r = {0};
  ssize_t n = e->c->ops->receive(e->c, room, max, &r);
  return n == (ssize_t)strlen(text) && memcmp(room, text, (size_t)n) == 0 &&
         r.type == type && r.flags == flags;
}

static ssize_t reads(struct end *e, char *room, size_t max) {
  return e->c->ops->read(e->c, room, max);
}

static void test_written(void) {
  struct end e;
  begin(&e);
  CHECK(relay_next(&e.hub) == NULL && !relay_waits(&e.relay));
  CHECK(send_text(&e, "abc", 5, true) == 3);
  CHECK(send_text(&e, "d", 5, false) == 1);
  CHECK(send_text(&e, "e", 5, false) == 1);
  CHECK(send_text(&e, "f", 6, true) == 1);
  CHECK(send_text(&e, "", 7, true) == 0);
  CHECK(send_text(&e, "", 8, false) == 0);
  CHECK(send_text(&e, "no", 0xfc, true) == -EINVAL);
  CHECK(relay_next(&e.hub) == &e.relay && relay_next(&e.hub) == NULL);
  CHECK(takes(&e, 2, "ab", 5, false));
  CHECK(takes(&e, 2, "c", 5, true));
  CHECK(takes(&e, 9, "de", 5, false));
  CHECK(takes(&e, 9, "f", 6, true));
  CHECK(takes(&e, 9, "", 7, true));
  CHECK(!relay_waits(&e.relay));
  end(&e);
}

static void test_end_after_all_was_taken(void) {
  struct end e;
  begin(&e);
  CHECK(send_text(&e, "abc", 5, false) == 3);
  CHECK(takes(&e, 9, "abc", 5, false));
  CHECK(send_text(&e, "", 5, true) == 0);
  CHECK(takes(&e, 9, "", 5, true));
  end(&e);
}

static void test_full(void) {
  struct end e;
  char block[LONG];
  struct iovec iov[] = {
    {block,       600               },
    {block + 600, sizeof block - 600}
  };
  ssize_t n;
  memset(block, 'x', sizeof block);
  begin(&e);
  n = e.c->ops->write(e.c, iov, 2);
  CHECK(n > 900 && n < ROOM);
  CHECK(e.c->ops->write(e.c, iov, 2) == -EAGAIN && e.c->want == CHANNEL_OUT);
  told(&e);
  relay_taken(&e.relay, 100);
  CHECK(told(&e) == 0); /* not for so little */
  relay_taken(&e.relay, 500);
  CHECK(told(&e) == CHANNEL_OUT);
  CHECK(e.c->ops->write(e.c, iov, 2) > 0);
  end(&e);
}

static void test_put(void) {
  struct end e;
  char room[LONG];
  begin(&e);
  CHECK(e.c->drained);
  CHECK(reads(&e, room, 9) == -EAGAIN && e.c->want == CHANNEL_IN);
  CHECK(relay_put(&e.relay, "abc", 3, 1, true) == 1);
  CHECK(told(&e) == CHANNEL_IN);
  CHECK(relay_put(&e.relay, "de", 2, 2, false) == 1);
  CHECK(relay_put(&e.relay, "", 0, 2, true) == 1);
  CHECK(relay_put(&e.relay, "", 0, 3, true) == 1);
  CHECK(relay_put(&e.relay, "fgh", 3, 0, false) == 1);
  CHECK(gets(&e, 2, "ab", 1, 0) && !e.c->drained);
  CHECK(gets(&e, 2, "c", 1, RECORD_END));
  CHECK(gets(&e, 9, "de", 2, RECORD_END));
  CHECK(gets(&e, 9, "", 3, RECORD_END | RECORD_EMPTY));
  CHECK(gets(&e, 1, "f", 0, 0));
  CHECK(relay_put(&e.relay, "i", 1, 4, true) == 1);
  CHECK(reads(&e, room, 2) == 2 && memcmp(room, "gh", 2) == 0);
  CHECK(reads(&e, room, 9) == 1 && *room == 'i' && e.c->drained);
  end(&e);
}

static void test_full_of_what_comes(void) {
  struct end e;
  char block[LONG] = {0}, room[LONG];
  begin(&e);
  CHECK(relay_put(&e.relay, block, LONG, 0, false) == 1); /* whatever it is */
  CHECK(relay_put(&e.relay, block, 1, 0, false) == 0);
  CHECK(relay_next(&e.hub) == NULL);
  CHECK(reads(&e, room, 1000) == 1000);
  CHECK(relay_next(&e.hub) == NULL); /* not for so little */
  CHECK(reads(&e, room, 1000) == 1000);
  CHECK(relay_next(&e.hub) == &e.relay);
  CHECK(relay_put(&e.relay, block, 1, 0, false) == 1);
  end(&e);
}

/* Records without bytes count, too. */
static void test_many_borders(void) {
  struct end e;
  int i = 0;
  begin(&e);
  while (relay_put(&e.relay, "", 0, 0, true) == 1)
    CHECK(++i < ROOM);
  CHECK(i < ROOM / 16);
  for (i = 0; send_text(&e, "", 0, true) == 0; i++)
    CHECK(i < ROOM / 16);
  end(&e);
}

static void test_ends(void) {
  struct end e;
  char room[9];
  begin(&e);
  CHECK(relay_put(&e.relay, "abc", 3, 0, true) == 1);
  relay_finish(&e.relay);
  CHECK(reads(&e, room, 9) == 3 && !e.c->drained);
  CHECK(reads(&e, room, 9) == 0);
  CHECK(send_text(&e, "x", 0, true) == 1);
  CHECK(e.c->ops->shutdown(e.c, 1) == -EOPNOTSUPP);
  e.relay.halves = true;
  CHECK(e.c->ops->shutdown(e.c, 1) == -EAGAIN && e.c->want == CHANNEL_OUT);
  CHECK(send_text(&e, "y", 0, true) == -EPIPE);
  told(&e);
  relay_done(&e.relay, RELAY_WRITTEN);
  CHECK(told(&e) == CHANNEL_OUT && e.c->ops->shutdown(e.c, 1) == 0);
  CHECK(e.c->ops->shutdown(e.c, 2) == -EAGAIN);
  relay_done(&e.relay, RELAY_OVER);
  CHECK(e.c->ops->shutdown(e.c, 2) == 0);
  end(&e);
}

static void test_failure(void) {
  struct end e;
  char room[9];
  const char *code;
  begin(&e);
  CHECK(e.c->ops->handshake(e.c) == -EAGAIN);
  CHECK(relay_put(&e.relay, "abc", 3, 0, true) == 1);
  relay_fail(&e.relay, "ETEST", "because");
  relay_fail(&e.relay, "ELATER", "not this");
  CHECK(told(&e) == (CHANNEL_IN | CHANNEL_OUT));
  CHECK(e.c->ops->handshake(e.c) == CHANNEL_FAILED);
  CHECK(send_text(&e, "x", 0, true) == CHANNEL_FAILED);
  CHECK(reads(&e, room, 9) == 3);
  CHECK(reads(&e, room, 9) == -EAGAIN); /* more may be put */
  relay_finish(&e.relay);
  CHECK(reads(&e, room, 9) == CHANNEL_FAILED);
  CHECK(strcmp(e.c->ops->why(e.c, &code), "because") == 0);
  CHECK(strcmp(code, "ETEST") == 0);
  end(&e);
}

static void test_hangup(void) {
  struct end e;
  begin(&e);
  relay_connected(&e.relay);
  CHECK(e.c->ops->handshake(e.c) == 0);
  CHECK(send_text(&e, "x", 0, true) == 1);
  relay_hangup(&e.relay);
  CHECK(!relay_waits(&e.relay));
  CHECK(send_text(&e, "x", 0, true) == -EPIPE);
  CHECK(e.c->ops->shutdown(e.c, 2) == 0);
  end(&e);
}

static void test_closed(void) {
  struct end e;
  begin(&e);
  CHECK(relay_put(&e.relay, "abc", 3, 0, true) == 1);
  CHECK(send_text(&e, "goes", 0, true) == 4);
  CHECK(relay_next(&e.hub) == &e.relay);
  e.c->ops->close(e.c, true);
  e.c->report = NULL;
  CHECK(e.relay.closed && e.relay.quiet && relay_next(&e.hub) == &e.relay);
  CHECK(relay_put(&e.relay, "def", 3, 0, true) == 1); /* nobody has it */
  CHECK(takes(&e, 9, "goes", 0, true));
  end(&e);
  CHECK(relay_next(&e.hub) == NULL);
}

int main(void) {
  test_written();
  test_end_after_all_was_taken();
  test_full();
  test_put();
  test_full_of_what_comes();
  test_many_borders();
  test_ends();
  test_failure();
  test_hangup();
  test_closed();
  return 0;
}
