/* SPDX-License-Identifier: MIT */
/*
 * dispatch - from a request's bytes to its handler
 *
 * Theory.  One table, indexed by opcode, says who answers and how long the opcode's structure
 * is.  The dispatcher checks all lengths before a handler sees the request, decides between
 * hot thread, pool and slow path, and turns a handler's errno into the reply.
 */
#ifndef LAMINA_DISPATCH_H
#define LAMINA_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "serve.h"

typedef int (*lam_handler)(struct lam_req *req);

#define LAM_OP_POOL 1u	  /* may wait for a disk: not on the hot thread */
#define LAM_OP_SILENT 2u  /* the kernel expects no reply */
#define LAM_OP_CONTROL 4u /* forwarded if the attribute's name is one of the slow path's */
#define LAM_OP_SLOW 8u	  /* pyfuse3 has a handler: may be forwarded */
#define LAM_OP_HANDLE 16u /* begins with a file handle that the slow path must have made */

struct lam_op {
	const char *name;    /* lower case; NULL: unknown */
	lam_handler handler; /* NULL: ENOSYS */
	uint16_t size;	     /* of the structure at least */
	uint16_t flags;	     /* LAM_OP_* */
};

const struct lam_op *lam_op(uint32_t opcode); /* never NULL */

/* Bits of the comma-separated opcode names, with those that make no sense alone; -EINVAL for an unknown one. */
int lam_op_parse(const char *names, uint64_t *bits);

/* Answers the request in 'worker->in', or hands it on. */
void lam_dispatch(struct lam_worker *worker);

#endif
