/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "usrsctp/carrier.h"
#include "usrsctp/port.h"

enum { FIRST_EPHEMERAL = 49152, LAST_INNER = 65534, FIRST_INNER = 1024 };

/* By usrsctp's number. */
static struct us_port *inner[65536];
static uint16_t last = FIRST_INNER;

static struct us_port **bucket_of(const struct us_carrier *c, uint16_t wire) {
  return (struct us_port **)&c->ports[wire % US_PORTBUCKETS];
}

struct us_port *us_port_find(const struct us_carrier *c, uint16_t wire) {
  struct us_port *p = *bucket_of(c, wire);
  while (p != NULL && p->wire != wire)
    p = p->next;
  return p;
}

struct us_port *us_port_inner(uint16_t number) {
  return inner[number];
}

/* One that nobody has, or 0. */
static uint16_t free_inner(void) {
  unsigned tries = LAST_INNER - FIRST_INNER;
  while (tries-- > 0) {
    last = last >= LAST_INNER ? FIRST_INNER : (uint16_t)(last + 1);
    if (inner[last] == NULL)
      return last;
  }
  return 0;
}

static uint16_t free_wire(struct us_carrier *c) {
  unsigned tries = 65536 - FIRST_EPHEMERAL;
  while (tries-- > 0) {
    c->ephemeral = c->ephemeral < FIRST_EPHEMERAL || c->ephemeral == 65535
                     ? FIRST_EPHEMERAL
                     : (uint16_t)(c->ephemeral + 1);
    if (us_port_find(c, c->ephemeral) == NULL)
      return c->ephemeral;
  }
  return 0;
}

static struct us_port *fail(int *err, int why) {
  *err = why;
  return NULL;
}

struct us_port *us_port_take(struct us_carrier *c, uint16_t wire, int *err) {
  struct us_port *p, **at;
  uint16_t number;
  if (wire == 0 && (wire = free_wire(c)) == 0)
    return fail(err, -EADDRINUSE);
  p = us_port_find(c, wire);
  if (p != NULL && p->owner != NULL)
    return fail(err, -EADDRINUSE);
  if (p == NULL) {
    number = free_inner();
    p = number != 0 ? calloc(1, sizeof *p) : NULL;
    if (p == NULL)
      return fail(err, number != 0 ? -ENOMEM : -EADDRINUSE);
    p->carrier = c;
    p->wire = wire;
    p->inner = number;
    inner[number] = p;
    at = bucket_of(c, wire);
    p->next = *at;
    *at = p;
  }
  p->refs++;
  return p;
}

void us_port_drop(struct us_port *p) {
  struct us_port **at;
  if (--p->refs > 0)
    return;
  for (at = bucket_of(p->carrier, p->wire); *at != p; at = &(*at)->next)
    ;
  *at = p->next;
  inner[p->inner] = NULL;
  free(p);
}
