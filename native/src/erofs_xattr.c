/* SPDX-License-Identifier: MIT */
/*
 * erofs_xattr - extended attributes, beside the inode and shared
 *
 * Names are kept as the number of a well-known prefix, or of one that the image declares for
 * itself, and the rest.
 */
#include <errno.h>

#include "erofs_disk.h"

#define VALUE_MAX 65536u /* XATTR_SIZE_MAX */

/* A name in three parts, as the image keeps it. */
struct key {
	const char *prefix;
	const char *infix;
	const char *rest;
	size_t infix_length;
	size_t rest_length;
};

/* Returns non-zero to end the walk with it. */
typedef ssize_t (*entry_fn)(const struct key *key, const uint8_t *value, size_t size, void *arg);

static const char *prefix_of(uint8_t index)
{
	switch (index) {
	case 1:
		return "user.";
	case 2:
		return "system.posix_acl_access";
	case 3:
		return "system.posix_acl_default";
	case 4:
		return "trusted.";
	case 6:
		return "security.";
	default:
		return NULL;
	}
}

/* false: of a kind that is not known; such an attribute is not shown. */
static bool split(const struct lam_erofs *fs, uint8_t index, const uint8_t *rest, uint8_t length,
		  struct key *key)
{
	*key = (struct key){ .infix = "", .rest = (const char *)rest, .rest_length = length };
	if (index & XATTR_LONG) {
		uint8_t at = index & (uint8_t)~XATTR_LONG;

		if (at >= fs->nprefixes)
			return false;
		key->infix = fs->prefixes[at].infix;
		key->infix_length = fs->prefixes[at].length;
		index = fs->prefixes[at].base;
	}
	key->prefix = prefix_of(index);
	return key->prefix;
}

/* Show the entry at 'offset', which ends before 'end'; 'length' is how far the next one is. */
static ssize_t visit(const struct lam_erofs *fs, uint64_t offset, uint64_t end, uint64_t *length, entry_fn fn,
		     void *arg)
{
	const uint8_t *at = erofs_at(fs, offset, XATTR_ENTRY);
	uint8_t name_length;
	uint16_t value_size;
	struct key key;

	if (!at || offset > end)
		return -EUCLEAN;
	name_length = at[0];
	value_size = le16_at(at + 2);
	*length = XATTR_ENTRY + (uint64_t)name_length + value_size;
	if (*length > end - offset || !erofs_at(fs, offset, *length))
		return -EUCLEAN;
	if (!split(fs, at[1], at + XATTR_ENTRY, name_length, &key))
		return 0;
	return fn(&key, at + XATTR_ENTRY + name_length, value_size, arg);
}

/* 0 after the last one, or what 'fn' ended it with. */
static ssize_t walk(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, entry_fn fn, void *arg)
{
	uint64_t at = inode->xattrs + XATTR_HEAD, end = inode->xattrs + inode->xattr_size, length;
	const uint8_t *head = erofs_at(fs, inode->xattrs, inode->xattr_size);
	uint32_t shared;
	ssize_t rc;

	if (!inode->xattr_size)
		return 0;
	if (!head)
		return -EUCLEAN;
	shared = head[4];
	if (shared * 4u > inode->xattr_size - XATTR_HEAD)
		return -EUCLEAN;
	for (at += shared * 4u; at + XATTR_ENTRY <= end; at += (length + 3) & ~3ull) {
		rc = visit(fs, at, end, &length, fn, arg);
		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < shared; i++) {
		uint64_t id = le32_at(head + XATTR_HEAD + i * 4u);

		rc = visit(fs, fs->xattrs + id * 4, fs->size, &length, fn, arg);
		if (rc)
			return rc;
	}
	return 0;
}

struct wanted {
	const char *key;
	void *value;
	size_t size;
	ssize_t length; /* of what was found, or an error */
};

static bool is_key(const struct key *key, const char *wanted)
{
	size_t prefix = strlen(key->prefix), length = strlen(wanted);

	return length == prefix + key->infix_length + key->rest_length &&
	       memcmp(wanted, key->prefix, prefix) == 0 &&
	       memcmp(wanted + prefix, key->infix, key->infix_length) == 0 &&
	       memcmp(wanted + prefix + key->infix_length, key->rest, key->rest_length) == 0;
}

static ssize_t pick(const struct key *key, const uint8_t *value, size_t size, void *arg)
{
	struct wanted *wanted = arg;

	if (!is_key(key, wanted->key))
		return 0;
	wanted->length = (ssize_t)size;
	if (wanted->size && size > wanted->size)
		wanted->length = -ERANGE;
	else if (wanted->size)
		memcpy(wanted->value, value, size);
	return 1;
}

ssize_t lam_erofs_getxattr(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, const char *key,
			   void *value, size_t size)
{
	struct wanted wanted = { .key = key, .value = value, .size = size, .length = -ENODATA };
	ssize_t rc = walk(fs, inode, pick, &wanted);

	return rc < 0 ? rc : wanted.length;
}

struct listing {
	char *list;
	size_t size;
	size_t used;
};

static ssize_t list_one(const struct key *key, const uint8_t *value, size_t size, void *arg)
{
	struct listing *listing = arg;
	size_t prefix = strlen(key->prefix), length = prefix + key->infix_length + key->rest_length;
	char *to;

	(void)value;
	(void)size;
	/* What no call could ask for is not shown. */
	if (length > NAME_MAX_LENGTH || memchr(key->infix, 0, key->infix_length) ||
	    memchr(key->rest, 0, key->rest_length))
		return 0;
	if (listing->used + length + 1 > VALUE_MAX)
		return -E2BIG;
	if (listing->size) {
		if (length + 1 > listing->size - listing->used)
			return -ERANGE;
		to = listing->list + listing->used;
		memcpy(to, key->prefix, prefix);
		memcpy(to + prefix, key->infix, key->infix_length);
		memcpy(to + prefix + key->infix_length, key->rest, key->rest_length);
		to[length] = '\0';
	}
	listing->used += length + 1;
	return 0;
}

ssize_t lam_erofs_listxattr(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, char *list,
			    size_t size)
{
	struct listing listing = { .list = list, .size = size };
	ssize_t rc = walk(fs, inode, list_one, &listing);

	return rc < 0 ? rc : (ssize_t)listing.used;
}
