/* SPDX-License-Identifier: MIT
 * The associations of ends: which there are, of those that have many. */
#include "usrsctp/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <usrsctp.h>

void us_end_name(struct sockaddr_conn *name, const struct us_peer *p,
                 uint16_t remote) {
  memset(name, 0, sizeof *name);
  name->sconn_family = AF_CONN;
  name->sconn_port = htons(remote);
  name->sconn_addr = p->handle;
}

uint32_t us_end_association(struct us_end *e, const struct us_peer *p,
                            uint16_t remote) {
  struct sockaddr_conn name;
  us_end_name(&name, p, remote);
  return usrsctp_getassocid(e->so, (struct sockaddr *)&name);
}

static struct us_link *find_link(struct us_end *e, const struct us_peer *p,
                                 uint16_t remote) {
  struct us_link *l = e->links;
  while (l != NULL && (l->peer != p || l->remote != remote))
    l = l->next;
  return l;
}

struct us_link *us_link_add(struct us_end *e, struct us_peer *p,
                            uint16_t remote) {
  struct us_link *l = find_link(e, p, remote);
  if (l != NULL || (l = calloc(1, sizeof *l)) == NULL)
    return l;
  p->refs++;
  l->peer = p;
  l->remote = remote;
  l->next = e->links;
  e->links = l;
  return l;
}

static void free_link(struct us_link **at) {
  struct us_link *l = *at;
  *at = l->next;
  us_peer_drop(l->peer);
  free(l);
}

static void ask_to_end(struct us_end *e, uint32_t association, uint16_t how) {
  struct sctp_sndinfo info;
  memset(&info, 0, sizeof info);
  info.snd_flags = how;
  info.snd_assoc_id = association;
  usrsctp_sendv(e->so, "", 0, NULL, 0, &info, sizeof info, SCTP_SENDV_SNDINFO,
                0);
}

static int state_of(struct us_end *e, uint32_t association) {
  struct sctp_status status;
  socklen_t len = sizeof status;
  memset(&status, 0, sizeof status);
  status.sstat_assoc_id = association;
  return usrsctp_getsockopt(e->so, IPPROTO_SCTP, SCTP_STATUS, &status, &len) < 0
           ? -errno
           : status.sstat_state;
}

/* Those whose association is over go; one that begins with whom the network
 * does not reach is given up. */
void us_link_sweep(struct us_end *e) {
  struct us_link **at = &e->links;
  while (*at != NULL) {
    struct us_link *l = *at;
    uint32_t id = us_end_association(e, l->peer, l->remote);
    if (id != 0 && l->peer->error != 0 && state_of(e, id) == SCTP_COOKIE_WAIT)
      ask_to_end(e, id, SCTP_ABORT);
    if (id == 0)
      free_link(at);
    else
      at = &l->next;
  }
}

struct us_link *us_end_link(struct us_end *e, uint32_t association) {
  struct us_link *l = e->links;
  while (l != NULL && us_end_association(e, l->peer, l->remote) != association)
    l = l->next;
  return l;
}

bool us_end_isover(struct us_end *e) {
  uint32_t count = 0;
  socklen_t len = sizeof count;
  if (e->kind != US_MANY)
    return state_of(e, 0) < 0;
  return usrsctp_getsockopt(e->so, IPPROTO_SCTP, SCTP_GET_ASSOC_NUMBER, &count,
                            &len) < 0 ||
         count == 0;
}

void us_link_finish(struct us_end *e) {
  struct us_link *l;
  usrsctp_listen(e->so, 0);
  for (l = e->links; l != NULL; l = l->next) {
    uint32_t id = us_end_association(e, l->peer, l->remote);
    if (id != 0)
      ask_to_end(e, id, SCTP_EOF);
  }
}

void us_link_free(struct us_end *e) {
  while (e->links != NULL)
    free_link(&e->links);
}
