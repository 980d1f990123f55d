/* SPDX-License-Identifier: MIT */
/* When reads of a large file have more of it read: by what was asked for, without a file. */
#include <lamina/readahead.h>

#include "kernel.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define SMALL 4096u
#define NO_FILE -1 /* the kernel refuses, and nobody minds */

static uint32_t asked(struct lam_readahead *state, uint64_t offset)
{
	uint32_t before = state->asked;

	lam_readahead(state, NO_FILE, offset, SMALL);
	return state->asked - before;
}

static void test_reads_far_from_one_another_ask_for_nothing(void)
{
	struct lam_readahead state = { 0 };

	EXPECT(lam_readahead_open(&state, GIB) == 0);
	for (uint64_t i = 0; i < 1000; i++)
		EXPECT(asked(&state, i * 37 % 50 * 20 * MIB) == 0);
	lam_readahead_close(&state);
}

static void test_reads_in_a_row_ask_ahead_and_once(void)
{
	struct lam_readahead state = { 0 };

	EXPECT(lam_readahead_open(&state, GIB) == 0);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT(asked(&state, i * SMALL) == 0);
	EXPECT(asked(&state, 3 * SMALL) == 5); /* its own chunk and those behind it */
	EXPECT(asked(&state, SMALL) == 0);
	EXPECT(asked(&state, MIB) == 1);
	lam_readahead_close(&state);
}

static void test_what_is_asked_for_ahead_grows_with_what_was_read(void)
{
	struct lam_readahead state = { 0 };
	uint64_t most = 0;

	EXPECT(lam_readahead_open(&state, GIB) == 0);
	for (uint64_t at = 0; at < GIB; at += MIB / 4) {
		uint64_t ahead;

		asked(&state, at);
		ahead = state.asked - at / MIB;
		EXPECT(at < MIB || state.asked <= at / MIB + 5 || ahead <= state.asked / 8 + 2);
		most = ahead > most && at < GIB / 2 ? ahead : most;
	}
	EXPECT(most > 16 && most <= 34);
	EXPECT(state.asked == state.nchunks); /* each once */
	lam_readahead_close(&state);
}

static void test_after_many_in_a_row_a_leap_is_followed(void)
{
	struct lam_readahead state = { 0 };

	EXPECT(lam_readahead_open(&state, GIB) == 0);
	for (uint64_t i = 0; i < 100; i++)
		asked(&state, i * SMALL);
	EXPECT(asked(&state, 500 * MIB) == 5);
	EXPECT(asked(&state, 700 * MIB) > 0);
	EXPECT(asked(&state, 100 * MIB) == 0); /* leaps alone are no reading */
	EXPECT(asked(&state, 900 * MIB) == 0);
	lam_readahead_close(&state);
}

int main(void)
{
	test_reads_far_from_one_another_ask_for_nothing();
	test_reads_in_a_row_ask_ahead_and_once();
	test_what_is_asked_for_ahead_grows_with_what_was_read();
	test_after_many_in_a_row_a_leap_is_followed();
	return 0;
}
