/* SPDX-License-Identifier: MIT */
#include "tls/dtlsbio.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static BIO_METHOD *method;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

/* A datagram is given once, or as often as it is only looked at. */
static int bio_read(BIO *bio, char *buf, size_t len, size_t *got) {
  struct dtls *d = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  *got = 0;
  if (d->in == NULL) {
    BIO_set_retry_read(bio);
    return 0;
  }
  *got = d->inlen < len ? d->inlen : len;
  memcpy(buf, d->in, *got);
  if (!d->peeks)
    d->in = NULL;
  return *got > 0;
}

static int make_room(struct dtls *d, size_t len) {
  size_t room = d->outroom > 0 ? d->outroom : 2048;
  char *more;
  if (d->outat == d->outlen) /* all was taken */
    d->outat = d->outlen = 0;
  while (room - d->outlen < len)
    room *= 2;
  if (room == d->outroom)
    return 0;
  more = realloc(d->out, room);
  if (more == NULL)
    return -1;
  d->out = more;
  d->outroom = room;
  return 0;
}

/* What there is no room for is lost, as datagrams are. */
static int bio_write(BIO *bio, const char *buf, size_t len, size_t *put) {
  struct dtls *d = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  *put = len;
  if (d->outlen - d->outat + sizeof len + len > DTLS_MAXOUT ||
      make_room(d, sizeof len + len) < 0)
    return 1;
  memcpy(d->out + d->outlen, &len, sizeof len);
  memcpy(d->out + d->outlen + sizeof len, buf, len);
  d->outlen += sizeof len + len;
  return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
  struct dtls *d = BIO_get_data(bio);
  (void)pointer;
  switch (command) {
  case BIO_CTRL_FLUSH:
  case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
    return 1;
  case BIO_CTRL_DGRAM_SET_PEEK_MODE:
    d->peeks = number != 0;
    return 1;
  case BIO_CTRL_DGRAM_QUERY_MTU:
  case BIO_CTRL_DGRAM_GET_MTU:
  case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
    return (long)d->mtu;
  case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
    return 28; /* of IPv4 and UDP */
  default:
    return 0;
  }
}

static int bio_create(BIO *bio) {
  BIO_set_init(bio, 1);
  return 1;
}

static void setup(void) {
  int index = BIO_get_new_index();
  method = index != -1
             ? BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, "neap datagrams")
             : NULL;
  if (method == NULL)
    return;
  BIO_meth_set_read_ex(method, bio_read);
  BIO_meth_set_write_ex(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
  BIO_meth_set_create(method, bio_create);
}

int dtls_setup(void) {
  return CRYPTO_THREAD_run_once(&once, setup) && method != NULL ? 0 : -1;
}

BIO *dtls_bio_new(struct dtls *d) {
  BIO *bio = BIO_new(method);
  if (bio != NULL)
    BIO_set_data(bio, d);
  return bio;
}
