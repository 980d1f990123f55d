/* SPDX-License-Identifier: MIT */
/* A header and what was said before it become a record of the index. */
#include "scan.h"

#include <errno.h>
#include <string.h>

#include "text.h"

#define MODE_AT 100
#define UID_AT 108
#define GID_AT 116
#define SIZE_AT 124
#define MTIME_AT 136
#define TYPE_AT 156
#define LINK_AT 157
#define MAGIC_AT 257
#define MAJOR_AT 329
#define MINOR_AT 337
#define PREFIX_AT 345
#define SPARSE_AT 386
#define EXTENDED_AT 482
#define REALSIZE_AT 483
#define STAR_AT 508
#define NAME_SIZE 100
#define NUMBER_SIZE 8
#define LONG_SIZE 12
#define PREFIX_SIZE 155
#define STAR_PREFIX_SIZE 131

static const char wh[] = ".wh.", wh_meta[] = ".wh..wh.", wh_opaque[] = ".wh..wh..opq";

static int refuse_name(struct lam_tar *tar, int code, const char *name, size_t size, const char *what)
{
	char shown[200];

	lam_text_show(name, size, shown, sizeof(shown));
	return lam_tar_refuse(tar, code, "%s: %s", shown, what);
}

static int tidy(struct lam_tar *tar, const char *name, size_t size, char *out)
{
	int length = lam_text_path(name, size, out);

	if (length == -EXDEV)
		return refuse_name(tar, length, name, size, "leads out of the root");
	if (length == -ENAMETOOLONG)
		return refuse_name(tar, length, name, size, "the name is too long");
	if (length < 0)
		return refuse_name(tar, length, name, size, "a NUL in the name");
	return length;
}

/* The header's name, behind its prefix; into 'name', which has room for both. */
static size_t header_name(const unsigned char *block, char *name)
{
	size_t prefix_size = 0, size;

	if (memcmp(block + MAGIC_AT, "ustar\0", 6) == 0)
		prefix_size = memcmp(block + STAR_AT, "tar\0", 4) == 0 ? STAR_PREFIX_SIZE : PREFIX_SIZE;
	size = strnlen((const char *)block + PREFIX_AT, prefix_size);
	memcpy(name, block + PREFIX_AT, size);
	if (size)
		name[size++] = '/';
	prefix_size = strnlen((const char *)block, NAME_SIZE);
	memcpy(name + size, block, prefix_size);
	return size + prefix_size;
}

/* As the sender wrote it; 'is_dir' if it ends in a slash. */
static int set_path(struct lam_tar *tar, int *is_dir)
{
	const struct lam_pending *pending = &tar->pending;
	char plain[PREFIX_SIZE + 1 + NAME_SIZE];
	const char *name = plain;
	size_t size;
	int length;

	if (lam_sparse_is_pax(tar) && pending->have & LAM_HAVE_SPARSE_NAME) {
		name = (const char *)pending->sparse_name.data;
		size = pending->sparse_name.size;
	} else if (pending->have & LAM_HAVE_GNU_PATH) {
		name = (const char *)pending->gnu_path.data;
		size = pending->gnu_path.size;
	} else if (pending->have & LAM_HAVE_PATH) {
		name = (const char *)pending->path.data;
		size = pending->path.size;
	} else {
		size = header_name(tar->block, plain);
	}
	*is_dir = size && name[size - 1] == '/';
	length = tidy(tar, name, size, tar->path);
	if (length < 0)
		return length;
	tar->entry.path = tar->path;
	tar->entry.path_size = (size_t)length;
	return 0;
}

static int set_link(struct lam_tar *tar)
{
	const struct lam_pending *pending = &tar->pending;
	struct lam_index_entry *entry = &tar->entry;
	const char *link = (const char *)tar->block + LINK_AT;
	size_t size = strnlen(link, NAME_SIZE);
	int length;

	if (pending->have & LAM_HAVE_GNU_LINK) {
		link = (const char *)pending->gnu_link.data;
		size = pending->gnu_link.size;
	} else if (pending->have & LAM_HAVE_LINK) {
		link = (const char *)pending->link.data;
		size = pending->link.size;
	}
	if (entry->kind == LAM_KIND_HARDLINK) {
		length = tidy(tar, link, size, tar->link);
		if (length < 0)
			return length;
	} else {
		if (size == 0)
			return refuse_name(tar, -EBADMSG, entry->path, entry->path_size, "a link to nothing");
		if (size > LAM_INDEX_PATH_MAX)
			return refuse_name(tar, -ENAMETOOLONG, entry->path, entry->path_size,
					   "the link's target is too long");
		memcpy(tar->link, link, size);
		length = (int)size;
	}
	entry->link = tar->link;
	entry->link_size = (size_t)length;
	return 0;
}

static int field(struct lam_tar *tar, size_t at, size_t size, const char *what, int64_t *value)
{
	if (lam_text_field(tar->block + at, size, value) < 0)
		return lam_tar_refuse(tar, -EBADMSG, "the header's %s is no number", what);
	return 0;
}

static int set_owner(struct lam_tar *tar, size_t at, const char *what, const int64_t *pax, uint32_t *out)
{
	int64_t value;

	if (pax)
		value = *pax;
	else if (field(tar, at, NUMBER_SIZE, what, &value) < 0)
		return -EBADMSG;
	if (value < 0 || value >= UINT32_MAX)
		return lam_tar_refuse(tar, -EBADMSG, "the %s %lld does not exist", what, (long long)value);
	*out = (uint32_t)value;
	return 0;
}

static int set_attributes(struct lam_tar *tar)
{
	struct lam_pending *pending = &tar->pending;
	struct lam_index_entry *entry = &tar->entry;
	unsigned int have = pending->have;
	int64_t value;

	if (field(tar, MODE_AT, NUMBER_SIZE, "mode", &value) < 0 ||
	    set_owner(tar, UID_AT, "uid", have & LAM_HAVE_UID ? &pending->uid : NULL, &entry->uid) < 0 ||
	    set_owner(tar, GID_AT, "gid", have & LAM_HAVE_GID ? &pending->gid : NULL, &entry->gid) < 0)
		return -EBADMSG;
	entry->mode = (uint16_t)(value & 07777);
	if (have & LAM_HAVE_MTIME) {
		entry->mtime = pending->mtime;
		entry->mtime_nsec = pending->mtime_nsec;
	} else if (field(tar, MTIME_AT, LONG_SIZE, "time", &entry->mtime) < 0) {
		return -EBADMSG;
	}
	entry->xattr_count = pending->xattr_count;
	entry->xattrs = pending->xattrs.data;
	entry->xattr_size = pending->xattrs.size;
	return 0;
}

static int set_device(struct lam_tar *tar)
{
	int64_t major, minor;

	if (field(tar, MAJOR_AT, NUMBER_SIZE, "major number", &major) < 0 ||
	    field(tar, MINOR_AT, NUMBER_SIZE, "minor number", &minor) < 0)
		return -EBADMSG;
	if (major < 0 || major > LAM_INDEX_MAJOR_MAX || minor < 0 || minor > LAM_INDEX_MINOR_MAX)
		return lam_tar_refuse(tar, -EBADMSG, "the device %lld:%lld does not exist", (long long)major,
				      (long long)minor);
	tar->entry.major = (uint32_t)major;
	tar->entry.minor = (uint32_t)minor;
	return 0;
}

/* The kind of a header's type; -1: to be skipped with its data; -EOPNOTSUPP. */
static int kind_of(struct lam_tar *tar, unsigned char type, int is_dir)
{
	switch (type) {
	case '\0':
		return is_dir ? LAM_KIND_DIR : LAM_KIND_FILE; /* before ustar, a slash made a directory */
	case '0':
	case '7':
	case 'S':
		return LAM_KIND_FILE;
	case '1':
		return LAM_KIND_HARDLINK;
	case '2':
		return LAM_KIND_SYMLINK;
	case '3':
		return LAM_KIND_CHAR;
	case '4':
		return LAM_KIND_BLOCK;
	case '5':
	case 'D':
		return LAM_KIND_DIR;
	case '6':
		return LAM_KIND_FIFO;
	case 'V':
		return -1;
	default:
		return lam_tar_refuse(tar, -EOPNOTSUPP, "an entry of unknown type 0x%02x", type);
	}
}

/*
 * What the name says: an ordinary entry (0), something hidden (1, kind and path are set), AUFS's own (2), or -errno.
 */
static int classify(struct lam_tar *tar)
{
	struct lam_index_entry *entry = &tar->entry;
	const char *path = entry->path, *end = path + entry->path_size;

	for (const char *part = path; part < end;) {
		const char *slash = memchr(part, '/', (size_t)(end - part));
		size_t size = slash ? (size_t)(slash - part) : (size_t)(end - part),
		       start = (size_t)(part - path);

		if (size < strlen(wh) || memcmp(part, wh, strlen(wh)) != 0) {
			part += size + 1;
			continue;
		}
		if (!slash && size == strlen(wh_opaque) && memcmp(part, wh_opaque, size) == 0) {
			entry->kind = LAM_KIND_OPAQUE;
			entry->path_size = start ? start - 1 : 0;
			return 1;
		}
		if (size >= strlen(wh_meta) && memcmp(part, wh_meta, strlen(wh_meta)) == 0)
			return 2;
		size -= strlen(wh);
		if (slash || size == 0 || (part[4] == '.' && (size == 1 || (size == 2 && part[5] == '.'))))
			return refuse_name(tar, -EBADMSG, path, entry->path_size, "not a whiteout of a name");
		entry->kind = LAM_KIND_WHITEOUT;
		memmove(tar->path + start, part + strlen(wh), size);
		entry->path_size = start + size;
		return 1;
	}
	return 0;
}

static uint64_t padded(uint64_t size)
{
	return (size + LAM_TAR_BLOCK - 1) / LAM_TAR_BLOCK * LAM_TAR_BLOCK;
}

/* Write the entry; 'stored' bytes of data follow in the stream. */
static int emit(struct lam_tar *tar, uint64_t stored)
{
	int err;

	tar->entry.offset = stored ? tar->offset : 0;
	tar->skip = padded(stored);
	tar->state = LAM_TAR_HEADER;
	err = lam_index_write(&tar->writer, &tar->entry, stored);
	lam_pending_reset(&tar->pending);
	return err;
}

int lam_entry_sparse(struct lam_tar *tar)
{
	int err = lam_sparse_finish(tar, tar->stored);

	return err < 0 ? err : emit(tar, tar->stored);
}

/* How a sparse file begins: its map may be complete already. */
static int begin_sparse(struct lam_tar *tar)
{
	int64_t size = (int64_t)tar->pending.sparse_size;
	int result;

	if (lam_sparse_is_pax(tar)) {
		tar->entry.size = (uint64_t)size;
		if (!(tar->pending.have & LAM_HAVE_SPARSE_MAJOR) || tar->pending.sparse_major == 0)
			return lam_entry_sparse(tar);
		if (tar->pending.sparse_major != 1 || tar->pending.sparse_minor != 0)
			return lam_tar_refuse(tar, -EOPNOTSUPP, "an unknown sparse format");
		tar->pending.have &= ~LAM_HAVE_SPARSE_MAP;
		tar->meta.size = tar->pending.sparse_map.size = 0;
		tar->state = LAM_TAR_SPARSE_MAP;
		return 0;
	}
	if (field(tar, REALSIZE_AT, LONG_SIZE, "real size", &size) < 0 || size < 0)
		return lam_tar_refuse(tar, -EBADMSG, "a sparse file's size is no number");
	tar->entry.size = (uint64_t)size;
	tar->pending.sparse_map.size = 0;
	result = lam_sparse_old(tar, tar->block + SPARSE_AT, 4, 0);
	if (result < 0)
		return result;
	if (!tar->block[EXTENDED_AT])
		return lam_entry_sparse(tar);
	tar->state = LAM_TAR_SPARSE;
	return 0;
}

/* Whatever kind it is: the size of the data that follows in the archive. */
static int data_size(struct lam_tar *tar, int kind, unsigned char type, uint64_t *size)
{
	int64_t value;

	*size = 0;
	if (kind > LAM_KIND_FILE && type != 'D')
		return 0;
	if (tar->pending.have & LAM_HAVE_SIZE)
		value = tar->pending.size;
	else if (field(tar, SIZE_AT, LONG_SIZE, "size", &value) < 0)
		return -EBADMSG;
	if (value < 0 || value > INT64_MAX - LAM_TAR_BLOCK)
		return lam_tar_refuse(tar, -EBADMSG, "the header's size is impossible");
	*size = (uint64_t)value;
	return 0;
}

static int set_kind(struct lam_tar *tar, unsigned char type)
{
	int err;

	switch (tar->entry.kind) {
	case LAM_KIND_FILE:
		tar->entry.size = tar->stored;
		return type == 'S' || lam_sparse_is_pax(tar) ? begin_sparse(tar) : emit(tar, tar->stored);
	case LAM_KIND_SYMLINK:
	case LAM_KIND_HARDLINK:
		err = set_link(tar);
		return err < 0 ? err : emit(tar, 0);
	case LAM_KIND_CHAR:
	case LAM_KIND_BLOCK:
		return set_device(tar) < 0 ? -EBADMSG : emit(tar, 0);
	default:
		return emit(tar, 0);
	}
}

int lam_entry_header(struct lam_tar *tar)
{
	unsigned char type = tar->block[TYPE_AT];
	int is_dir, kind, err, meaning;

	memset(&tar->entry, 0, sizeof(tar->entry));
	err = set_path(tar, &is_dir);
	if (err < 0)
		return err;
	kind = kind_of(tar, type, is_dir);
	if (kind < -1)
		return kind;
	err = data_size(tar, kind, type, &tar->stored);
	if (err < 0)
		return err;
	tar->entry.kind = (uint8_t)kind;
	meaning = kind < 0 ? 2 : classify(tar);
	if (meaning < 0)
		return meaning;
	if (meaning) {
		uint64_t data = padded(tar->stored);

		err = meaning == 1 ? emit(tar, 0) : 0;
		lam_pending_reset(&tar->pending);
		tar->skip = data;
		tar->state = LAM_TAR_HEADER;
		return err;
	}
	if (!tar->entry.path_size && kind != LAM_KIND_DIR)
		return lam_tar_refuse(tar, -EBADMSG, "the root is not a directory, or an entry has no name");
	err = set_attributes(tar);
	if (err < 0)
		return err;
	if (kind == LAM_KIND_DIR && tar->stored) { /* 'D': a list of names */
		uint64_t data = padded(tar->stored);

		err = emit(tar, 0);
		tar->skip = data;
		return err;
	}
	return set_kind(tar, type);
}
