/* SPDX-License-Identifier: MIT */
#include <lamina/image/index.h>

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct lam_index_packed) == 64, "as Python unpacks it");

static unsigned char *put(unsigned char *at, const void *data, size_t size)
{
	if (size)
		memcpy(at, data, size);
	return at + size;
}

static size_t packed_size(const struct lam_index_entry *entry)
{
	size_t size = sizeof(struct lam_index_packed) + entry->path_size + entry->link_size;

	/* attributes: two numbers of a byte or more each become two of four */
	size += entry->xattr_size + (size_t)entry->xattr_count * 2 * sizeof(uint32_t);
	return size + (size_t)entry->extent_count * 2 * sizeof(uint64_t) + 8;
}

static unsigned char *put_lists(unsigned char *at, const struct lam_index_entry *entry)
{
	const unsigned char *next = entry->xattrs;
	uint64_t position = 0;

	for (uint32_t i = 0; i < entry->xattr_count; i++) {
		struct lam_index_xattr xattr;
		uint32_t sizes[2];

		lam_index_xattr(&next, &xattr);
		sizes[0] = (uint32_t)xattr.name_size;
		sizes[1] = (uint32_t)xattr.value_size;
		at = put(at, sizes, sizeof(sizes));
		at = put(at, xattr.name, xattr.name_size);
		at = put(at, xattr.value, xattr.value_size);
	}
	next = entry->extents;
	for (uint32_t i = 0; i < entry->extent_count; i++) {
		struct lam_index_extent extent;

		lam_index_extent(&next, &position, &extent);
		at = put(at, &extent, sizeof(extent));
	}
	return at;
}

static size_t pack(const struct lam_index_entry *entry, unsigned char *out)
{
	struct lam_index_packed head = {
		.mode = entry->mode,
		.kind = entry->kind,
		.sparse = entry->sparse,
		.uid = entry->uid,
		.gid = entry->gid,
		.mtime = entry->mtime,
		.size = entry->size,
		.offset = entry->offset,
		.mtime_nsec = entry->mtime_nsec,
		.major = entry->major,
		.minor = entry->minor,
		.xattr_count = entry->xattr_count,
		.extent_count = entry->extent_count,
		.path_size = (uint16_t)entry->path_size,
		.link_size = (uint16_t)entry->link_size,
	};
	unsigned char *at = out + sizeof(head);

	at = put(at, entry->path, entry->path_size);
	at = put(at, entry->link, entry->link_size);
	at = put_lists(at, entry);
	while ((size_t)(at - out) % 8)
		*at++ = 0;
	head.length = (uint32_t)(at - out);
	memcpy(out, &head, sizeof(head));
	return head.length;
}

int64_t lam_index_pack(struct lam_index *index, void *out, size_t size)
{
	struct lam_index_entry entry;
	size_t used = 0;
	int result;

	while ((result = lam_index_next(index, &entry)) > 0) {
		if (packed_size(&entry) > size - used) {
			lam_index_unread(index, &entry);
			return used ? (int64_t)used : -ENOSPC;
		}
		used += pack(&entry, (unsigned char *)out + used);
	}
	return result < 0 ? result : (int64_t)used;
}
