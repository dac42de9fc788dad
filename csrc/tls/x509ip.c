/* SPDX-License-Identifier: MIT
 * IP addresses as text and back. */
#include "tls/x509in.h"

#include <stdio.h>
#include <string.h>

/* OpenSSL's reader is lax with what no address should have. */
static bool looks_well(const char *text, size_t len) {
  bool ip6 = memchr(text, ':', len) != NULL;
  size_t i, dots = 0, digits = 0;
  for (i = 0; i < len; i++) {
    if (text[i] == '.') {
      dots++;
      digits = 0;
    } else if (text[i] >= '0' && text[i] <= '9') {
      if (!ip6 && digits == 1 && text[i - 1] == '0')
        return false;
      digits++;
    } else if (!ip6 || strchr(":abcdefABCDEF", text[i]) == NULL) {
      return false;
    }
  }
  return ip6 ? dots == 0 || dots == 3 : dots == 3;
}

size_t cert_ip(const char *text, size_t len, unsigned char ip[16]) {
  char copy[CERT_IPTEXT];
  ASN1_OCTET_STRING *found;
  size_t n;
  if (len == 0 || len >= sizeof copy || memchr(text, '\0', len) != NULL ||
      !looks_well(text, len))
    return 0;
  memcpy(copy, text, len);
  copy[len] = '\0';
  found = a2i_IPADDRESS(copy);
  if (found == NULL)
    return 0;
  n = (size_t)ASN1_STRING_length(found);
  memcpy(ip, ASN1_STRING_get0_data(found), n);
  ASN1_OCTET_STRING_free(found);
  return n;
}

static unsigned group(const unsigned char *ip, int i) {
  return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

/* The longest run of at least two zero groups, the first of equals. */
static int longest_run(const unsigned char *ip, int *len) {
  int i, run = 0, at = -1;
  *len = 1;
  for (i = 0; i < 8; i++) {
    run = group(ip, i) == 0 ? run + 1 : 0;
    if (run > *len) {
      *len = run;
      at = i - run + 1;
    }
  }
  return at;
}

/* As RFC 5952 writes it. */
static void ip6_text(const unsigned char *ip, char *to) {
  int i, len, run = longest_run(ip, &len);
  for (i = 0; i < 8; i++) {
    if (i == run) {
      *to++ = ':';
      i += len - 1;
      if (i == 7)
        *to++ = ':';
      continue;
    }
    to += sprintf(to, "%s%x", i > 0 ? ":" : "", group(ip, i));
  }
  *to = '\0';
}

const char *cert_iptext(const unsigned char *ip, size_t n,
                        char text[CERT_IPTEXT]) {
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (n == 4)
    snprintf(text, CERT_IPTEXT, "%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3]);
  else if (memcmp(ip, mapped, sizeof mapped) == 0)
    snprintf(text, CERT_IPTEXT, "::ffff:%d.%d.%d.%d", ip[12], ip[13], ip[14],
             ip[15]);
  else
    ip6_text(ip, text);
  return text;
}
