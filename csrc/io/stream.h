/* SPDX-License-Identifier: MIT
 * A stream: a channel with a queue of bytes that were received and not yet
 * taken, and one of bytes that were written and not yet sent. It never
 * waits. */
#ifndef NEAP_IO_STREAM_H
#define NEAP_IO_STREAM_H

#include "base/bytes.h"
#include "io/channel.h"
#include "loop/loop.h"
#include "sys/fd.h"

enum stream_buffering { BUFFER_NO, BUFFER_LINE, BUFFER_FULL };

/* Descriptors that came with one message over a Unix socket and were not yet
 * taken: a list, of FD_MAXPASS descriptors in all. */
struct passed {
  struct passed *next;
  uint64_t at; /* the stream's position after the bytes that carried them */
  int count;
  int fds[];
};

struct stream;

/* Keeps n descriptors (-1: the kernel dropped some) that came with the
 * `received` bytes that are next, or closes them if they are too many. */
void passed_keep(struct stream *s, int *fds, int n, size_t received);
void passed_free(struct stream *s);

/* What setvbuf keeps back until it is flushed. */
struct outgoing {
  struct bytes queue;
  uint32_t room;
  uint8_t buffering;
};

/* Ten thousand of these lie idle in a server: what few need is apart. */
struct stream {
  const void *magic; /* while it exists: who made it, for a quick check */
  struct loop *loop;
  struct channel *session; /* over the descriptor, or NULL */
  struct watch watch;
  struct bytes in;
  struct outgoing *out; /* NULL: unbuffered */
  struct lock reader, writer;
  uint64_t received, sent; /* bytes, in all */
  int64_t timeout;         /* nanoseconds, or SYS_FOREVER */
  uint32_t maxline, maxread;
  uint32_t scanfrom, scanned; /* no delimiter in this part of the queue */
  struct passed *passed;
  int32_t ended;        /* ERR_EOF, or the failure that ended reading */
  uint8_t kind;         /* enum fd_kind */
  uint8_t want;         /* POLLER_IN or POLLER_OUT, after -EAGAIN */
  bool unhurried : 1;   /* nobody waits for its end */
  bool shortdrains : 1; /* a read that was cut short took all there was */
  bool lingers : 1;     /* a task sends what the session holds */
  bool fdslost : 1;     /* more came than the limit: they were closed */
  bool blocked : 1;     /* before it was adopted: so it will be again */
  bool more : 1;        /* what is sent next goes with what follows it */
  bool torn : 1;        /* a part of a record was sent, and the rest was not */
};

struct record;

/* What a read is to take. */
enum want_kind { WANT_LINE, WANT_FULLLINE, WANT_COUNT, WANT_ALL, WANT_UNTIL };

struct want {
  enum want_kind kind;
  size_t count;          /* WANT_COUNT; the limit of the others */
  const char *delimiter; /* WANT_UNTIL */
  size_t dlen;
};

/* A closed stream (no descriptor, no memory), with the default limits. */
void stream_init(struct stream *s);

/* The descriptor, which does not block, is the stream's from now on. It may
 * be ready: that is found out by trying. */
void stream_open(struct stream *s, int fd, enum fd_kind kind, bool shortdrains);

/* The channel carries the bytes itself, or what is under it does (fd < 0), so
 * that there is no descriptor to wait for. Returns 0 or -errno. */
int stream_openover(struct stream *s, struct channel *c, int fd);

/* Who is at the other end, where the descriptor does not know; or NULL. */
const char *stream_peer(const struct stream *s);

/* Bytes that setvbuf keeps back. */
static inline size_t stream_queued(const struct stream *s) {
  return s->out != NULL ? bytes_len(&s->out->queue) : 0;
}

/* Bytes that were written and not yet sent: those, and what a session holds. */
static inline size_t stream_unsent(const struct stream *s) {
  return stream_queued(s) + (s->session != NULL ? s->session->held : 0);
}

/* Keeps up to `room` bytes back, or none (BUFFER_NO) once what is there has
 * been sent. Returns 0 or -ENOMEM. */
int stream_buffer(struct stream *s, enum stream_buffering how, uint32_t room);

/* As shutdown(2), of the session if there is one. */
int stream_shutdown(struct stream *s, int how);

/* "socket", "pipe"...: for messages. */
const char *stream_kindname(const struct stream *s);

static inline bool stream_isopen(const struct stream *s) {
  return s->watch.fd >= 0;
}

/* Receives once: all that is there, up to a limit; more than `hint` bytes
 * only if they come along. Returns the number, -EAGAIN, ERR_EOF, or what
 * ended the stream. */
ssize_t stream_fill(struct stream *s, struct scratch *scratch, size_t hint);

/* Receives once from a channel that keeps borders: at least a part of a record,
 * which lies at *at and is in the queue only once stream_keep says so. Returns
 * as stream_fill. */
ssize_t stream_fillrecord(struct stream *s, struct scratch *scratch,
                          struct record *r, char **at);
void stream_keep(struct stream *s, size_t n);

/* Sends what it can of a record, as stream_send does of bytes. */
ssize_t stream_sendrecord(struct stream *s, const struct iovec *iov, int n,
                          const struct record *r);

/* Looks in the queue, from `from` bytes after its head, for what is wanted.
 * Returns where it ends; *len gets the length without what is dropped (a
 * line's end). -EAGAIN: not there yet; -EMSGSIZE: over its limit; ERR_EOF or
 * the failure that ended the stream: it will never be there. */
ssize_t stream_find(struct stream *s, const struct want *want, size_t from,
                    size_t *len);

/* How many more bytes are surely needed for what stream_find lacked. */
size_t stream_lacks(const struct stream *s, const struct want *want,
                    size_t from);

/* Sends what it can of the queue and then of the n blocks. Returns how many
 * bytes of the blocks were taken (possibly 0), or a failure before any was:
 * -EAGAIN, -errno. */
ssize_t stream_send(struct stream *s, const struct iovec *iov, int n);

/* Takes the descriptors that came with the byte at the head of the queue, and
 * that byte. Returns their number (0: none there), -EMSGSIZE if they were
 * lost, -EBUSY if other bytes come first. */
int stream_takefds(struct stream *s, int fds[FD_MAXPASS]);

/* Lets go of the descriptor without closing it: it leaves the poller, and
 * what was queued is freed. Who waits wakes with ERR_CLOSED. */
void stream_detach(struct stream *s, struct loop *l);

/* Lets go of descriptor and memory; who waits wakes with ERR_CLOSED. Harmless
 * on a closed stream. Returns 0 or -errno. */
int stream_close(struct stream *s, struct loop *l);

#endif
