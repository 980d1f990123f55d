/* SPDX-License-Identifier: MIT */
/*
 * GNU sparse files: a map of the runs of data, of which the archive holds nothing else.
 *
 * Old: in the header and in extension blocks.  PAX 0.0: pairs of records; 0.1: one record; 1.0: decimal
 * lines before the data, padded to a block.
 */
#include "scan.h"

#include <errno.h>
#include <string.h>

#include "text.h"

#define PAIR_SIZE 24
#define NUMBER_SIZE 12
#define EXTENDED_AT 504 /* behind the 21 pairs of an extension */
#define LONGEST_LINE 20

int lam_sparse_add(struct lam_tar *tar, uint64_t offset, uint64_t size)
{
	struct lam_buffer *map = &tar->pending.sparse_map;
	uint64_t pair[2] = { offset, size };

	if (map->size / sizeof(pair) >= LAM_TAR_MAX_EXTENTS)
		return lam_tar_refuse(tar, -EFBIG, "a sparse file of too many parts");
	return lam_buffer_add(map, pair, sizeof(pair));
}

int lam_sparse_old(struct lam_tar *tar, const unsigned char *pairs, unsigned int count, int extended)
{
	for (unsigned int i = 0; i < count; i++, pairs += PAIR_SIZE) {
		int64_t offset, size;
		int err;

		if (pairs[0] == '\0')
			break;
		if (lam_text_field(pairs, NUMBER_SIZE, &offset) < 0 || offset < 0 ||
		    lam_text_field(pairs + NUMBER_SIZE, NUMBER_SIZE, &size) < 0 || size < 0)
			return lam_tar_refuse(tar, -EBADMSG, "a sparse map that is no numbers");
		err = lam_sparse_add(tar, (uint64_t)offset, (uint64_t)size);
		if (err < 0)
			return err;
	}
	return extended && tar->block[EXTENDED_AT] != 0;
}

int lam_sparse_is_pax(const struct lam_tar *tar)
{
	unsigned int have = tar->pending.have;

	return (have & LAM_HAVE_SPARSE_SIZE) && (have & (LAM_HAVE_SPARSE_MAP | LAM_HAVE_SPARSE_MAJOR));
}

/* One line of the map: first how many pairs, then their numbers. */
static int take_line(struct lam_tar *tar, uint64_t value)
{
	struct lam_pending *pending = &tar->pending;

	if (!(pending->have & LAM_HAVE_SPARSE_MAP)) {
		if (value > LAM_TAR_MAX_EXTENTS)
			return lam_tar_refuse(tar, -EFBIG, "a sparse file of too many parts");
		pending->have |= LAM_HAVE_SPARSE_MAP;
		pending->sparse_numbers = 2 * value;
		return 0;
	}
	if (pending->sparse_numbers-- % 2 == 0) {
		pending->sparse_offset = value;
		return 0;
	}
	return lam_sparse_add(tar, pending->sparse_offset, value);
}

/* Lines may cross blocks: the part of one is kept in 'meta'. */
int lam_sparse_map_block(struct lam_tar *tar)
{
	struct lam_buffer *line = &tar->meta;

	for (unsigned int i = 0; i < LAM_TAR_BLOCK; i++) {
		char c = (char)tar->block[i];
		uint64_t value;
		int err;

		if (tar->pending.have & LAM_HAVE_SPARSE_MAP && !tar->pending.sparse_numbers)
			break; /* padding */
		if (c != '\n') {
			if (line->size >= LONGEST_LINE)
				return lam_tar_refuse(tar, -EBADMSG, "a sparse map that is no numbers");
			err = lam_buffer_add(line, &c, 1);
		} else {
			if (lam_text_decimal((const char *)line->data, line->size, &value) < 0)
				return lam_tar_refuse(tar, -EBADMSG, "a sparse map that is no numbers");
			line->size = 0;
			err = take_line(tar, value);
		}
		if (err < 0)
			return err;
	}
	if (tar->stored < LAM_TAR_BLOCK)
		return lam_tar_refuse(tar, -EBADMSG, "a sparse map longer than its file");
	tar->stored -= LAM_TAR_BLOCK;
	return !(tar->pending.have & LAM_HAVE_SPARSE_MAP) || tar->pending.sparse_numbers;
}

int lam_sparse_finish(struct lam_tar *tar, uint64_t stored)
{
	const struct lam_buffer *map = &tar->pending.sparse_map;
	struct lam_index_entry *entry = &tar->entry;
	uint64_t position = 0, sum = 0, pair[2];
	int err = 0;

	tar->extents.size = 0;
	entry->sparse = 1;
	for (size_t at = 0; !err && at < map->size; at += sizeof(pair)) {
		memcpy(pair, map->data + at, sizeof(pair));
		if (pair[0] < position || pair[0] > entry->size || pair[1] > entry->size - pair[0])
			return lam_tar_refuse(tar, -EBADMSG,
					      "a sparse map whose parts overlap or lie outside");
		if (!pair[1])
			continue;
		err = lam_buffer_varint(&tar->extents, pair[0] - position);
		if (!err)
			err = lam_buffer_varint(&tar->extents, pair[1]);
		position = pair[0] + pair[1];
		sum += pair[1];
		entry->extent_count++;
	}
	if (!err && sum != stored)
		return lam_tar_refuse(tar, -EBADMSG, "a sparse map that does not fit the data");
	entry->extents = tar->extents.data;
	entry->extent_size = tar->extents.size;
	return err;
}
