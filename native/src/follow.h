/* SPDX-License-Identifier: MIT */
/*
 * follow - the hot thread stays on its client's CPU
 *
 * Theory.  Most of a request's time is the wake-up of another CPU.  A reader that sits on the
 * CPU where the requesting thread last ran needs none; one that has the class SCHED_IDLE leaves
 * that CPU looking idle, so that the scheduler puts the answered client back there.
 *
 * Danger: beside a busy thread a SCHED_IDLE thread starves.  So it is entered from SCHED_OTHER
 * only, after some requests in which neither this thread waited for a CPU nor the machine was
 * crowded.  Then the thread watches how long it waits, and the keeper watches the thread
 * (watch.h).  Where it starves it turns back, for some seconds; where it may not (leaving
 * SCHED_IDLE takes CAP_SYS_NICE or RLIMIT_NICE) the keeper starts a successor, and there the
 * pause is longer, as a second mistake would cost a second of waiting.
 */
#ifndef LAMINA_FOLLOW_H
#define LAMINA_FOLLOW_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "watch.h"

#define LAM_FOLLOW_KNOWN 16 /* clients whose CPU was looked up of late */

struct lam_follow {
	struct lam_watch *watch;
	bool wanted;
	bool follows; /* SCHED_IDLE, and pinned to 'cpu' */
	int schedstat_fd;
	int loadavg_fd;
	int cpu;
	int64_t quiet_until;   /* CLOCK_MONOTONIC seconds: do not follow before */
	uint32_t until_sample; /* requests until the client's CPU is looked up again */
	uint32_t until_check;  /* requests until the waiting time is looked at again */
	uint32_t window;       /* requests between the last check and the next */
	uint64_t waited_ns;    /* at the last check */
	uint32_t known[LAM_FOLLOW_KNOWN];
	cpu_set_t allowed; /* where this thread may run at all */
};

/* Whether this process may leave SCHED_IDLE, tried by a thread of its own. */
bool lam_follow_can_return(void);

void lam_follow_begin(struct lam_follow *follow, struct lam_watch *watch, bool wanted, int64_t quiet_until);
void lam_follow_end(struct lam_follow *follow);

/*
 * lam_follow_request() - for each request, with its header's pid
 *
 * True: this thread starves and cannot turn back; let another one take over, with this one's
 * 'quiet_until'.
 */
bool lam_follow_request(struct lam_follow *follow, uint32_t pid);

#endif
