/* SPDX-License-Identifier: MIT */
#include "index_write.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <lamina/image/tar.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int lam_index_begin(struct lam_index_writer *writer)
{
	memset(writer, 0, sizeof(*writer));
	writer->out.limit = LAM_TAR_MAX_INDEX;
	if (lam_buffer_reserve(&writer->out, LAM_INDEX_HEADER) < 0)
		return -ENOMEM;
	memset(writer->out.data, 0, LAM_INDEX_HEADER);
	writer->out.size = LAM_INDEX_HEADER;
	return 0;
}

static int put_path(struct lam_index_writer *writer, const struct lam_index_entry *entry)
{
	struct lam_index_state *last = &writer->last;
	size_t shared = 0, rest;
	int err;

	assert(entry->path_size <= LAM_INDEX_PATH_MAX);
	while (shared < last->path_size && shared < entry->path_size &&
	       last->path[shared] == entry->path[shared])
		shared++;
	rest = entry->path_size - shared;
	err = lam_buffer_varint(&writer->record, shared);
	if (!err)
		err = lam_buffer_varint(&writer->record, rest);
	if (!err)
		err = lam_buffer_add(&writer->record, entry->path + shared, rest);
	if (rest)
		memcpy(last->path + shared, entry->path + shared, rest);
	last->path_size = entry->path_size;
	return err;
}

static int put_attributes(struct lam_index_writer *writer, const struct lam_index_entry *entry, uint8_t flags)
{
	struct lam_buffer *record = &writer->record;
	struct lam_index_state *last = &writer->last;
	int err = lam_buffer_varint(record, entry->mode);

	if (!err && flags & LAM_RECORD_OWNER) {
		err = lam_buffer_varint(record, entry->uid);
		if (!err)
			err = lam_buffer_varint(record, entry->gid);
		last->uid = entry->uid;
		last->gid = entry->gid;
	}
	if (!err)
		err = lam_buffer_varint(
			record, lam_zigzag((int64_t)((uint64_t)entry->mtime - (uint64_t)last->mtime)));
	last->mtime = entry->mtime;
	if (!err && flags & LAM_RECORD_NSEC)
		err = lam_buffer_varint(record, entry->mtime_nsec);
	if (!err && flags & LAM_RECORD_XATTRS) {
		err = lam_buffer_varint(record, entry->xattr_count);
		if (!err)
			err = lam_buffer_add(record, entry->xattrs, entry->xattr_size);
	}
	return err;
}

static int put_file(struct lam_index_writer *writer, const struct lam_index_entry *entry, uint64_t stored)
{
	struct lam_buffer *record = &writer->record;
	struct lam_index_state *last = &writer->last;
	uint64_t block = entry->offset / LAM_TAR_BLOCK;
	int err = lam_buffer_varint(record, entry->size);

	if (__builtin_add_overflow(writer->info.file_size, entry->size, &writer->info.file_size))
		return -EFBIG;
	if (!err && entry->sparse) {
		err = lam_buffer_varint(record, entry->extent_count);
		if (!err)
			err = lam_buffer_add(record, entry->extents, entry->extent_size);
	}
	if (err || !stored)
		return err;
	assert(block >= last->block && entry->offset % LAM_TAR_BLOCK == 0);
	err = lam_buffer_varint(record, block - last->block);
	last->block = block + (stored + LAM_TAR_BLOCK - 1) / LAM_TAR_BLOCK;
	return err;
}

static int put_special(struct lam_index_writer *writer, const struct lam_index_entry *entry)
{
	struct lam_buffer *record = &writer->record;
	int err;

	switch (entry->kind) {
	case LAM_KIND_SYMLINK:
	case LAM_KIND_HARDLINK:
		err = lam_buffer_varint(record, entry->link_size);
		return err ? err : lam_buffer_add(record, entry->link, entry->link_size);
	case LAM_KIND_CHAR:
	case LAM_KIND_BLOCK:
		err = lam_buffer_varint(record, entry->major);
		return err ? err : lam_buffer_varint(record, entry->minor);
	default:
		return 0;
	}
}

int lam_index_write(struct lam_index_writer *writer, const struct lam_index_entry *entry, uint64_t stored)
{
	int err, hides = entry->kind == LAM_KIND_WHITEOUT || entry->kind == LAM_KIND_OPAQUE;
	unsigned char head[2] = { entry->kind, 0 };

	if (writer->info.entries >= LAM_TAR_MAX_ENTRIES)
		return -EFBIG;
	if (!hides) {
		if (entry->uid != writer->last.uid || entry->gid != writer->last.gid)
			head[1] |= LAM_RECORD_OWNER;
		if (entry->mtime_nsec)
			head[1] |= LAM_RECORD_NSEC;
		if (entry->xattr_count)
			head[1] |= LAM_RECORD_XATTRS;
		if (entry->sparse)
			head[1] |= LAM_RECORD_SPARSE;
	}
	writer->record.size = 0;
	err = lam_buffer_add(&writer->record, head, sizeof(head));
	if (!err)
		err = put_path(writer, entry);
	if (!err && !hides)
		err = put_attributes(writer, entry, head[1]);
	if (!err)
		err = entry->kind == LAM_KIND_FILE ? put_file(writer, entry, stored)
						   : put_special(writer, entry);
	if (!err)
		err = lam_buffer_varint(&writer->out, writer->record.size);
	if (!err)
		err = lam_buffer_add(&writer->out, writer->record.data, writer->record.size);
	writer->info.entries++;
	writer->info.whiteouts += (uint64_t)hides;
	return err;
}

static void put64(unsigned char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

void lam_index_end(struct lam_index_writer *writer, uint64_t tar_size)
{
	unsigned char *header = writer->out.data;
	size_t body = writer->out.size - LAM_INDEX_HEADER;

	memcpy(header, LAM_INDEX_MAGIC, 8);
	put64(header + 8, LAM_INDEX_VERSION | (uint64_t)LAM_INDEX_HEADER << 32);
	put64(header + 16, writer->info.entries);
	put64(header + 24, writer->info.whiteouts);
	put64(header + 32, tar_size);
	put64(header + 40, writer->info.file_size);
	put64(header + 48, body);
	put64(header + 56, XXH3_64bits(header + LAM_INDEX_HEADER, body));
}

void lam_index_writer_free(struct lam_index_writer *writer)
{
	lam_buffer_free(&writer->out);
	lam_buffer_free(&writer->record);
}
