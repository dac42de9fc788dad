/* SPDX-License-Identifier: MIT
 * Whether a descriptor is asked again before the poller is. */
#include "loop/loop.h"

void pace_took(struct pace *p, struct watch *at, struct loop *l) {
  enum { RARELY = 32 };
  p->run = p->turn == l->turns ? (uint16_t)(p->run + 1) : 1;
  p->turn = l->turns;
  if (p->run > 1) {
    p->bursts = true;
    p->every = 0;
  }
  if (p->bursts)
    return;
  if (p->until == 0) {
    p->every = p->every < RARELY / 2 ? (uint8_t)(2 * p->every + 1) : RARELY;
    p->until = p->every;
    return;
  }
  p->until--;
  l->eager = true;
  at->ready &= (uint8_t)~POLLER_IN;
}

void pace_empty(struct pace *p, struct watch *at) {
  p->bursts = p->bursts && p->run > 1;
  p->run = 0;
  at->ready &= (uint8_t)~POLLER_IN;
}
