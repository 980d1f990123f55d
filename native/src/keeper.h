/* SPDX-License-Identifier: MIT */
/*
 * keeper - the thread that looks after the others
 *
 * Theory.  It sleeps in poll(2).  It starts pool threads, because the hot thread may run with
 * SCHED_IDLE and an unprivileged thread, or its child, cannot leave that class again; for the
 * same reason it watches a hot thread that follows (watch.h), and replaces it where it starves and
 * cannot turn back.  And it carries the slow path's replies to
 * the device, so that nothing but requests wakes the hot thread.
 */
#ifndef LAMINA_KEEPER_H
#define LAMINA_KEEPER_H

#include <stdint.h>

struct lam_keeper;
struct lam_server;

#define LAM_KEEP_POOL 1u /* the pool wants threads */
#define LAM_KEEP_HOT 2u	 /* the hot thread has ended and wants a successor */
#define LAM_KEEP_STOP 4u
#define LAM_KEEP_WATCH 8u /* the hot thread has begun to follow */

struct lam_keeper *lam_keeper_new(struct lam_server *srv); /* NULL: errno says why */

/* Starts itself and the hot thread. */
int lam_keeper_start(struct lam_keeper *keeper);

/* From any thread; 'wants' are LAM_KEEP_*. */
void lam_keeper_want(struct lam_keeper *keeper, uint32_t wants);

/* Ends the keeper and has the hot thread take no more requests; 'srv->stopping' is set. */
void lam_keeper_stop(struct lam_keeper *keeper);
/* After it, when nobody answers any more: ends the hot thread, through which the pool may have answered. */
void lam_keeper_dismiss(struct lam_keeper *keeper);
void lam_keeper_free(struct lam_keeper *keeper); /* NULL is fine */

#endif
