/* SPDX-License-Identifier: MIT
 * What a reader wants, looked for in what a stream has received. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "io/stream.h"

static ssize_t at_the_end(const struct stream *s) {
  return s->ended != 0 ? s->ended : -EAGAIN;
}

/* Where a search that began at `from` was left off, so that a line that comes
 * a byte at a time is not searched again and again. */
static size_t scan_begin(const struct stream *s, size_t from) {
  return s->scanfrom == from && s->scanned > from ? s->scanned : from;
}

static void scan_end(struct stream *s, size_t from, size_t end) {
  s->scanfrom = (uint32_t)from;
  s->scanned = (uint32_t)end;
}

static ssize_t find_line(struct stream *s, const struct want *want, size_t from,
                         size_t *len) {
  const char *head = bytes_len(&s->in) > 0 ? bytes_head(&s->in) : NULL;
  size_t have = bytes_len(&s->in), begin, end;
  const char *lf = NULL;
  begin = scan_begin(s, from);
  if (begin < have)
    lf = memchr(head + begin, '\n', have - begin);
  end = lf != NULL ? (size_t)(lf - head) : have;
  if (end - from - (end > from && head[end - 1] == '\r') > want->count)
    return -EMSGSIZE; /* a CR belongs to the line's end */
  scan_end(s, from, end);
  if (lf == NULL && (s->ended != ERR_EOF || end == from))
    return at_the_end(s);
  *len = end - from;
  if (lf == NULL)
    return (ssize_t)end; /* the last line, which no LF ends */
  if (want->kind == WANT_FULLLINE)
    *len += 1;
  else if (*len > 0 && head[end - 1] == '\r')
    *len -= 1;
  return (ssize_t)end + 1;
}

static ssize_t find_delimiter(struct stream *s, const struct want *want,
                              size_t from, size_t *len) {
  size_t have = bytes_len(&s->in);
  size_t begin = scan_begin(s, from);
  const char *head = have > 0 ? bytes_head(&s->in) : NULL;
  const char *hit = NULL;
  if (begin < have)
    hit = memmem(head + begin, have - begin, want->delimiter, want->dlen);
  if (hit == NULL) {
    if (have - from >= want->dlen && have - from - want->dlen >= want->count)
      return -EMSGSIZE;
    /* the delimiter may have begun */
    scan_end(s, from, have - from >= want->dlen ? have - want->dlen + 1 : from);
    return at_the_end(s);
  }
  *len = (size_t)(hit - head) - from + want->dlen;
  return *len - want->dlen > want->count ? -EMSGSIZE : (ssize_t)(from + *len);
}

ssize_t stream_find(struct stream *s, const struct want *want, size_t from,
                    size_t *len) {
  size_t have = bytes_len(&s->in) - from;
  switch (want->kind) {
  case WANT_LINE:
  case WANT_FULLLINE:
    return find_line(s, want, from, len);
  case WANT_UNTIL:
    return find_delimiter(s, want, from, len);
  case WANT_COUNT:
    *len = want->count;
    return have >= want->count ? (ssize_t)(from + want->count) : at_the_end(s);
  case WANT_ALL:
    if (have > want->count)
      return -EMSGSIZE;
    *len = have;
    return s->ended == ERR_EOF ? (ssize_t)(from + have) : at_the_end(s);
  }
  return -EINVAL;
}

size_t stream_lacks(const struct stream *s, const struct want *want,
                    size_t from) {
  size_t have = bytes_len(&s->in) - from;
  if (want->kind == WANT_COUNT && want->count > have)
    return want->count - have;
  return want->kind == WANT_ALL && have > 0 ? SCRATCH_SIZE : 1;
}
