/* SPDX-License-Identifier: MIT */
/* ring - see ring.h */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

#define SQE_SIZE 128

static uint32_t *at(const struct lam_ring *ring, uint32_t offset)
{
	return (uint32_t *)(void *)((unsigned char *)ring->shared + offset);
}

static int map(struct lam_ring *ring, const struct io_uring_params *params)
{
	size_t sq = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
	size_t cq = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);

	if (!(params->features & IORING_FEAT_SINGLE_MMAP))
		return -EOPNOTSUPP;
	ring->shared_size = sq > cq ? sq : cq;
	ring->sqes_size = (size_t)params->sq_entries * SQE_SIZE;
	ring->shared = mmap(NULL, ring->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			    ring->fd, IORING_OFF_SQ_RING);
	if (ring->shared == MAP_FAILED) {
		ring->shared = NULL;
		return -errno;
	}
	ring->sqes = mmap(NULL, ring->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
			  IORING_OFF_SQES);
	if (ring->sqes == MAP_FAILED) {
		ring->sqes = NULL;
		return -errno;
	}
	return 0;
}

int lam_ring_open(struct lam_ring *ring, uint32_t entries)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	};
	int err;

	*ring = (struct lam_ring){ .fd = -1 };
	ring->fd = (int)syscall(SYS_io_uring_setup, entries, &params);
	if (ring->fd < 0)
		return -errno;
	err = map(ring, &params);
	if (err) {
		lam_ring_close(ring);
		return err;
	}
	ring->sq_tail = at(ring, params.sq_off.tail);
	ring->cq_head = at(ring, params.cq_off.head);
	ring->cq_tail = at(ring, params.cq_off.tail);
	ring->cq_flags = at(ring, params.cq_off.flags);
	ring->cqes = (const void *)at(ring, params.cq_off.cqes);
	ring->sq_mask = params.sq_entries - 1;
	ring->cq_mask = params.cq_entries - 1;
	for (uint32_t i = 0; i < params.sq_entries; i++)
		at(ring, params.sq_off.array)[i] = i;
	return 0;
}

void lam_ring_close(struct lam_ring *ring)
{
	if (ring->sqes)
		munmap(ring->sqes, ring->sqes_size);
	if (ring->shared)
		munmap(ring->shared, ring->shared_size);
	if (ring->fd >= 0)
		close(ring->fd);
	*ring = (struct lam_ring){ .fd = -1 };
}

struct io_uring_sqe *lam_ring_sqe(struct lam_ring *ring)
{
	uint32_t tail = *ring->sq_tail;
	void *sqe = ring->sqes + (size_t)(tail & ring->sq_mask) * SQE_SIZE;

	memset(sqe, 0, SQE_SIZE);
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	ring->pending++;
	return sqe;
}

int lam_ring_enter(struct lam_ring *ring, uint32_t wait)
{
	long n = syscall(SYS_io_uring_enter, ring->fd, ring->pending, wait, IORING_ENTER_GETEVENTS, NULL, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EBUSY ? -EINTR : -errno;
	ring->pending -= (uint32_t)n;
	return 0;
}

const struct io_uring_cqe *lam_ring_peek(const struct lam_ring *ring, uint32_t ahead)
{
	uint32_t head = *ring->cq_head + ahead;

	if ((int32_t)(__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - head) <= 0)
		return NULL;
	return &ring->cqes[head & ring->cq_mask];
}

void lam_ring_seen(struct lam_ring *ring)
{
	__atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
}

int lam_ring_signal_to(struct lam_ring *ring, int eventfd)
{
	long n = syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_EVENTFD, &eventfd, 1);

	return n < 0 ? -errno : 0;
}

void lam_ring_signals(struct lam_ring *ring, bool on)
{
	__atomic_store_n(ring->cq_flags, on ? 0 : IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
}
