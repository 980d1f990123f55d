/* SPDX-License-Identifier: MIT */
/*
 * Theory.  A chunk of a file is a hole, lies in one piece in the tar at the border of a block, or must be
 * copied into the image.  Large chunks make a short table, small ones less to copy: the size that
 * costs least is taken.  A file that is not sparse is one chunk.
 */
#include "layout.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define MIN_BITS LAM_IMAGE_BLOCK_BITS
#define MAX_BITS (LAM_IMAGE_BLOCK_BITS + LAM_EROFS_CHUNK_BITS)

uint64_t lam_chunks_count(const struct lam_tree_inode *file)
{
	uint64_t size = file->size, bits = file->u.file.chunk_bits;

	return size ? ((size - 1) >> bits) + 1 : 0;
}

void lam_chunks_extent(struct lam_chunk_walk *walk)
{
	const struct lam_tree_inode *file = walk->file;

	walk->tar += walk->extent.size;
	if (walk->left) {
		walk->left--;
		lam_index_extent(&walk->at, &walk->position, &walk->extent);
	} else {
		walk->extent = (struct lam_index_extent){ file->size, 0 };
	}
}

void lam_chunks_first(const struct lam_tree_inode *file, struct lam_chunk_walk *walk)
{
	memset(walk, 0, sizeof(*walk));
	walk->file = file;
	walk->tar = file->u.file.offset;
	if (file->u.file.sparse) {
		walk->at = file->u.file.extents;
		walk->left = file->u.file.extent_count;
		lam_chunks_extent(walk);
	} else {
		walk->extent.size = file->size;
	}
}

static int in_blocks(const struct lam_chunk_walk *walk)
{
	return (walk->tar - walk->extent.offset) % LAM_BLOCK == 0;
}

enum lam_chunk lam_chunks_next(struct lam_chunk_walk *walk, uint64_t *where, uint64_t *size)
{
	uint64_t file_size = walk->file->size, start = walk->start,
		 unit = 1ull << walk->file->u.file.chunk_bits;
	uint64_t left = file_size - start;

	if (!left)
		return LAM_CHUNK_END;
	*size = left < unit ? left : unit;
	walk->start += *size;
	while (walk->extent.size && walk->extent.offset + walk->extent.size <= start)
		lam_chunks_extent(walk);
	if (!walk->extent.size || walk->extent.offset >= start + *size)
		return LAM_CHUNK_HOLE;
	*where = walk->tar + (start - walk->extent.offset);
	if (walk->extent.offset <= start && walk->extent.offset + walk->extent.size >= start + *size &&
	    in_blocks(walk))
		return LAM_CHUNK_TAR;
	return LAM_CHUNK_OWN;
}

/* How many chunks of 2^bits must be copied. */
static uint64_t count_own(const struct lam_tree_inode *file, unsigned int bits)
{
	uint64_t own = 0, last_own = UINT64_MAX, count = ((file->size - 1) >> bits) + 1;
	struct lam_chunk_walk walk;

	for (lam_chunks_first(file, &walk); walk.extent.size; lam_chunks_extent(&walk)) {
		uint64_t end = walk.extent.offset + walk.extent.size;
		uint64_t first = walk.extent.offset >> bits, last = (end - 1) >> bits;
		uint64_t low = walk.extent.offset ? ((walk.extent.offset - 1) >> bits) + 1 : 0;
		uint64_t high = end == file->size ? count : end >> bits;

		if (!in_blocks(&walk) || low >= high)
			low = high = first; /* none lies in one piece */
		own += (low - first) + (last + 1 - high);
		if (first == last_own && (low > first || high == first))
			own--;
		if (last + 1 > high || high == first)
			last_own = last;
	}
	return own;
}

int lam_chunks_plan(struct lam_tree_inode *file, uint64_t *own)
{
	uint64_t best = UINT64_MAX;

	assert(file->size);
	*own = 0;
	if (!file->u.file.sparse) {
		unsigned int bits = MIN_BITS;

		while (bits < MAX_BITS && 1ull << bits < file->size)
			bits++;
		file->u.file.chunk_bits = (uint8_t)bits;
		return lam_chunks_count(file) > LAM_IMAGE_MAX_EXTRA / LAM_EROFS_CHUNK ? -EFBIG : 0;
	}
	for (unsigned int bits = MIN_BITS; bits <= MAX_BITS; bits++) {
		uint64_t count = ((file->size - 1) >> bits) + 1, copied, cost;

		if (count > LAM_IMAGE_MAX_EXTRA / LAM_EROFS_CHUNK)
			continue;
		copied = count_own(file, bits);
		if (copied > LAM_IMAGE_MAX_EXTRA >> bits)
			continue;
		cost = count * LAM_EROFS_CHUNK + (copied << bits);
		if (cost < best) {
			best = cost;
			*own = copied << bits;
			file->u.file.chunk_bits = (uint8_t)bits;
		}
	}
	return best > LAM_IMAGE_MAX_EXTRA ? -EFBIG : 0;
}
