/* SPDX-License-Identifier: MIT */
#include "usrsctp/peer.h"

#include <stdlib.h>
#include <string.h>
#include <usrsctp.h>

#include "usrsctp/carrier.h"
#include "usrsctp/stack.h"

enum { BUCKETS = 4096 };

static struct us_peer *buckets[BUCKETS];
static const struct us_arrival *arrival;

static struct us_peer **bucket_of(const void *handle) {
  return &buckets[(uintptr_t)handle % BUCKETS];
}

void *us_handle(const struct us_carrier *c, const struct addr *a) {
  struct {
    uint64_t carrier;
    uint32_t scope;
    uint16_t port, family;
    unsigned char ip[16];
  } key;
  memset(&key, 0, sizeof key);
  key.carrier = c->serial;
  key.family = a->u.sa.sa_family;
  if (a->u.sa.sa_family == AF_INET6) {
    key.port = a->u.in6.sin6_port;
    key.scope = a->u.in6.sin6_scope_id;
    memcpy(key.ip, &a->u.in6.sin6_addr, 16);
  } else {
    key.port = a->u.in.sin_port;
    memcpy(key.ip, &a->u.in.sin_addr, 4);
  }
  return (void *)(uintptr_t)(us_digest(&key, sizeof key) | 1);
}

struct us_peer *us_peer_find(const void *handle) {
  struct us_peer *p = *bucket_of(handle);
  while (p != NULL && p->handle != handle)
    p = p->next;
  return p;
}

static struct us_peer *make(struct us_carrier *c, const struct addr *a,
                            void *handle) {
  struct us_peer *p = NULL, **at = bucket_of(handle);
  if (c->peers < c->max_peers)
    p = calloc(1, sizeof *p);
  if (p == NULL)
    return NULL;
  p->carrier = c;
  p->handle = handle;
  p->addr = *a;
  list_init(&p->ends);
  p->next = *at;
  *at = p;
  c->peers++;
  if (c->home->peers++ == 0)
    us_ring(c->home);
  c->home->quiet = 0;
  usrsctp_register_address(handle);
  return p;
}

struct us_peer *us_peer_hold(struct us_carrier *c, const struct addr *a) {
  void *handle = us_handle(c, a);
  struct us_peer *p = us_peer_find(handle);
  if (p == NULL)
    p = make(c, a, handle);
  if (p == NULL)
    return NULL;
  p->refs++;
  if (arrival == NULL || arrival->handle != handle || arrival->local == NULL)
    return p;
  p->local = *arrival->local;
  us_carrier_from(&p->from, &p->local);
  return p;
}

void us_peer_drop(struct us_peer *p) {
  struct us_peer **at;
  if (--p->refs > 0)
    return;
  for (at = bucket_of(p->handle); *at != p; at = &(*at)->next)
    ;
  *at = p->next;
  p->carrier->peers--;
  p->carrier->home->peers--;
  usrsctp_deregister_address(p->handle);
  free(p);
}

void us_arrives(const struct us_arrival *a) {
  arrival = a;
}

/* The answer to a stranger comes from where that one sent to. */
static void answer(void *bytes, size_t len) {
  const struct us_arrival *a = arrival;
  us_carrier_send(a->carrier, a->addr, a->local, a->wire, bytes, len, NULL);
}

int us_output(void *handle, void *bytes, size_t len, uint8_t tos,
              uint8_t set_df) {
  struct us_peer *p = us_peer_find(handle);
  (void)tos;
  (void)set_df;
  if (p != NULL)
    us_carrier_send(p->carrier, &p->addr, NULL,
                    arrival != NULL ? arrival->wire : 0, bytes, len, p);
  else if (arrival != NULL && arrival->handle == handle)
    answer(bytes, len);
  return 0;
}
