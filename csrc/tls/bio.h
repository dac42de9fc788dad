/* SPDX-License-Identifier: MIT
 * OpenSSL reads and writes by a channel. */
#ifndef NEAP_TLS_BIO_H
#define NEAP_TLS_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>

#include "io/channel.h"

/* Once for each process; harmless again. Returns 0 or -1. */
int tls_bio_setup(void);

/* How often one call may read without a byte for its caller: records that carry
 * none cost the peer little, and us much. */
enum { TLS_BIO_READS = 4 };

/* Over what is under `over` when it is used. What that does not take is held,
 * and counted in over->held: so what OpenSSL has made a record of is never
 * asked for again. *err is what failed last, 0 if nothing did. *reads counts
 * reads; at TLS_BIO_READS they are to be tried again. NULL if there is no
 * memory. */
BIO *tls_bio_new(struct channel *over, int *err, unsigned *reads);

/* The kernel may take over what a session encrypts (kTLS), where it can. Which
 * directions it has taken over is told by the other two. */
void tls_bio_offerkernel(BIO *bio);
bool tls_bio_kernelsends(BIO *bio);
bool tls_bio_kernelreceives(BIO *bio);

/* Whether all that is written is held, to go down as one. */
void tls_bio_gather(BIO *bio, bool gathers);

/* What is held goes down: 0 once all has, -EAGAIN, or a failure. */
int tls_bio_flush(BIO *bio);

#endif
