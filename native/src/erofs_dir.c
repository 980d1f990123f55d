/* SPDX-License-Identifier: MIT */
/*
 * erofs_dir - names in a directory
 *
 * A directory is a row of blocks.  Each begins with entries of 12 bytes, whose names follow in
 * the same order; the first name's place says how many entries there are.  Names rise through
 * the block and from block to block, so that one is found by halving, twice.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "erofs_disk.h"

struct block {
	const uint8_t *base;
	uint32_t size; /* of the last one: what the directory has left */
	uint32_t count;
};

struct name {
	const char *text; /* not terminated */
	size_t length;
};

static uint64_t blocks_of(const struct lam_erofs *fs, const struct lam_erofs_inode *dir)
{
	return (dir->size >> fs->block_bits) + !!(dir->size & ((1ull << fs->block_bits) - 1));
}

static int get_block(const struct lam_erofs *fs, const struct lam_erofs_inode *dir, uint64_t index,
		     struct block *out)
{
	uint64_t offset = index << fs->block_bits, want = 1ull << fs->block_bits;
	struct lam_erofs_extent piece;
	uint32_t names;
	int rc;

	if (want > dir->size - offset)
		want = dir->size - offset;
	rc = lam_erofs_extent(fs, dir, offset, want, &piece);
	if (rc < 0)
		return rc;
	if (piece.length < want || want < DIRENT_SIZE || piece.hole || piece.device)
		return -EUCLEAN;
	out->base = erofs_at(fs, piece.offset, want);
	if (!out->base)
		return -EUCLEAN;
	out->size = (uint32_t)want;
	names = le16_at(out->base + 8);
	out->count = names / DIRENT_SIZE;
	return names % DIRENT_SIZE || !out->count || names > want ? -EUCLEAN : 0;
}

/* The offsets are read once: what is checked is what is used. */
static int get_name(const struct block *block, uint32_t index, struct name *out)
{
	const uint8_t *entry = block->base + (size_t)index * DIRENT_SIZE;
	uint32_t begin = le16_at(entry + 8), end = block->size;

	if (index + 1 < block->count)
		end = le16_at(entry + DIRENT_SIZE + 8);
	if (begin < block->count * DIRENT_SIZE || begin >= end || end > block->size)
		return -EUCLEAN;
	out->text = (const char *)block->base + begin;
	out->length = strnlen(out->text, end - begin);
	return out->length ? 0 : -EUCLEAN;
}

static int compare(const char *wanted, size_t length, const struct name *found)
{
	int order = memcmp(wanted, found->text, length < found->length ? length : found->length);

	if (order)
		return order;
	return length < found->length ? -1 : length > found->length;
}

/* The last block whose first name is not behind the wanted one; -ENOENT if all are. */
static int find_block(const struct lam_erofs *fs, const struct lam_erofs_inode *dir, const char *wanted,
		      size_t length, struct block *out)
{
	uint64_t low = 0, high = blocks_of(fs, dir);
	bool found = false;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		struct block block;
		struct name first;
		int rc = get_block(fs, dir, mid, &block);

		if (rc == 0)
			rc = get_name(&block, 0, &first);
		if (rc < 0)
			return rc;
		if (compare(wanted, length, &first) < 0) {
			high = mid;
		} else {
			*out = block;
			found = true;
			low = mid + 1;
		}
	}
	return found ? 0 : -ENOENT;
}

int lam_erofs_lookup(const struct lam_erofs *fs, const struct lam_erofs_inode *dir, const char *name,
		     uint64_t *nid)
{
	size_t length = strlen(name);
	struct block block;
	uint32_t low = 0, high;
	int rc;

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	rc = find_block(fs, dir, name, length, &block);
	if (rc < 0)
		return rc;
	high = block.count;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		struct name found;
		int order;

		rc = get_name(&block, mid, &found);
		if (rc < 0)
			return rc;
		order = compare(name, length, &found);
		if (order == 0) {
			*nid = le64_at(block.base + (size_t)mid * DIRENT_SIZE);
			return 0;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

static int show(const uint8_t *entry, const struct name *name, lam_erofs_scan_fn fn, void *arg)
{
	static const uint8_t types[] = {
		DT_UNKNOWN, DT_REG, DT_DIR, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK, DT_LNK
	};
	char text[NAME_MAX_LENGTH + 1];
	struct lam_erofs_dirent out = { .name = text, .namelen = (uint32_t)name->length };

	if (name->length > NAME_MAX_LENGTH)
		return -EUCLEAN;
	memcpy(text, name->text, name->length);
	text[name->length] = '\0';
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return 0;
	if (strlen(text) != name->length || strchr(text, '/'))
		return -EUCLEAN;
	out.nid = le64_at(entry);
	out.type = entry[10] < sizeof(types) ? types[entry[10]] : DT_UNKNOWN;
	return fn(arg, &out);
}

int lam_erofs_scan(const struct lam_erofs *fs, const struct lam_erofs_inode *dir, lam_erofs_scan_fn fn,
		   void *arg)
{
	uint64_t blocks = blocks_of(fs, dir);

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	for (uint64_t i = 0; i < blocks; i++) {
		struct block block;
		int rc = get_block(fs, dir, i, &block);

		for (uint32_t j = 0; rc == 0 && j < block.count; j++) {
			struct name name;

			rc = get_name(&block, j, &name);
			if (rc == 0)
				rc = show(block.base + (size_t)j * DIRENT_SIZE, &name, fn, arg);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}
