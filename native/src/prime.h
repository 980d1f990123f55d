/* SPDX-License-Identifier: MIT */
/*
 * prime - tell the kernel at once that opens are stateless
 *
 * Theory.  The kernel learns that the server wants no OPEN and no FLUSH from the first of each
 * that is answered ENOSYS; until then every CREATE is followed by a RELEASE.  A mount that only
 * creates files would never send an OPEN.  So the server opens one file through its own mount:
 * one that exists in no layer, under a name drawn at random, known for the time of that open only
 * and answered here, past the core.
 *
 * Not done where the slow path answers requests (it is started later, by the thread that would
 * wait here).  Failure is none: RELEASE goes on until a client opens something.
 */
#ifndef LAMINA_PRIME_H
#define LAMINA_PRIME_H

#include "serve.h"

/* Beyond what the core hands out (node.h) and below LAM_ALIAS_BIT. */
#define LAM_PRIME_ID ((1ull << 62) | 1)

/* Whether a LOOKUP asks for the file of the moment. */
static inline bool lam_prime_pending(const struct lam_server *srv)
{
	return atomic_load_explicit(&srv->priming, memory_order_acquire);
}

bool lam_prime_is(const struct lam_req *req, const char *name);
int lam_prime_reply(const struct lam_req *req);

#endif
