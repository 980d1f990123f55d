/* SPDX-License-Identifier: MIT */
/*
 * watch - the keeper's eye on a hot thread of class SCHED_IDLE
 *
 * Theory.  A thread that starves cannot help itself: it does not run.  Beside a busy thread of its
 * scheduling group (which an autogroup's share follows, by load) a SCHED_IDLE thread may wait for a
 * second.  So while requests come the keeper looks every few milliseconds (and where none come, it
 * polls the device for the first): no request done, runnable, and no time on a CPU means that it starves.  Then it is given back to all CPUs and, where the
 * process may do that (CAP_SYS_NICE, RLIMIT_NICE), to SCHED_OTHER at once; where it may not, the
 * thread is sent to other CPUs and makes room for a successor as soon as it runs.
 *
 * Threads: the hot thread arms, the keeper disarms; all is atomic.
 */
#ifndef LAMINA_WATCH_H
#define LAMINA_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LAM_WATCH_MS 4 /* two looks without any progress are a rescue */

struct lam_server;

struct lam_watch {
	atomic_int tid;	     /* of the hot thread while it is SCHED_IDLE, else 0 */
	atomic_bool armed;   /* the keeper knows of it */
	atomic_bool rescued; /* by the keeper; the hot thread takes note and leaves off following */
	/* The keeper's own. */
	bool looks;	   /* every LAM_WATCH_MS; else it waits for a request */
	int64_t next_ns;   /* CLOCK_MONOTONIC, of the next look */
	uint64_t requests; /* at the last look */
	uint64_t ran_ns;
};

/* Whether the hot thread has to tell the keeper that it follows. */
static inline bool lam_watch_wants_arming(struct lam_watch *watch)
{
	return atomic_load_explicit(&watch->tid, memory_order_relaxed) &&
	       !atomic_load_explicit(&watch->armed, memory_order_relaxed) &&
	       !atomic_exchange(&watch->armed, true);
}

/* For the keeper's poll(2): the device to wait for, or -1, and the time to wait. */
int lam_watch_fd(struct lam_server *srv);
int lam_watch_timeout(struct lam_server *srv);
/* After it; 'pending': the device had something. */
void lam_watch_look(struct lam_server *srv, bool pending);

#endif
