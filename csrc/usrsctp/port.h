/* SPDX-License-Identifier: MIT
 * Ports as usrsctp knows them. */
#ifndef NEAP_USRSCTP_PORT_H
#define NEAP_USRSCTP_PORT_H

#include "usrsctp/carrier.h"

/* What no socket is ever bound to: where packets to ports that nobody has go,
 * so that usrsctp answers them. */
enum { US_NOPORT = 65535 };

/* The port of this number, or NULL. */
struct us_port *us_port_inner(uint16_t number);

#endif
