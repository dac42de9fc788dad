/* SPDX-License-Identifier: MIT */
#include "tls/x509out.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* It may have held a private key. */
void cert_out_free(struct cert_out *o) {
  if (o->data != NULL)
    OPENSSL_cleanse(o->data, o->room);
  free(o->data);
  o->data = NULL;
  o->len = o->room = 0;
}

static bool reserve(struct cert_out *o, size_t n) {
  size_t room = o->room > 0 ? o->room : 256;
  char *data;
  if (o->failed || n > SIZE_MAX / 4 - o->len) {
    o->failed = true;
    return false;
  }
  while (room < o->len + n)
    room *= 2;
  if (room == o->room)
    return true;
  data = malloc(room);
  if (data == NULL) {
    o->failed = true;
    return false;
  }
  if (o->data != NULL) {
    memcpy(data, o->data, o->len);
    OPENSSL_cleanse(o->data, o->room);
    free(o->data);
  }
  o->data = data;
  o->room = room;
  return true;
}

void cert_put(struct cert_out *o, const void *bytes, size_t n) {
  if (n == 0 || !reserve(o, n))
    return;
  memcpy(o->data + o->len, bytes, n);
  o->len += n;
}

void cert_puttext(struct cert_out *o, const char *text) {
  cert_put(o, text, strlen(text));
}

/* ---- rows: a byte of the kind, the name with its NUL, eight bytes of value
 * or length, the bytes ---- */

static void item(struct cert_out *o, char kind, const char *name,
                 int64_t value) {
  cert_put(o, &kind, 1);
  cert_put(o, name, strlen(name) + 1);
  cert_put(o, &value, sizeof value);
}

void cert_row(struct cert_out *o) {
  item(o, CERT_ROW, "", 0);
}

size_t cert_begin(struct cert_out *o, const char *name) {
  item(o, CERT_BYTES, name, 0);
  return o->len;
}

void cert_end(struct cert_out *o, size_t begun) {
  int64_t n = (int64_t)(o->len - begun);
  if (!o->failed)
    memcpy(o->data + begun - sizeof n, &n, sizeof n);
}

void cert_field(struct cert_out *o, const char *name, const void *bytes,
                size_t n) {
  size_t begun = cert_begin(o, name);
  cert_put(o, bytes, n);
  cert_end(o, begun);
}

void cert_textfield(struct cert_out *o, const char *name, const char *text) {
  cert_field(o, name, text, strlen(text));
}

void cert_integer(struct cert_out *o, const char *name, int64_t value) {
  item(o, CERT_INTEGER, name, value);
}

void cert_flag(struct cert_out *o, const char *name, bool value) {
  item(o, CERT_FLAG, name, value);
}

bool cert_next(const struct cert_out *o, size_t *at, struct cert_item *i) {
  const char *from = o->data + *at;
  if (*at == o->len)
    return false;
  i->kind = (unsigned char)*from;
  i->name = from + 1;
  from = i->name + strlen(i->name) + 1;
  memcpy(&i->value, from, sizeof i->value);
  i->bytes = from + sizeof i->value;
  i->len = i->kind == CERT_BYTES ? (size_t)i->value : 0;
  *at = (size_t)(i->bytes - o->data) + i->len;
  return true;
}

/* ---- how it ended ---- */

int cert_fail(struct cert_out *o, int err, const char *what) {
  unsigned long first = ERR_peek_error();
  const char *reason = first != 0 ? ERR_reason_error_string(first) : NULL;
  if (o->failed || ERR_GET_REASON(first) == ERR_R_MALLOC_FAILURE) {
    err = CERT_ENOMEM;
    reason = NULL;
    what = "not enough memory";
  }
  snprintf(o->why, sizeof o->why, "%s%s%s", what, reason != NULL ? ": " : "",
           reason != NULL ? reason : "");
  ERR_clear_error();
  return err;
}

int cert_done(struct cert_out *o) {
  ERR_clear_error();
  return o->failed ? cert_fail(o, CERT_ENOMEM, "not enough memory") : 0;
}
