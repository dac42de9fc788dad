/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

enum { LEAST_ROOM = 64 };

/* Moves what is queued to the start of a block of `room` bytes. */
static int rehouse(struct bytes *b, size_t room, size_t before) {
  size_t len = bytes_len(b);
  char *data = malloc(room);
  if (data == NULL)
    return -ENOMEM;
  if (len > 0)
    memcpy(data + before, bytes_head(b), len);
  bytes_free(b);
  b->data = data;
  b->room = (uint32_t)room;
  b->head = (uint32_t)before;
  b->tail = (uint32_t)(before + len);
  return 0;
}

/* The room for n bytes: a power of two, so that growing stays linear. */
static size_t rounded(size_t n) {
  size_t room = LEAST_ROOM;
  while (room < n)
    room *= 2;
  return room;
}

int bytes_reserve(struct bytes *b, size_t n) {
  size_t len = bytes_len(b);
  if (n > BYTES_MAX - len)
    return -ENOMEM;
  if (!b->lent && b->room - b->tail >= n)
    return 0;
  if (!b->lent && b->room >= len + n && b->head >= b->room / 2) {
    memmove(b->data, bytes_head(b), len);
    b->head = 0;
    b->tail = (uint32_t)len;
    return 0;
  }
  return rehouse(b, rounded(len + n), 0);
}

int bytes_settle(struct bytes *b) {
  return b->lent ? rehouse(b, rounded(bytes_len(b)), 0) : 0;
}

char *scratch_claim(struct scratch *s) {
  return s->user == NULL || bytes_settle(s->user) == 0 ? s->data : NULL;
}

int bytes_borrow(struct bytes *b, struct scratch *s) {
  if (scratch_claim(s) == NULL)
    return -ENOMEM;
  bytes_free(b);
  b->data = s->data;
  b->room = SCRATCH_SIZE;
  b->lent = true;
  s->user = b;
  return 0;
}

int bytes_append(struct bytes *b, const void *data, size_t n) {
  int err = bytes_reserve(b, n);
  if (err == 0 && n > 0) {
    memcpy(b->data + b->tail, data, n);
    b->tail += (uint32_t)n;
  }
  return err;
}

int bytes_prepend(struct bytes *b, const void *data, size_t n) {
  if (n > b->head) {
    size_t len = bytes_len(b);
    if (n > BYTES_MAX - len)
      return -ENOMEM;
    if (rehouse(b, rounded(len + n), n) < 0)
      return -ENOMEM;
  }
  if (n > 0) {
    b->head -= (uint32_t)n;
    memcpy(bytes_head(b), data, n);
  }
  return 0;
}

void bytes_free(struct bytes *b) {
  if (b->lent)
    container_of(b->data, struct scratch, data)->user = NULL;
  else
    free(b->data);
  b->data = NULL;
  b->head = b->tail = b->room = 0;
  b->lent = false;
}
