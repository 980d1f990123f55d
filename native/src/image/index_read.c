/* SPDX-License-Identifier: MIT */
#include <lamina/image/index.h>

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lamina/image/tar.h>

#include "index_write.h"
#include "text.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KNOWN_FLAGS (LAM_RECORD_OWNER | LAM_RECORD_NSEC | LAM_RECORD_XATTRS | LAM_RECORD_SPARSE)

struct lam_index {
	const unsigned char *body;
	const unsigned char *end;
	const unsigned char *at;
	uint64_t left; /* records */
	struct lam_index_info info;
	struct lam_index_state last;
	struct lam_index_entry unread; /* comes again if its path is set */
};

static uint64_t get64(const unsigned char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

int lam_index_open(const void *data, size_t size, struct lam_index **out)
{
	const unsigned char *header = data;
	struct lam_index *index;

	if (size < LAM_INDEX_HEADER || memcmp(header, LAM_INDEX_MAGIC, 8) != 0)
		return -EBADMSG;
	if ((uint32_t)get64(header + 8) != LAM_INDEX_VERSION)
		return -EPROTONOSUPPORT;
	if (get64(header + 8) >> 32 != LAM_INDEX_HEADER || get64(header + 48) != size - LAM_INDEX_HEADER ||
	    get64(header + 56) != XXH3_64bits(header + LAM_INDEX_HEADER, size - LAM_INDEX_HEADER))
		return -EBADMSG;
	index = calloc(1, sizeof(*index));
	if (!index)
		return -ENOMEM;
	index->body = header + LAM_INDEX_HEADER;
	index->end = header + size;
	index->info.entries = get64(header + 16);
	index->info.whiteouts = get64(header + 24);
	index->info.tar_size = get64(header + 32);
	index->info.file_size = get64(header + 40);
	lam_index_rewind(index);
	*out = index;
	return 0;
}

void lam_index_info(const struct lam_index *index, struct lam_index_info *info)
{
	*info = index->info;
}

void lam_index_rewind(struct lam_index *index)
{
	index->at = index->body;
	index->left = index->info.entries;
	memset(&index->last, 0, sizeof(index->last));
	index->unread.path = NULL;
}

void lam_index_free(struct lam_index *index)
{
	free(index);
}

/* The part of a record that is still to be read. */
struct cursor {
	const unsigned char *at;
	const unsigned char *end;
};

static int number(struct cursor *cursor, uint64_t most, uint64_t *value)
{
	return lam_varint_get(&cursor->at, cursor->end, value) < 0 || *value > most ? -EBADMSG : 0;
}

static int bytes(struct cursor *cursor, uint64_t most, const unsigned char **start, size_t *size)
{
	uint64_t length;

	if (number(cursor, most, &length) < 0 || length > (size_t)(cursor->end - cursor->at))
		return -EBADMSG;
	*start = cursor->at;
	*size = (size_t)length;
	cursor->at += length;
	return 0;
}

static int get_path(struct lam_index *index, struct cursor *cursor, struct lam_index_entry *entry)
{
	struct lam_index_state *last = &index->last;
	const unsigned char *rest;
	uint64_t shared;
	size_t size;

	if (number(cursor, last->path_size, &shared) < 0 ||
	    bytes(cursor, LAM_INDEX_PATH_MAX - shared, &rest, &size) < 0)
		return -EBADMSG;
	memcpy(last->path + shared, rest, size);
	last->path_size = (size_t)shared + size;
	if (!lam_text_is_tidy(last->path, last->path_size))
		return -EBADMSG;
	entry->path = last->path;
	entry->path_size = last->path_size;
	return 0;
}

static int get_xattrs(struct cursor *cursor, struct lam_index_entry *entry)
{
	const unsigned char *part, *start;
	uint64_t count;
	size_t size;

	if (number(cursor, LAM_TAR_MAX_XATTRS, &count) < 0)
		return -EBADMSG;
	start = cursor->at;
	for (uint64_t i = 0; i < count; i++)
		if (bytes(cursor, LAM_INDEX_NAME_MAX, &part, &size) < 0 || size == 0 ||
		    memchr(part, '\0', size) || bytes(cursor, LAM_TAR_MAX_XATTR_VALUE, &part, &size) < 0)
			return -EBADMSG;
	entry->xattr_count = (uint32_t)count;
	entry->xattrs = start;
	entry->xattr_size = (size_t)(cursor->at - start);
	return entry->xattr_size > 2 * LAM_TAR_MAX_XATTR_BYTES ? -EBADMSG : 0;
}

static int get_attributes(struct lam_index *index, struct cursor *cursor, uint8_t flags,
			  struct lam_index_entry *entry)
{
	struct lam_index_state *last = &index->last;
	uint64_t value, uid = last->uid, gid = last->gid, nsec = 0;

	if (number(cursor, 07777, &value) < 0)
		return -EBADMSG;
	entry->mode = (uint16_t)value;
	if (flags & LAM_RECORD_OWNER &&
	    (number(cursor, UINT32_MAX - 1, &uid) < 0 || number(cursor, UINT32_MAX - 1, &gid) < 0))
		return -EBADMSG;
	entry->uid = last->uid = (uint32_t)uid;
	entry->gid = last->gid = (uint32_t)gid;
	if (number(cursor, UINT64_MAX, &value) < 0)
		return -EBADMSG;
	last->mtime = (int64_t)((uint64_t)last->mtime + (uint64_t)lam_unzigzag(value));
	entry->mtime = last->mtime;
	if (flags & LAM_RECORD_NSEC && number(cursor, 999999999, &nsec) < 0)
		return -EBADMSG;
	entry->mtime_nsec = (uint32_t)nsec;
	return flags & LAM_RECORD_XATTRS ? get_xattrs(cursor, entry) : 0;
}

/* Runs ascend and lie inside of the file; '*stored' is their sum. */
static int get_extents(struct cursor *cursor, struct lam_index_entry *entry, uint64_t *stored)
{
	uint64_t count, hole, run, position = 0;

	if (number(cursor, LAM_TAR_MAX_EXTENTS, &count) < 0)
		return -EBADMSG;
	entry->extents = cursor->at;
	*stored = 0;
	for (uint64_t i = 0; i < count; i++) {
		if (number(cursor, entry->size - position, &hole) < 0)
			return -EBADMSG;
		position += hole;
		if (number(cursor, entry->size - position, &run) < 0 || run == 0)
			return -EBADMSG;
		position += run;
		*stored += run;
	}
	entry->sparse = 1;
	entry->extent_count = (uint32_t)count;
	entry->extent_size = (size_t)(cursor->at - entry->extents);
	return 0;
}

static int get_file(struct lam_index *index, struct cursor *cursor, uint8_t flags,
		    struct lam_index_entry *entry)
{
	struct lam_index_state *last = &index->last;
	uint64_t stored, delta, blocks = index->info.tar_size / LAM_TAR_BLOCK;

	if (number(cursor, INT64_MAX, &entry->size) < 0)
		return -EBADMSG;
	stored = entry->size;
	if (flags & LAM_RECORD_SPARSE && get_extents(cursor, entry, &stored) < 0)
		return -EBADMSG;
	if (!stored)
		return 0;
	if (last->block > blocks || number(cursor, blocks - last->block, &delta) < 0)
		return -EBADMSG;
	last->block += delta;
	entry->offset = last->block * LAM_TAR_BLOCK;
	if (stored > index->info.tar_size - entry->offset)
		return -EBADMSG;
	last->block += (stored + LAM_TAR_BLOCK - 1) / LAM_TAR_BLOCK;
	return 0;
}

static int get_link(struct cursor *cursor, struct lam_index_entry *entry)
{
	const unsigned char *link;

	if (bytes(cursor, LAM_INDEX_PATH_MAX, &link, &entry->link_size) < 0)
		return -EBADMSG;
	entry->link = (const char *)link;
	if (entry->kind == LAM_KIND_HARDLINK)
		return lam_text_is_tidy(entry->link, entry->link_size) ? 0 : -EBADMSG;
	return entry->link_size == 0 || memchr(link, '\0', entry->link_size) ? -EBADMSG : 0;
}

static int get_device(struct cursor *cursor, struct lam_index_entry *entry)
{
	uint64_t major, minor;

	if (number(cursor, LAM_INDEX_MAJOR_MAX, &major) < 0 ||
	    number(cursor, LAM_INDEX_MINOR_MAX, &minor) < 0)
		return -EBADMSG;
	entry->major = (uint32_t)major;
	entry->minor = (uint32_t)minor;
	return 0;
}

int lam_index_next(struct lam_index *index, struct lam_index_entry *entry)
{
	struct cursor cursor = { index->at, index->end };
	const unsigned char *record;
	size_t size;
	uint8_t flags;
	int err;

	if (index->unread.path) {
		*entry = index->unread;
		index->unread.path = NULL;
		return 1;
	}
	if (!index->left)
		return index->at == index->end ? 0 : -EBADMSG;
	if (bytes(&cursor, SIZE_MAX, &record, &size) < 0 || size < 2)
		return -EBADMSG;
	index->at = cursor.at;
	index->left--;
	cursor = (struct cursor){ record + 2, record + size };
	memset(entry, 0, sizeof(*entry));
	entry->kind = record[0];
	flags = record[1];
	if (entry->kind > LAM_KIND_OPAQUE || flags & ~KNOWN_FLAGS || get_path(index, &cursor, entry) < 0)
		return -EBADMSG;
	if (!entry->path_size && entry->kind != LAM_KIND_DIR && entry->kind != LAM_KIND_OPAQUE)
		return -EBADMSG; /* the root is a directory */
	err = 0;
	if (entry->kind < LAM_KIND_WHITEOUT)
		err = get_attributes(index, &cursor, flags, entry);
	if (!err && entry->kind == LAM_KIND_FILE)
		err = get_file(index, &cursor, flags, entry);
	if (!err && (entry->kind == LAM_KIND_SYMLINK || entry->kind == LAM_KIND_HARDLINK))
		err = get_link(&cursor, entry);
	if (!err && (entry->kind == LAM_KIND_CHAR || entry->kind == LAM_KIND_BLOCK))
		err = get_device(&cursor, entry);
	return err || cursor.at != cursor.end ? -EBADMSG : 1;
}

void lam_index_unread(struct lam_index *index, const struct lam_index_entry *entry)
{
	index->unread = *entry;
}

/* A number that the reader has seen to be good. */
static uint64_t known(const unsigned char **at)
{
	uint64_t value = 0;
	int err = lam_varint_get(at, *at + LAM_VARINT_MAX, &value);

	assert(!err);
	(void)err;
	return value;
}

void lam_index_xattr(const unsigned char **at, struct lam_index_xattr *xattr)
{
	xattr->name_size = (size_t)known(at);
	xattr->name = (const char *)*at;
	*at += xattr->name_size;
	xattr->value_size = (size_t)known(at);
	xattr->value = *at;
	*at += xattr->value_size;
}

void lam_index_extent(const unsigned char **at, uint64_t *position, struct lam_index_extent *extent)
{
	extent->offset = *position + known(at);
	extent->size = known(at);
	*position = extent->offset + extent->size;
}
