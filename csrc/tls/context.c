/* SPDX-License-Identifier: MIT */
#include "tls/context.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "tls/dtls.h"
#include "tls/ocsp.h"
#include "tls/psk.h"
#include "tls/ticket.h"
#include "tls/verify.h"

enum { SECURITY_LEVEL = 2, DEPTH = 10 };

const char *tls_error(char *text, size_t len) {
  unsigned long e = ERR_peek_last_error();
  const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;
  if (len > 0) {
    text[0] = '\0';
    strncat(text, reason != NULL ? reason : "OpenSSL failed", len - 1);
  }
  ERR_clear_error();
  return text;
}

struct tls_context *tls_context_of(const SSL *ssl) {
  return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static int ok(int result) {
  return result == 1 ? 0 : -1;
}

/* ---- protocols ---- */

static int accept_name(SSL *ssl, int *alert, void *arg) {
  (void)ssl;
  (void)alert;
  (void)arg;
  return SSL_TLSEXT_ERR_OK;
}

/* Ours come first; nothing in common is an alert (RFC 7301 section 3.2). */
static int choose_alpn(SSL *ssl, const unsigned char **out,
                       unsigned char *outlen, const unsigned char *in,
                       unsigned inlen, void *arg) {
  struct tls_context *c = arg;
  unsigned char *chosen;
  (void)ssl;
  if (SSL_select_next_proto(&chosen, outlen, c->alpn, (unsigned)c->alpnlen, in,
                            inlen) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int tls_context_alpn(struct tls_context *c, const void *wire, size_t len) {
  c->alpn = malloc(len);
  if (c->alpn == NULL)
    return -1;
  memcpy(c->alpn, wire, len);
  c->alpnlen = len;
  SSL_CTX_set_alpn_select_cb(c->ctx, choose_alpn, c);
  return SSL_CTX_set_alpn_protos(c->ctx, wire, (unsigned)len) == 0 ? 0 : -1;
}

/* ---- opening ---- */

int tls_context_open(struct tls_context *c, bool datagrams) {
  memset(c, 0, sizeof *c);
  c->datagrams = datagrams;
  c->ctx = SSL_CTX_new(datagrams ? DTLS_method() : TLS_method());
  if (c->ctx == NULL)
    return -1;
  if (datagrams)
    dtls_context_setup(c->ctx);
  SSL_CTX_set_security_level(c->ctx, SECURITY_LEVEL);
  SSL_CTX_set_options(c->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                SSL_OP_CIPHER_SERVER_PREFERENCE |
                                SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                             SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(c->ctx, 1);
  SSL_CTX_set_verify_depth(c->ctx, DEPTH);
  SSL_CTX_set_app_data(c->ctx, c);
  tls_kept_setup(c);
  tls_names_setup(c);
  SSL_CTX_set_dh_auto(c->ctx, 1);
  SSL_CTX_set_tlsext_servername_callback(c->ctx, accept_name);
  tls_verify_setup(c);
  tls_ocsp_setup(c);
  if (tls_tickets_setup(c) < 0)
    return -1;
  return tls_context_versions(c, TLS1_2_VERSION, 0);
}

void tls_context_close(struct tls_context *c) {
  tls_kept_close(c);
  tls_tickets_close(c);
  tls_psk_close(c);
  tls_names_close(c);
  tls_ocsp_close(c);
  free(c->alpn);
  c->alpn = NULL;
  SSL_CTX_free(c->ctx);
  c->ctx = NULL;
}

/* The numbers of DTLS count down; -1 is of no version. */
static int of_datagrams(int version) {
  if (version == TLS1_2_VERSION)
    return DTLS1_2_VERSION;
#ifdef DTLS1_3_VERSION
  if (version == TLS1_3_VERSION)
    return DTLS1_3_VERSION;
#endif
  return version == 0 ? 0 : -1;
}

int tls_context_versions(struct tls_context *c, int min, int max) {
  if (c->datagrams) {
    min = of_datagrams(min);
    max = of_datagrams(max);
  }
  return SSL_CTX_set_min_proto_version(c->ctx, min) == 1
           ? ok((int)SSL_CTX_set_max_proto_version(c->ctx, max))
           : -1;
}
