/* SPDX-License-Identifier: MIT */
/*
 * ring - one io_uring, by system calls alone
 *
 * Theory.  Submissions of 128 bytes, filled in place and handed over together by the call that also
 * waits.  The kernel's side of the work is done within that call (DEFER_TASKRUN), so completions
 * appear nowhere else, and the thread is never interrupted for them.
 *
 * Threads: whoever opens a ring is the only one that may use it; anybody may close it afterwards.
 * lam_ring_signals() is for one other thread.
 */
#ifndef LAMINA_RING_H
#define LAMINA_RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>

struct lam_ring {
	int fd; /* -1: not open */
	void *shared;
	size_t shared_size;
	unsigned char *sqes;
	size_t sqes_size;
	uint32_t *sq_tail, *cq_head, *cq_tail, *cq_flags;
	const struct io_uring_cqe *cqes;
	uint32_t sq_mask, cq_mask;
	uint32_t pending; /* submissions filled and not handed over */
};

/* 'entries' may be under way at once; they have room for one completion each. */
int lam_ring_open(struct lam_ring *ring, uint32_t entries);
void lam_ring_close(struct lam_ring *ring); /* again is fine */

/* The next submission, all zeros; never more than 'entries' between two lam_ring_enter(). */
struct io_uring_sqe *lam_ring_sqe(struct lam_ring *ring);

/* Hands over what was filled and waits for 'wait' completions; 0, -EINTR, or what makes the ring useless. */
int lam_ring_enter(struct lam_ring *ring, uint32_t wait);

/* The completion 'ahead' of the next one, or NULL; lam_ring_seen() is done with the next one. */
const struct io_uring_cqe *lam_ring_peek(const struct lam_ring *ring, uint32_t ahead);
void lam_ring_seen(struct lam_ring *ring);

/* An eventfd that is to count when there is work, and whether it does. */
int lam_ring_signal_to(struct lam_ring *ring, int eventfd);
void lam_ring_signals(struct lam_ring *ring, bool on);

#endif
