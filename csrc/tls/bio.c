/* SPDX-License-Identifier: MIT */
#include "tls/bio.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct carried {
  struct channel *over;
  int *err;
  unsigned *reads;
  char *held; /* what goes down next is held[at .. len) */
  size_t at, len, room;
  BIO *kernel; /* kTLS: OpenSSL's own, over the descriptor; or NULL */
  bool offered, sends, receives;
  bool gathers;
};

static BIO_METHOD *method;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

/* ---- the kernel ---- */

/* A call of OpenSSL's on the descriptor itself. */
struct kernel_call {
  struct carried *c;
  int command; /* of BIO_ctrl; 0: read, -1: write */
  void *pointer;
  long number;
};

static long call_kernel(void *arg, int fd) {
  struct kernel_call *k = arg;
  long r;
  if (k->c->kernel == NULL)
    k->c->kernel = BIO_new_socket(fd, BIO_NOCLOSE);
  if (k->c->kernel == NULL)
    return -1;
  errno = 0;
  if (k->command > 0)
    return BIO_ctrl(k->c->kernel, k->command, k->number, k->pointer);
  r = k->command == 0 ? BIO_read(k->c->kernel, k->pointer, (int)k->number)
                      : BIO_write(k->c->kernel, k->pointer, (int)k->number);
  *k->c->err = r > 0                            ? 0
               : BIO_should_retry(k->c->kernel) ? -EAGAIN
               : r == 0 || errno == 0           ? CHANNEL_EOF
                                                : -errno;
  return r;
}

static long ask_kernel(struct carried *c, int command, void *pointer,
                       long number) {
  struct channel *under = c->over->under;
  struct kernel_call k = {c, command, pointer, number};
  return under != NULL && under->ops->guarded != NULL
           ? under->ops->guarded(under, call_kernel, &k)
           : 0;
}

static int move_kernel(BIO *bio, int command, void *buf, size_t len,
                       size_t *moved) {
  struct carried *c = BIO_get_data(bio);
  long n = ask_kernel(c, command, buf, len < INT_MAX ? (long)len : INT_MAX);
  BIO_clear_retry_flags(bio);
  *moved = n > 0 ? (size_t)n : 0;
  if (n <= 0 && *c->err == -EAGAIN)
    BIO_set_flags(bio, BIO_FLAGS_SHOULD_RETRY |
                         (command == 0 ? BIO_FLAGS_READ : BIO_FLAGS_WRITE));
  return n > 0;
}

/* These are not in the headers, but said there: what OpenSSL tells a BIO that
 * is to hand keys to the kernel, and to mark a record as one of control. */
enum { SET_KTLS = 72, SET_CONTROL = 74, CLEAR_CONTROL = 75 };

/* Only when nothing waits that is encrypted already. */
static long take_over(struct carried *c, bool sends, void *keys) {
  if (!c->offered || c->len > c->at ||
      ask_kernel(c, SET_KTLS, keys, sends) <= 0)
    return 0;
  if (sends)
    c->sends = c->over->direct = true;
  else
    c->receives = true;
  return 1;
}

void tls_bio_offerkernel(BIO *bio) {
  struct carried *c = BIO_get_data(bio);
  c->offered = true;
}

bool tls_bio_kernelsends(BIO *bio) {
  return ((struct carried *)BIO_get_data(bio))->sends;
}

bool tls_bio_kernelreceives(BIO *bio) {
  return ((struct carried *)BIO_get_data(bio))->receives;
}

/* ---- the methods ---- */

static int bio_read(BIO *bio, char *buf, size_t len, size_t *got) {
  struct carried *c = BIO_get_data(bio);
  struct channel *under = c->over->under;
  ssize_t n;
  if ((*c->reads)++ >= TLS_BIO_READS) {
    c->over->more = true;
    *c->err = -EAGAIN;
    *got = 0;
    BIO_clear_retry_flags(bio);
    BIO_set_retry_read(bio);
    return 0;
  }
  if (c->receives)
    return move_kernel(bio, 0, buf, len, got);
  n =
    under != NULL ? under->ops->read(under, buf, len) : (ssize_t)CHANNEL_CLOSED;
  BIO_clear_retry_flags(bio);
  c->over->drained = n > 0 && under->drained;
  c->over->more = n == -EAGAIN && under->more;
  *got = n > 0 ? (size_t)n : 0;
  *c->err = n < 0 ? (int)n : n == 0 ? CHANNEL_EOF : 0;
  if (n == -EAGAIN)
    BIO_set_retry_read(bio);
  return n > 0;
}

/* What was counted in over->held is what waits here and further down. */
static void count(struct carried *c) {
  struct channel *under = c->over->under;
  c->over->held = c->len - c->at + (under != NULL ? under->held : 0);
}

static ssize_t put_down(struct carried *c, const char *buf, size_t len) {
  struct channel *under = c->over->under;
  struct iovec iov = {(void *)buf, len};
  if (under == NULL)
    return CHANNEL_CLOSED;
  return under->ops->write(under, &iov, 1);
}

void tls_bio_gather(BIO *bio, bool gathers) {
  struct carried *c = BIO_get_data(bio);
  c->gathers = gathers && !c->offered; /* the kernel takes over in between */
}

int tls_bio_flush(BIO *bio) {
  struct carried *c = BIO_get_data(bio);
  struct channel *under = c->over->under;
  ssize_t n = 0;
  while (c->at < c->len) {
    n = put_down(c, c->held + c->at, c->len - c->at);
    if (n < 0)
      break;
    c->at += (size_t)n;
  }
  if (c->at == c->len) {
    free(c->held);
    c->held = NULL;
    c->at = c->len = c->room = 0;
    n = under != NULL && under->ops->flush != NULL && under->held > 0
          ? under->ops->flush(under)
          : 0;
  }
  count(c);
  c->over->want = CHANNEL_OUT;
  return n < 0 ? (int)n : 0;
}

/* More room, twice what is needed if it was not enough once; what has gone
 * down leaves. */
static int make_room(struct carried *c, size_t len) {
  size_t left = c->len - c->at, room = (left + len) * (left > 0 ? 2 : 1);
  char *more = malloc(room);
  if (more == NULL)
    return -ENOMEM;
  if (left > 0)
    memcpy(more, c->held + c->at, left);
  free(c->held);
  c->held = more;
  c->at = 0;
  c->len = left;
  c->room = room;
  return 0;
}

static int hold(struct carried *c, const char *buf, size_t len) {
  if (len > c->room - c->len && make_room(c, len) < 0)
    return -ENOMEM;
  memcpy(c->held + c->len, buf, len);
  c->len += len;
  return 0;
}

static int bio_write(BIO *bio, const char *buf, size_t len, size_t *put) {
  struct carried *c = BIO_get_data(bio);
  ssize_t n;
  if (c->sends)
    return move_kernel(bio, -1, (void *)buf, len, put);
  n = c->gathers || c->len > c->at ? 0 : put_down(c, buf, len);
  BIO_clear_retry_flags(bio);
  *put = 0;
  if (n == -EAGAIN)
    n = 0;
  if (n >= 0 && (size_t)n < len &&
      hold(c, buf + (size_t)n, len - (size_t)n) < 0)
    n = -ENOMEM;
  count(c);
  if (n < 0 && *c->err != CHANNEL_EOF) /* the first counts */
    *c->err = (int)n;
  if (n < 0)
    return 0;
  *put = len;
  return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
  struct carried *c = BIO_get_data(bio);
  switch (command) {
  case BIO_CTRL_FLUSH:
    return 1;
  case SET_KTLS:
    return take_over(c, number != 0, pointer);
  case SET_CONTROL:
  case CLEAR_CONTROL:
    return c->sends ? ask_kernel(c, command, pointer, number) : 0;
  case BIO_CTRL_GET_KTLS_SEND:
    return c->sends;
  case BIO_CTRL_GET_KTLS_RECV:
    return c->receives;
  case BIO_CTRL_EOF:
    return *c->err == CHANNEL_EOF;
  default:
    return 0;
  }
}

static int bio_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

static int bio_destroy(BIO *bio) {
  struct carried *c = BIO_get_data(bio);
  if (c != NULL) {
    BIO_free(c->kernel);
    free(c->held);
  }
  free(c);
  BIO_set_data(bio, NULL);
  return 1;
}

static void setup(void) {
  int index = BIO_get_new_index();
  method =
    index != -1 ? BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, "neap") : NULL;
  if (method == NULL)
    return;
  BIO_meth_set_read_ex(method, bio_read);
  BIO_meth_set_write_ex(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
  BIO_meth_set_create(method, bio_create);
  BIO_meth_set_destroy(method, bio_destroy);
}

int tls_bio_setup(void) {
  return CRYPTO_THREAD_run_once(&once, setup) && method != NULL ? 0 : -1;
}

BIO *tls_bio_new(struct channel *over, int *err, unsigned *reads) {
  struct carried *c = calloc(1, sizeof *c);
  BIO *bio = c != NULL ? BIO_new(method) : NULL;
  if (bio == NULL) {
    free(c);
    return NULL;
  }
  c->over = over;
  c->err = err;
  c->reads = reads;
  BIO_set_data(bio, c);
  return bio;
}
