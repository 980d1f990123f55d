/* SPDX-License-Identifier: MIT */
#include "moves.h"

#include <errno.h>

#define IN_BLOCK ((1u << LAM_IMAGE_BLOCK_BITS) - 1)

static int check_move(const struct lam_image_move *move, uint64_t after, uint64_t tar_size,
		      const struct lam_image_layer *layers, size_t count)
{
	uint64_t end, target_end;

	if (move->target >= count || move->offset < after ||
	    ((move->offset ^ move->target_offset) & IN_BLOCK) != 0)
		return -EBADMSG;
	if (__builtin_add_overflow(move->offset, move->size, &end) || end > tar_size)
		return -EBADMSG;
	if (__builtin_add_overflow(move->target_offset, move->size, &target_end) ||
	    target_end > layers[move->target].tar_size)
		return -EBADMSG;
	return 0;
}

int lam_moves_check(const struct lam_image_layer *layers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t after = 0;

		for (size_t k = 0; k < layers[i].move_count; k++) {
			const struct lam_image_move *move = &layers[i].moves[k];

			if (check_move(move, after, layers[i].tar_size, layers, count) < 0)
				return -EBADMSG;
			after = move->offset + move->size;
		}
	}
	return 0;
}

int lam_moves_follow(const struct lam_image_layer *layers, uint64_t size, uint16_t *layer, uint64_t *where)
{
	const struct lam_image_layer *own = &layers[*layer];
	const struct lam_image_move *move;
	size_t low = 0, high = own->move_count;

	while (low < high) { /* the first move that ends behind '*where' */
		size_t middle = low + (high - low) / 2;

		if (own->moves[middle].offset + own->moves[middle].size <= *where)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == own->move_count || own->moves[low].offset >= *where + size)
		return 0;
	move = &own->moves[low];
	if (move->offset > *where || move->offset + move->size < *where + size)
		return -EBADMSG;
	*where += move->target_offset - move->offset;
	*layer = (uint16_t)move->target;
	return 0;
}
