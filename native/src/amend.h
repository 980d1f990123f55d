/* SPDX-License-Identifier: MIT */
/*
 * amend - what libfuse cannot hear or say, settled on the way to and from the slow path
 *
 * Theory.  pyfuse3 has one number for two identities, nodeid and st_ino.  Beside the fast path it
 * is the core's nodeid, since FORGET and half of the requests never reach Python.  So attributes
 * in its replies that carry a nodeid are replaced by the core's.  The kernel hashes sockets by
 * st_ino: a number that changes between MKNOD and GETATTR would make connect(2) fail.
 *
 * Requests that say "and clear setuid and setgid" are kept from libfuse, which drops that word.
 *
 * Threads: any; the core locks for itself.
 */
#ifndef LAMINA_AMEND_H
#define LAMINA_AMEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve.h"

enum lam_shape {
	LAM_SHAPE_OTHER,
	LAM_SHAPE_ENTRY,   /* begins with a struct fuse_entry_out */
	LAM_SHAPE_LISTING, /* of READDIRPLUS */
};

bool lam_amend_must_stay(const struct lam_req *req);
enum lam_shape lam_amend_shape(uint32_t opcode);
void lam_amend_reply(const struct lam_server *srv, enum lam_shape shape, void *data, size_t size);

#endif
