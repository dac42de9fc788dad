/* SPDX-License-Identifier: MIT
 * Descriptors that came along with a stream's bytes, until they are taken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/stream.h"

/* Closes what nobody will take. */
static void drop_fds(int *fds, int n) {
  while (n > 0)
    sys_close(fds[--n]);
}

void passed_keep(struct stream *s, int *fds, int n, size_t received) {
  struct passed **at, *p = NULL;
  int total = n;
  for (at = &s->passed; *at != NULL; at = &(*at)->next)
    total += (*at)->count;
  if (n > 0 && total <= FD_MAXPASS)
    p = malloc(sizeof *p + (size_t)n * sizeof *fds);
  if (p == NULL) {
    s->fdslost = true;
    drop_fds(fds, n);
    return;
  }
  p->next = NULL;
  p->at = s->received + received;
  p->count = n;
  memcpy(p->fds, fds, (size_t)n * sizeof *fds);
  *at = p;
}

void passed_free(struct stream *s) {
  while (s->passed != NULL) {
    struct passed *p = s->passed;
    s->passed = p->next;
    drop_fds(p->fds, p->count);
    free(p);
  }
}

int stream_takefds(struct stream *s, int fds[FD_MAXPASS]) {
  struct passed *p = s->passed;
  uint64_t head = s->received - bytes_len(&s->in);
  int n;
  if (s->fdslost) {
    s->fdslost = false;
    return -EMSGSIZE;
  }
  if (p == NULL)
    return 0;
  if (head + 1 < p->at)
    return -EBUSY;
  n = p->count;
  memcpy(fds, p->fds, (size_t)n * sizeof *fds);
  if (head + 1 == p->at)
    bytes_consume(&s->in, 1);
  s->passed = p->next;
  free(p);
  return n;
}
