/* SPDX-License-Identifier: MIT */
#include "tls/extra.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

int tls_export(struct tls_session *s, const char *label, size_t labellen,
               const void *context, size_t contextlen, void *out, size_t len) {
  int r = SSL_export_keying_material(s->ssl, out, len, label, labellen, context,
                                     contextlen, context != NULL);
  return r == 1 ? 0 : -1;
}

/* ---- channel bindings ---- */

/* Two connections of TLS 1.2 may have the same secrets without it. */
static bool is_unique(SSL *ssl) {
  return SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
}

static int exporter(struct tls_session *s, unsigned char *out) {
  static const char label[] = "EXPORTER-Channel-Binding";
  return is_unique(s->ssl) &&
             tls_export(s, label, sizeof label - 1, "", 0, out, 32) == 0
           ? 32
           : -1;
}

/* The first Finished: a client's, or a server's that resumed. */
static int unique(struct tls_session *s, unsigned char *out) {
  bool ours = !SSL_is_server(s->ssl) != !!SSL_session_reused(s->ssl);
  size_t n;
  if (SSL_version(s->ssl) >= TLS1_3_VERSION || !is_unique(s->ssl))
    return -1;
  n = ours ? SSL_get_finished(s->ssl, out, TLS_MAXBINDING)
           : SSL_get_peer_finished(s->ssl, out, TLS_MAXBINDING);
  return n > 0 && n <= TLS_MAXBINDING ? (int)n : -1;
}

/* The certificate's hash, by what it was signed with; what is too weak by
 * SHA-256. */
static int end_point(struct tls_session *s, unsigned char *out) {
  bool server = SSL_is_server(s->ssl);
  X509 *cert =
    server ? SSL_get_certificate(s->ssl) : SSL_get1_peer_certificate(s->ssl);
  const EVP_MD *md = NULL;
  unsigned n = 0;
  int digest = NID_undef;
  if (cert == NULL)
    return -1;
  if (X509_get_signature_info(cert, &digest, NULL, NULL, NULL) == 1)
    md = EVP_get_digestbynid(digest);
  if (digest == NID_md5 || digest == NID_sha1)
    md = EVP_sha256();
  if (md == NULL || X509_digest(cert, md, out, &n) != 1)
    n = 0;
  if (!server)
    X509_free(cert);
  return n > 0 ? (int)n : -1;
}

int tls_binding(struct tls_session *s, const char *kind,
                unsigned char out[TLS_MAXBINDING], const char **why) {
  int n;
  if (strcmp(kind, "tls-exporter") == 0) {
    *why = "the connection has no extended master secret";
    n = exporter(s, out);
  } else if (strcmp(kind, "tls-unique") == 0) {
    *why = "only TLS 1.2 with an extended master secret has it";
    n = unique(s, out);
  } else {
    *why = "the certificate's signature names no digest";
    n = end_point(s, out);
  }
  ERR_clear_error();
  return n;
}

/* ---- new keys ---- */

int tls_rekey(struct tls_session *s, bool asks, const char **why) {
  int r;
  *why = NULL;
  if (SSL_version(s->ssl) < TLS1_3_VERSION)
    *why = "only TLS 1.3 has it";
  else if (s->base.direct)
    *why = "the kernel has the keys";
  if (*why != NULL)
    return -1;
  ERR_clear_error();
  r = SSL_key_update(s->ssl, asks ? SSL_KEY_UPDATE_REQUESTED
                                  : SSL_KEY_UPDATE_NOT_REQUESTED);
  if (r == 1)
    r = SSL_do_handshake(s->ssl);
  if (r == 1)
    return 0;
  *why = "OpenSSL would not";
  ERR_clear_error();
  return -1;
}
