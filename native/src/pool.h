/* SPDX-License-Identifier: MIT */
/*
 * pool - threads for requests that may wait
 *
 * Theory.  A queue of requests and at most 'max' threads, none at first.  A thread is started
 * when a request comes and nobody is idle, and ends after some idle seconds.  Threads are
 * started by the keeper, never by the hot thread, which may run with a scheduling class that
 * its children could not leave.
 */
#ifndef LAMINA_POOL_H
#define LAMINA_POOL_H

#include <stdint.h>

struct lam_buf;
struct lam_pool;
struct lam_server;

struct lam_pool *lam_pool_new(struct lam_server *srv, uint32_t max); /* NULL: no memory */

/* Takes the buffer over.  Asks the keeper for a thread if need be. */
void lam_pool_submit(struct lam_pool *pool, struct lam_buf *buf);

/* The keeper's: start the threads that are wanted.  Does what is queued itself if none can be had. */
void lam_pool_spawn(struct lam_pool *pool);

/* Ends the threads when the queue is empty, and joins them.  No submission may follow. */
void lam_pool_stop(struct lam_pool *pool);
void lam_pool_free(struct lam_pool *pool); /* NULL is fine */

#endif
