/* SPDX-License-Identifier: MIT */
#include "sys/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"

static const struct {
  int eai, err;
} codes[] = {
  {EAI_AGAIN,      ERR_EAI_AGAIN     },
  {EAI_BADFLAGS,   ERR_EAI_BADFLAGS  },
  {EAI_FAIL,       ERR_EAI_FAIL      },
  {EAI_FAMILY,     ERR_EAI_FAMILY    },
  {EAI_MEMORY,     ERR_EAI_MEMORY    },
  {EAI_NONAME,     ERR_EAI_NONAME    },
  {EAI_OVERFLOW,   ERR_EAI_OVERFLOW  },
  {EAI_SERVICE,    ERR_EAI_SERVICE   },
  {EAI_SOCKTYPE,   ERR_EAI_SOCKTYPE  },
#ifdef EAI_NODATA
  {EAI_NODATA,     ERR_EAI_NODATA    },
#endif
#ifdef EAI_ADDRFAMILY
  {EAI_ADDRFAMILY, ERR_EAI_ADDRFAMILY},
#endif
};

/* saved: errno after the call, which EAI_SYSTEM refers to. */
static int translate(int eai, int saved) {
  size_t i;
  if (eai == 0)
    return 0;
  if (eai == EAI_SYSTEM)
    return saved != 0 ? -saved : ERR_EAI_FAIL;
  for (i = 0; i < countof(codes); i++)
    if (codes[i].eai == eai)
      return codes[i].err;
  return ERR_EAI_FAIL;
}

static int copy(struct names_answer *a, const struct addrinfo *list) {
  const struct addrinfo *i;
  size_t n = 0;
  if (list != NULL && list->ai_canonname != NULL &&
      (a->host = strdup(list->ai_canonname)) == NULL)
    return ERR_EAI_MEMORY;
  for (i = list; i != NULL; i = i->ai_next)
    n++;
  if ((a->found = calloc(n + 1, sizeof *a->found)) == NULL)
    return ERR_EAI_MEMORY;
  for (i = list; i != NULL; i = i->ai_next) {
    struct names_found *f = &a->found[a->count];
    if (addr_raw(&f->addr, i->ai_addr, i->ai_addrlen) < 0)
      continue;
    f->family = i->ai_family;
    f->socktype = i->ai_socktype;
    f->protocol = i->ai_protocol;
    a->count++;
  }
  return 0;
}

static int forward(const struct names_query *q, struct names_answer *a) {
  struct addrinfo hints = {.ai_family = q->family,
                           .ai_socktype = q->socktype,
                           .ai_protocol = q->protocol,
                           .ai_flags = q->flags};
  struct addrinfo *list = NULL;
  int eai, err;
  errno = 0;
  eai = getaddrinfo(q->host, q->service, &hints, &list);
  if (eai != 0)
    return translate(eai, errno);
  err = copy(a, list);
  freeaddrinfo(list);
  return err;
}

static int reverse(const struct names_query *q, struct names_answer *a) {
  char host[NI_MAXHOST], service[NI_MAXSERV];
  int eai;
  errno = 0;
  eai = getnameinfo(&q->addr.u.sa, q->addr.len, host, sizeof host, service,
                    sizeof service, q->flags);
  if (eai != 0)
    return translate(eai, errno);
  a->host = strdup(host);
  a->service = strdup(service);
  return a->host != NULL && a->service != NULL ? 0 : ERR_EAI_MEMORY;
}

int names_ask(const struct names_query *q, struct names_answer *a) {
  int err;
  memset(a, 0, sizeof *a);
  err = q->addr.len > 0 ? reverse(q, a) : forward(q, a);
  if (err < 0)
    names_free(a);
  return err;
}

void names_free(struct names_answer *a) {
  free(a->found);
  free(a->host);
  free(a->service);
  memset(a, 0, sizeof *a);
}
