/* SPDX-License-Identifier: MIT */
#include "usrsctp/notice.h"

#include <string.h>
#include <usrsctp.h>

/* Of whom a notification tells, whatever its kind. */
static uint32_t association_of(const union sctp_notification *n) {
  switch (n->sn_header.sn_type) {
  case SCTP_ASSOC_CHANGE:
    return n->sn_assoc_change.sac_assoc_id;
  case SCTP_PEER_ADDR_CHANGE:
    return n->sn_paddr_change.spc_assoc_id;
  case SCTP_REMOTE_ERROR:
    return n->sn_remote_error.sre_assoc_id;
  case SCTP_SEND_FAILED_EVENT:
    return n->sn_send_failed_event.ssfe_assoc_id;
  case SCTP_SHUTDOWN_EVENT:
    return n->sn_shutdown_event.sse_assoc_id;
  case SCTP_ADAPTATION_INDICATION:
    return n->sn_adaptation_event.sai_assoc_id;
  case SCTP_PARTIAL_DELIVERY_EVENT:
    return n->sn_pdapi_event.pdapi_assoc_id;
  case SCTP_AUTHENTICATION_EVENT:
    return n->sn_auth_event.auth_assoc_id;
  case SCTP_SENDER_DRY_EVENT:
    return n->sn_sender_dry_event.sender_dry_assoc_id;
  case SCTP_STREAM_RESET_EVENT:
    return n->sn_strreset_event.strreset_assoc_id;
  case SCTP_ASSOC_RESET_EVENT:
    return n->sn_assocreset_event.assocreset_assoc_id;
  case SCTP_STREAM_CHANGE_EVENT:
    return n->sn_strchange_event.strchange_assoc_id;
  default:
    return 0;
  }
}

/* A handle becomes an address. */
static void show_address(union sctp_notification *n) {
  struct sockaddr_storage *at = &n->sn_paddr_change.spc_aaddr;
  struct sockaddr_conn name;
  struct us_peer *p;
  memcpy(&name, at, sizeof name);
  p = us_peer_find(name.sconn_addr);
  memset(at, 0, sizeof *at);
  if (p != NULL)
    memcpy(at, &p->addr.u, p->addr.len);
}

bool us_notified(struct us_end *e, char *bytes, ssize_t n, int flags,
                 struct record *r) {
  union sctp_notification *what = (union sctp_notification *)(void *)bytes;
  bool first = !e->skips;
  unsigned type;
  e->skips = !(flags & MSG_EOR);
  if (!first || (size_t)n < sizeof what->sn_header)
    return false;
  type = what->sn_header.sn_type;
  if (type == SCTP_PARTIAL_DELIVERY_EVENT)
    e->cut = true;
  if (type == SCTP_PEER_ADDR_CHANGE &&
      (size_t)n >= sizeof(struct sctp_paddr_change))
    show_address(what);
  if (type > 15 || !(e->events & 1u << type))
    return false;
  if (r == NULL)
    return false;
  r->flags = RECORD_NOTIFICATION | RECORD_END;
  if ((size_t)n >= sizeof what->sn_shutdown_event)
    r->association = association_of(what);
  return true;
}
