/* SPDX-License-Identifier: MIT */
/*
 * slow - requests for pyfuse3, and its answers
 *
 * Theory.  A SOCK_SEQPACKET pair looks to libfuse like /dev/fuse: one read a request, one write
 * a reply.  The first packet is an INIT of our own making, cut down to what libfuse 3.14 knows;
 * its reply is swallowed.  Requests wait in the socket until the slow path reads them.  Replies
 * go to the device as they are; unique 0 is a notification and passes too.
 *
 * What is under way is remembered, so that nobody waits for ever if the slow path cannot be
 * started: what nobody has read is answered by the core, the rest with EIO.
 *
 * Two things do not pass: a packet that the socket could not hold (request or reply), and use
 * of a handle that the core made (TMPFILE, which pyfuse3 does not know).  The core answers those.
 */
#ifndef LAMINA_SLOW_H
#define LAMINA_SLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "serve.h"

struct lam_slow *lam_slow_new(struct lam_server *srv); /* NULL: errno says why */
void lam_slow_free(struct lam_slow *slow);	       /* NULL is fine */
int lam_slow_peer_fd(const struct lam_slow *slow);

/* "user.lamina.": requests in the guise of extended attributes. */
bool lam_slow_is_control(const char *name);

bool lam_slow_failed(const struct lam_slow *slow);
bool lam_slow_fits(const struct lam_slow *slow, const struct lam_req *req);

/*
 * lam_slow_send() - hand a request over
 *
 * -LAM_EAGAIN: the socket is full and this worker may not wait.  Other errors: the slow path is
 * gone, the core has to answer.
 */
int lam_slow_send(struct lam_slow *slow, const struct lam_req *req);

/* The keeper's: a descriptor to poll, -1 once there is nothing to come; carry over what is there. */
int lam_slow_relay_fd(const struct lam_slow *slow);
void lam_slow_relay(struct lam_slow *slow);

void lam_slow_give_up(struct lam_slow *slow);

/* Handles that the core made while the slow path makes the others. */
void lam_slow_own_handle(struct lam_slow *slow, uint64_t fh);
void lam_slow_disown_handle(struct lam_slow *slow, uint64_t fh);
bool lam_slow_owns_handle(struct lam_slow *slow, uint64_t fh);

#endif
