/* SPDX-License-Identifier: MIT */
#include <lamina/readahead.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define CHUNK_BITS 20	      /* file systems cut larger requests */
#define AHEAD 4u	      /* chunks behind the one that is read, at least */
#define AHEAD_MOST 32u	      /* what a disk has to do for some 50 ms */
#define PART 8u		      /* of what was asked for so far, at most */
#define FAR (8u << 20)	      /* from the end of one read to the next */
#define STREAK 3u	      /* reads in a row before the first chunk */
#define TRUSTED 64u	      /* reads in a row that more add nothing to */
#define FORGIVEN 4u	      /* part of them that a leap leaves */
#define STALE 10u	      /* seconds: what was read then may have been dropped */
#define MAX_CHUNKS (1u << 20) /* of a file of 1 TiB; beyond it the kernel is on its own */

int lam_readahead_open(struct lam_readahead *state, uint64_t size)
{
	uint64_t chunks = (size >> CHUNK_BITS) + 1;

	state->nchunks = (uint32_t)(chunks < MAX_CHUNKS ? chunks : MAX_CHUNKS);
	state->chunks = calloc(state->nchunks, sizeof(*state->chunks));
	return state->chunks ? 0 : -ENOMEM;
}

void lam_readahead_close(struct lam_readahead *state)
{
	free((void *)state->chunks);
	state->chunks = NULL;
	state->nchunks = 0;
}

static uint16_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (uint16_t)(time.tv_sec % UINT16_MAX + 1);
}

/* What comes of the read before for this one: how far the reads in a row go, and whether they go on. */
static uint32_t follow(struct lam_readahead *state, uint64_t offset, uint64_t length)
{
	uint64_t cursor = atomic_load_explicit(&state->cursor, memory_order_relaxed);
	uint32_t streak = atomic_load_explicit(&state->streak, memory_order_relaxed);
	bool far = offset + FAR < cursor || offset > cursor + FAR;

	if (far)
		streak /= FORGIVEN;
	else if (streak < TRUSTED)
		streak++;
	atomic_store_explicit(&state->cursor, offset + length, memory_order_relaxed);
	atomic_store_explicit(&state->streak, streak, memory_order_relaxed);
	return streak;
}

/* Chunks behind the one that is read: the more of the file was asked for, the more. */
static uint64_t window(const struct lam_readahead *state)
{
	uint32_t part = atomic_load_explicit(&state->asked, memory_order_relaxed) / PART;

	return part < AHEAD ? AHEAD : part > AHEAD_MOST ? AHEAD_MOST : part;
}

void lam_readahead(struct lam_readahead *state, int fd, uint64_t offset, uint64_t length)
{
	uint64_t last;
	uint16_t clock;

	if (follow(state, offset, length) <= STREAK)
		return;
	last = ((offset + length) >> CHUNK_BITS) + window(state);
	clock = now();
	for (uint64_t chunk = offset >> CHUNK_BITS; chunk <= last && chunk < state->nchunks; chunk++) {
		uint16_t asked = atomic_load_explicit(&state->chunks[chunk], memory_order_relaxed);

		if (asked && (uint16_t)(clock - asked) < STALE)
			continue;
		atomic_store_explicit(&state->chunks[chunk], clock, memory_order_relaxed);
		atomic_fetch_add_explicit(&state->asked, 1, memory_order_relaxed);
		readahead(fd, (off64_t)(chunk << CHUNK_BITS), 1u << CHUNK_BITS);
	}
}
