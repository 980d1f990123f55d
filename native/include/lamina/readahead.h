/* SPDX-License-Identifier: MIT */
/*
 * readahead - what will be read next of a large file that holds many small ones
 *
 * Theory.  The kernel reads ahead within the file that one reads; who reads small files that lie
 * side by side in a large one looks random to it.  What is read together lies together here (a
 * tar's members are in the order of the tree that they were made from), though hardly ever in
 * the order of reading, since directories are listed by hash.  So a few reads in a row that are
 * not far from one another have whole chunks around and behind them read, the more of them the
 * more of the file was read so; after many, a leap is that of a reader who goes on elsewhere.
 * The kernel is only asked to: nothing waits, nothing is kept, and what is in memory already
 * costs next to nothing.
 */
#ifndef LAMINA_READAHEAD_H
#define LAMINA_READAHEAD_H

#include <stdatomic.h>
#include <stdint.h>

/* One large file.  Threads may race: the loser asks twice. */
struct lam_readahead {
	_Atomic uint64_t cursor; /* where the last read ended */
	_Atomic uint32_t streak; /* reads not far from the one before */
	_Atomic uint32_t asked;	 /* chunks, those that were asked for again too */
	uint32_t nchunks;
	_Atomic uint16_t *chunks; /* when each was asked for, seconds of a wrapping clock; 0: never */
};

/* For a file of 'size' bytes.  -ENOMEM. */
int lam_readahead_open(struct lam_readahead *state, uint64_t size);
void lam_readahead_close(struct lam_readahead *state); /* of all zeros is fine */

/* 'length' bytes at 'offset' of 'fd' are about to be read. */
void lam_readahead(struct lam_readahead *state, int fd, uint64_t offset, uint64_t length);

#endif
