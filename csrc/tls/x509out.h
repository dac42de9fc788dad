/* SPDX-License-Identifier: MIT
 * What functions over certificates give out: bytes, or rows of fields, or the
 * reason why not. Its owner frees it, so that nobody else has to. */
#ifndef NEAP_TLS_X509OUT_H
#define NEAP_TLS_X509OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cert_err {
  CERT_EBADMSG = -1, /* what was given is none, or damaged */
  CERT_EACCES = -2,  /* a passphrase is missing or wrong */
  CERT_ENOMEM = -3,
  CERT_EINVAL = -4,  /* what was asked for makes none */
  CERT_ENOTSUP = -5, /* this OpenSSL cannot */
};

enum { CERT_WHYLEN = 160 };

struct cert_out {
  char *data;
  size_t len, room;
  bool failed; /* there was no memory */
  char why[CERT_WHYLEN];
};

/* All zeros is an empty one. */
void cert_out_free(struct cert_out *o);

/* ---- putting: a lack of memory is kept until cert_done ---- */

void cert_put(struct cert_out *o, const void *bytes, size_t n);
void cert_puttext(struct cert_out *o, const char *text);

/* A row begins; its fields follow. One without a name is the row itself. */
void cert_row(struct cert_out *o);
void cert_field(struct cert_out *o, const char *name, const void *bytes,
                size_t n);
void cert_textfield(struct cert_out *o, const char *name, const char *text);
void cert_integer(struct cert_out *o, const char *name, int64_t value);
void cert_flag(struct cert_out *o, const char *name, bool value);

/* The field that was begun ends here: what was put since is its value. */
size_t cert_begin(struct cert_out *o, const char *name);
void cert_end(struct cert_out *o, size_t begun);

/* Says why not: what, and OpenSSL's first reason, whose queue is emptied. The
 * result is `err`, or CERT_ENOMEM when that was the reason. */
int cert_fail(struct cert_out *o, int err, const char *what);

/* 0, or CERT_ENOMEM; OpenSSL's queue is emptied. */
int cert_done(struct cert_out *o);

/* ---- taking: what rows are read by ---- */

struct cert_item {
  enum { CERT_ROW, CERT_BYTES, CERT_INTEGER, CERT_FLAG } kind;
  const char *name;
  const char *bytes;
  size_t len;
  int64_t value;
};

/* The item at *at, which moves on. False at the end. */
bool cert_next(const struct cert_out *o, size_t *at, struct cert_item *item);

#endif
