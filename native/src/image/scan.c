/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define CHECKSUM_AT 148
#define CHECKSUM_SIZE 8
#define TYPE_AT 156
#define SIZE_AT 124
#define SIZE_SIZE 12

int lam_tar_open(struct lam_tar **out)
{
	struct lam_tar *tar = calloc(1, sizeof(*tar));

	if (!tar)
		return -ENOMEM;
	tar->meta.limit = LAM_TAR_MAX_HEADER;
	if (lam_buffer_reserve(&tar->meta, 1) < 0 || lam_index_begin(&tar->writer) < 0) {
		lam_tar_free(tar);
		return -ENOMEM;
	}
	*out = tar;
	return 0;
}

void lam_tar_free(struct lam_tar *tar)
{
	if (!tar)
		return;
	lam_pending_free(&tar->pending);
	lam_buffer_free(&tar->meta);
	lam_buffer_free(&tar->extents);
	lam_index_writer_free(&tar->writer);
	free(tar);
}

int lam_tar_refuse(struct lam_tar *tar, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(tar->why, sizeof(tar->why), format, arguments);
	va_end(arguments);
	return code;
}

const char *lam_tar_why(const struct lam_tar *tar, uint64_t *offset)
{
	*offset = tar->entry_offset;
	return tar->why;
}

static int is_zero(const unsigned char *block)
{
	return block[0] == 0 && memcmp(block, block + 1, LAM_TAR_BLOCK - 1) == 0;
}

/* Historic tars summed signed bytes: each that is negative counts 256 less. */
static int checksum_is_good(const unsigned char *block)
{
	int64_t wanted;
	uint32_t sum = 0, negative = 0;

	if (lam_text_field(block + CHECKSUM_AT, CHECKSUM_SIZE, &wanted) < 0)
		return 0;
	for (unsigned int i = 0; i < LAM_TAR_BLOCK; i++)
		sum += block[i];
	for (unsigned int i = CHECKSUM_AT; i < CHECKSUM_AT + CHECKSUM_SIZE; i++)
		sum = sum - block[i] + ' ';
	if (wanted == sum)
		return 1;
	for (unsigned int i = 0; i < LAM_TAR_BLOCK; i++)
		if (i < CHECKSUM_AT || i >= CHECKSUM_AT + CHECKSUM_SIZE)
			negative += block[i] >> 7;
	return wanted == (int64_t)sum - 256 * (int64_t)negative;
}

static int begin_meta(struct lam_tar *tar)
{
	int64_t size;

	if (lam_text_field(tar->block + SIZE_AT, SIZE_SIZE, &size) < 0 || size < 0)
		return lam_tar_refuse(tar, -EBADMSG, "an extended header's size is no number");
	if (size > LAM_TAR_MAX_HEADER)
		return lam_tar_refuse(tar, -EFBIG, "an extended header of %lld bytes is too large",
				      (long long)size);
	tar->meta_type = tar->block[TYPE_AT];
	tar->meta_left = (size_t)size;
	tar->meta.size = 0;
	if (tar->meta_type != 'g')
		tar->pending.have |= LAM_HAVE_ANY;
	tar->state = LAM_TAR_META;
	return 0;
}

/* GNU L and K: a name with its NUL. */
static int keep_name(struct lam_tar *tar, struct lam_buffer *out, unsigned int have)
{
	const char *name = (const char *)tar->meta.data;

	out->size = 0;
	tar->pending.have |= have;
	return tar->meta.size ? lam_buffer_add(out, name, strnlen(name, tar->meta.size)) : 0;
}

static int end_meta(struct lam_tar *tar)
{
	const char *text = (const char *)tar->meta.data;

	tar->skip = (LAM_TAR_BLOCK - tar->meta.size % LAM_TAR_BLOCK) % LAM_TAR_BLOCK;
	tar->state = LAM_TAR_HEADER;
	switch (tar->meta_type) {
	case 'L':
		return keep_name(tar, &tar->pending.gnu_path, LAM_HAVE_GNU_PATH);
	case 'K':
		return keep_name(tar, &tar->pending.gnu_link, LAM_HAVE_GNU_LINK);
	case 'g':
		return lam_pax_check(tar, text, tar->meta.size);
	default:
		return lam_pax_parse(tar, text, tar->meta.size);
	}
}

static int take_header(struct lam_tar *tar)
{
	if (!(tar->pending.have & LAM_HAVE_ANY))
		tar->entry_offset = tar->offset - LAM_TAR_BLOCK;
	if (is_zero(tar->block)) {
		if (tar->pending.have & LAM_HAVE_ANY)
			return lam_tar_refuse(tar, -EBADMSG, "the tar ends behind an extended header");
		tar->state = LAM_TAR_ZERO;
		return 0;
	}
	if (!checksum_is_good(tar->block))
		return lam_tar_refuse(tar, -EBADMSG, "not a tar header: its checksum is wrong");
	switch (tar->block[TYPE_AT]) {
	case 'x':
	case 'X':
	case 'g':
	case 'L':
	case 'K':
		return begin_meta(tar);
	default:
		return lam_entry_header(tar);
	}
}

static int take_block(struct lam_tar *tar)
{
	int result;

	switch (tar->state) {
	case LAM_TAR_HEADER:
		return take_header(tar);
	case LAM_TAR_SPARSE:
		result = lam_sparse_old(tar, tar->block, 21, 1);
		break;
	case LAM_TAR_SPARSE_MAP:
		result = lam_sparse_map_block(tar);
		break;
	default: /* behind a block of zeros */
		if (!is_zero(tar->block))
			return lam_tar_refuse(tar, -EBADMSG, "a lone block of zeros before further data");
		tar->state = LAM_TAR_END;
		return 0;
	}
	return result == 0 ? lam_entry_sparse(tar) : result < 0 ? result : 0;
}

/* Take a part of 'data' that is not empty; returns its size. */
static int64_t take(struct lam_tar *tar, const unsigned char *data, size_t size)
{
	size_t part = size;
	int err = 0;

	if (tar->skip) {
		part = tar->skip < size ? (size_t)tar->skip : size;
		tar->skip -= part;
		tar->offset += part;
	} else if (tar->state == LAM_TAR_META) {
		part = tar->meta_left < size ? tar->meta_left : size;
		err = lam_buffer_add(&tar->meta, data, part);
		tar->meta_left -= part;
		tar->offset += part;
		if (!err && !tar->meta_left)
			err = end_meta(tar);
	} else if (tar->state == LAM_TAR_END) {
		tar->offset += part;
	} else {
		part = LAM_TAR_BLOCK - tar->have < size ? LAM_TAR_BLOCK - tar->have : size;
		memcpy(tar->block + tar->have, data, part);
		tar->have += part;
		tar->offset += part;
		if (tar->have == LAM_TAR_BLOCK) {
			tar->have = 0;
			err = take_block(tar);
		}
	}
	return err < 0 ? err : (int64_t)part;
}

int lam_tar_feed(struct lam_tar *tar, const void *data, size_t size)
{
	const unsigned char *at = data, *end = at + size;

	while (!tar->error && at < end) {
		int64_t taken = take(tar, at, (size_t)(end - at));

		if (taken < 0) {
			tar->error = (int)taken;
			if (!tar->why[0])
				lam_tar_refuse(tar, 0,
					       tar->error == -EFBIG ? "the layer has too many entries"
								    : "out of memory");
			break;
		}
		at += taken;
	}
	return tar->error;
}

int lam_tar_finish(struct lam_tar *tar, const void **index, size_t *size)
{
	int between = tar->state == LAM_TAR_HEADER || tar->state == LAM_TAR_ZERO || tar->state == LAM_TAR_END;

	if (!tar->error && (!between || tar->skip || tar->have || tar->pending.have & LAM_HAVE_ANY))
		tar->error = lam_tar_refuse(tar, -ENODATA, "the tar is truncated");
	if (tar->error)
		return tar->error;
	lam_index_end(&tar->writer, tar->offset);
	*index = tar->writer.out.data;
	*size = tar->writer.out.size;
	return 0;
}
