/* SPDX-License-Identifier: MIT
 * Whether a certificate is for a host (RFC 9525): by subjectAltName alone. */
#include "tls/x509in.h"

#include <openssl/err.h>
#include <string.h>

enum { MAXHOST = 253, MAXLABEL = 63 };

/* Without a root's dot, brackets, or the zone of an address. */
static void strip(const char **host, size_t *len) {
  const char *zone;
  if (*len > 2 && (*host)[0] == '[' && (*host)[*len - 1] == ']') {
    ++*host;
    *len -= 2;
  }
  zone = memchr(*host, '%', *len);
  if (zone != NULL && memchr(*host, ':', *len) != NULL)
    *len = (size_t)(zone - *host);
  if (*len > 0 && (*host)[*len - 1] == '.')
    --*len;
}

static bool in_label(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Whether it can be a host's name: labels of ASCII, the last no number. */
static bool is_host(const char *host, size_t len) {
  size_t i, label = 0, digits = 0;
  if (len == 0 || len > MAXHOST)
    return false;
  for (i = 0; i < len; i++) {
    if (host[i] == '.') {
      if (label == 0)
        return false;
      label = digits = 0;
      continue;
    }
    if (!in_label(host[i]) || ++label > MAXLABEL)
      return false;
    digits += host[i] >= '0' && host[i] <= '9';
  }
  return label > 0 && digits < label;
}

static char lower(char c) {
  return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* In no locale. */
static bool same(const char *a, const char *b, size_t len) {
  size_t i;
  for (i = 0; i < len; i++)
    if (lower(a[i]) != lower(b[i]))
      return false;
  return true;
}

/* A star stands for the whole left-most label, and never for what would be
 * below a single label (*.com). */
static bool name_matches(const char *name, size_t n, const char *host,
                         size_t len) {
  const char *dot;
  if (n == len && same(name, host, len))
    return true;
  dot = memchr(host, '.', len);
  if (n < 3 || name[0] != '*' || name[1] != '.' || dot == NULL ||
      memchr(name + 2, '.', n - 2) == NULL)
    return false;
  len -= (size_t)(dot - host);
  return n - 1 == len && same(name + 1, dot, len);
}

bool cert_matches(X509 *cert, const char *host, size_t len) {
  unsigned char ip[16];
  GENERAL_NAMES *names;
  bool matches = false;
  size_t iplen;
  int i;
  strip(&host, &len);
  iplen = cert_ip(host, len, ip);
  ERR_clear_error();
  if (iplen == 0 && !is_host(host, len))
    return false;
  names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  for (i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    const ASN1_STRING *value = name->d.ia5;
    if (name->type != (iplen > 0 ? GEN_IPADD : GEN_DNS))
      continue;
    const char *data = (const char *)ASN1_STRING_get0_data(value);
    size_t n = (size_t)ASN1_STRING_length(value);
    if (iplen > 0)
      matches = matches || (n == iplen && memcmp(data, ip, n) == 0);
    else
      matches = matches || name_matches(data, n, host, len);
  }
  GENERAL_NAMES_free(names);
  ERR_clear_error();
  return matches;
}
