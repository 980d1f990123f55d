/* SPDX-License-Identifier: MIT */
/* Extended headers: records "LENGTH KEY=VALUE\n", LENGTH counting itself. */
#include "scan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct record {
	const char *key;
	size_t key_size;
	const char *value;
	size_t value_size;
};

static int next_record(const char **at, const char *end, struct record *record)
{
	size_t left = (size_t)(end - *at);
	const char *blank = memchr(*at, ' ', left < 20 ? left : 20), *equals;
	uint64_t length;

	if (!blank || lam_text_decimal(*at, (size_t)(blank - *at), &length) < 0 || length > left ||
	    length < (uint64_t)(blank - *at) + 3 || (*at)[length - 1] != '\n')
		return -EBADMSG;
	record->key = blank + 1;
	equals = memchr(record->key, '=', (size_t)(*at + length - 1 - record->key));
	if (!equals || equals == record->key)
		return -EBADMSG;
	record->key_size = (size_t)(equals - record->key);
	record->value = equals + 1;
	record->value_size = (size_t)(*at + length - 1 - record->value);
	*at += length;
	return 0;
}

static int has_prefix(const struct record *record, const char *prefix)
{
	size_t size = strlen(prefix);

	return record->key_size > size && memcmp(record->key, prefix, size) == 0;
}

static int refuse_record(struct lam_tar *tar, const struct record *record, int code, const char *what)
{
	char key[80];

	lam_text_show(record->key, record->key_size, key, sizeof(key));
	return lam_tar_refuse(tar, code, "%s in the extended header: %s", what, key);
}

static int keep_string(struct lam_tar *tar, const struct record *record, struct lam_buffer *out,
		       unsigned int have)
{
	if (!record->value_size)
		return 0; /* as Go: the header's own value stands */
	if (memchr(record->value, '\0', record->value_size))
		return refuse_record(tar, record, -EBADMSG, "a NUL");
	out->size = 0;
	tar->pending.have |= have;
	return lam_buffer_add(out, record->value, record->value_size);
}

static int keep_number(struct lam_tar *tar, const struct record *record, int64_t *out, unsigned int have)
{
	uint64_t value;

	if (!record->value_size)
		return 0;
	if (lam_text_decimal(record->value, record->value_size, &value) < 0 || value > INT64_MAX)
		return refuse_record(tar, record, -EBADMSG, "not a number");
	*out = (int64_t)value;
	tar->pending.have |= have;
	return 0;
}

static int keep_time(struct lam_tar *tar, const struct record *record)
{
	struct lam_pending *pending = &tar->pending;

	if (!record->value_size)
		return 0;
	if (lam_text_time(record->value, record->value_size, &pending->mtime, &pending->mtime_nsec) < 0)
		return refuse_record(tar, record, -EBADMSG, "not a time");
	pending->have |= LAM_HAVE_MTIME;
	return 0;
}

/* The attribute of that name, if it is among those that were kept: its place and size. */
static int find_xattr(const struct lam_pending *pending, const char *name, size_t name_size, size_t *start,
		      size_t *size, struct lam_index_xattr *xattr)
{
	const unsigned char *at = pending->xattrs.data;

	for (uint32_t i = 0; i < pending->xattr_count; i++) {
		*start = (size_t)(at - pending->xattrs.data);
		lam_index_xattr(&at, xattr);
		*size = (size_t)(at - pending->xattrs.data) - *start;
		if (xattr->name_size == name_size && memcmp(xattr->name, name, name_size) == 0)
			return 1;
	}
	return 0;
}

static int add_xattr(struct lam_pending *pending, const char *name, size_t name_size,
		     const unsigned char *value, size_t value_size)
{
	struct lam_buffer *xattrs = &pending->xattrs;
	struct lam_index_xattr old;
	size_t start, size;
	int err;

	if (find_xattr(pending, name, name_size, &start, &size, &old)) {
		pending->xattr_bytes -= old.name_size + old.value_size;
		pending->xattr_count--;
		memmove(xattrs->data + start, xattrs->data + start + size, xattrs->size - start - size);
		xattrs->size -= size;
	}
	err = lam_buffer_varint(xattrs, name_size);
	if (!err)
		err = lam_buffer_add(xattrs, name, name_size);
	if (!err)
		err = lam_buffer_varint(xattrs, value_size);
	if (!err)
		err = lam_buffer_add(xattrs, value, value_size);
	pending->xattr_bytes += name_size + value_size;
	pending->xattr_count++;
	return err;
}

static int keep_xattr(struct lam_tar *tar, const struct record *record, const char *prefix)
{
	int quoted = prefix[0] == 'L'; /* libarchive: the name URL-quoted, the value in base64 */
	size_t name_size = record->key_size - strlen(prefix);
	int64_t value_size = (int64_t)record->value_size;
	unsigned char *value = NULL;
	char *name = NULL;
	int err = -ENOMEM;

	name = malloc(name_size);
	value = malloc(record->value_size + 4);
	if (!name || !value)
		goto out;
	memcpy(name, record->key + strlen(prefix), name_size);
	if (quoted) {
		name_size = lam_text_unquote(name, name_size);
		value_size = lam_text_base64(record->value, record->value_size, value);
	} else if (record->value_size) {
		memcpy(value, record->value, record->value_size);
	}
	err = -EBADMSG;
	if (value_size < 0)
		refuse_record(tar, record, err, "not base64");
	else if (memchr(name, '\0', name_size))
		refuse_record(tar, record, err, "a NUL");
	else if (name_size > LAM_INDEX_NAME_MAX || value_size > LAM_TAR_MAX_XATTR_VALUE ||
		 tar->pending.xattr_count >= LAM_TAR_MAX_XATTRS ||
		 tar->pending.xattr_bytes + name_size + (size_t)value_size > LAM_TAR_MAX_XATTR_BYTES)
		err = refuse_record(tar, record, -EFBIG, "too many attributes, or too large ones,");
	else
		err = add_xattr(&tar->pending, name, name_size, value, (size_t)value_size);
out:
	free(value);
	free(name);
	return err;
}

/* GNU.sparse.map: offset and size of each run, with commas. */
static int keep_map(struct lam_tar *tar, const struct record *record)
{
	const char *at = record->value, *end = at + record->value_size;
	uint64_t pair[2];
	unsigned int count = 0;
	int err = 0;

	tar->pending.have |= LAM_HAVE_SPARSE_MAP;
	tar->pending.have &= ~LAM_HAVE_SPARSE_OFFSET;
	tar->pending.sparse_map.size = 0;
	while (!err && at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t digits = comma ? (size_t)(comma - at) : (size_t)(end - at);

		if (lam_text_decimal(at, digits, &pair[count % 2]) < 0)
			return refuse_record(tar, record, -EBADMSG, "not a map");
		at += digits + 1;
		if (++count % 2 == 0)
			err = lam_sparse_add(tar, pair[0], pair[1]);
	}
	if (!err && count % 2)
		err = refuse_record(tar, record, -EBADMSG, "half a pair");
	return err;
}

static int keep_sparse(struct lam_tar *tar, const struct record *record, const char *key, size_t size)
{
	struct lam_pending *pending = &tar->pending;
	uint64_t value;

	if (size == 4 && memcmp(key, "name", 4) == 0)
		return keep_string(tar, record, &pending->sparse_name, LAM_HAVE_SPARSE_NAME);
	if (size == 3 && memcmp(key, "map", 3) == 0)
		return keep_map(tar, record);
	if (lam_text_decimal(record->value, record->value_size, &value) < 0 || value > INT64_MAX)
		return refuse_record(tar, record, -EBADMSG, "not a number");
	if ((size == 4 && memcmp(key, "size", 4) == 0) || (size == 8 && memcmp(key, "realsize", 8) == 0)) {
		pending->sparse_size = value;
		pending->have |= LAM_HAVE_SPARSE_SIZE;
	} else if (size == 5 && memcmp(key, "major", 5) == 0) {
		pending->sparse_major = value;
		pending->have |= LAM_HAVE_SPARSE_MAJOR;
	} else if (size == 5 && memcmp(key, "minor", 5) == 0) {
		pending->sparse_minor = value;
	} else if (size == 6 && memcmp(key, "offset", 6) == 0) {
		pending->sparse_offset = value;
		pending->have |= LAM_HAVE_SPARSE_OFFSET | LAM_HAVE_SPARSE_MAP;
	} else if (size == 8 && memcmp(key, "numbytes", 8) == 0) {
		if (!(pending->have & LAM_HAVE_SPARSE_OFFSET))
			return refuse_record(tar, record, -EBADMSG, "a size without an offset");
		pending->have &= ~LAM_HAVE_SPARSE_OFFSET;
		return lam_sparse_add(tar, pending->sparse_offset, value);
	}
	return 0;
}

static int is_key(const struct record *record, const char *key)
{
	return record->key_size == strlen(key) && memcmp(record->key, key, record->key_size) == 0;
}

static int keep(struct lam_tar *tar, const struct record *record)
{
	static const char schily[] = "SCHILY.xattr.", libarchive[] = "LIBARCHIVE.xattr.",
			  sparse[] = "GNU.sparse.";
	struct lam_pending *pending = &tar->pending;

	if (is_key(record, "path"))
		return keep_string(tar, record, &pending->path, LAM_HAVE_PATH);
	if (is_key(record, "linkpath"))
		return keep_string(tar, record, &pending->link, LAM_HAVE_LINK);
	if (is_key(record, "size"))
		return keep_number(tar, record, &pending->size, LAM_HAVE_SIZE);
	if (is_key(record, "uid"))
		return keep_number(tar, record, &pending->uid, LAM_HAVE_UID);
	if (is_key(record, "gid"))
		return keep_number(tar, record, &pending->gid, LAM_HAVE_GID);
	if (is_key(record, "mtime"))
		return keep_time(tar, record);
	if (has_prefix(record, schily))
		return keep_xattr(tar, record, schily);
	if (has_prefix(record, libarchive))
		return keep_xattr(tar, record, libarchive);
	if (has_prefix(record, sparse))
		return keep_sparse(tar, record, record->key + strlen(sparse),
				   record->key_size - strlen(sparse));
	return 0;
}

int lam_pax_check(struct lam_tar *tar, const char *text, size_t size)
{
	const char *at = text, *end = text + size;
	struct record record;

	while (at < end)
		if (next_record(&at, end, &record) < 0)
			return lam_tar_refuse(tar, -EBADMSG, "a malformed global header");
	return 0;
}

int lam_pax_parse(struct lam_tar *tar, const char *text, size_t size)
{
	const char *at = text, *end = text + size;
	unsigned int gnu = tar->pending.have & (LAM_HAVE_GNU_PATH | LAM_HAVE_GNU_LINK);
	struct record record;
	int err = 0;

	/* A second one replaces the first. */
	tar->pending.have = gnu | LAM_HAVE_ANY;
	tar->pending.xattr_count = 0;
	tar->pending.xattr_bytes = tar->pending.xattrs.size = tar->pending.sparse_map.size = 0;
	tar->pending.sparse_minor = 0;
	while (!err && at < end) {
		if (next_record(&at, end, &record) < 0)
			return lam_tar_refuse(tar, -EBADMSG, "a malformed extended header");
		err = keep(tar, &record);
	}
	return err;
}

void lam_pending_reset(struct lam_pending *pending)
{
	pending->have = 0;
	pending->xattr_count = 0;
	pending->xattr_bytes = pending->xattrs.size = pending->sparse_map.size = 0;
	pending->sparse_minor = 0;
}

void lam_pending_free(struct lam_pending *pending)
{
	lam_buffer_free(&pending->path);
	lam_buffer_free(&pending->link);
	lam_buffer_free(&pending->gnu_path);
	lam_buffer_free(&pending->gnu_link);
	lam_buffer_free(&pending->xattrs);
	lam_buffer_free(&pending->sparse_name);
	lam_buffer_free(&pending->sparse_map);
}
