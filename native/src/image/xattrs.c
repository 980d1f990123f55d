/* SPDX-License-Identifier: MIT */
/* Extended attributes: what Linux and EROFS can have; the same one of several inodes once. */
#include "layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_BUCKETS 1024
#define PREFIX_USER 1
#define PREFIX_ACL 2
#define PREFIX_DEFAULT_ACL 3
#define PREFIX_TRUSTED 4
#define PREFIX_SECURITY 6

/* Names that end in a dot are beginnings. */
static const struct {
	const char *text;
	uint8_t prefix;
} prefixes[] = {
	{ "user.", PREFIX_USER },
	{ "system.posix_acl_access", PREFIX_ACL },
	{ "system.posix_acl_default", PREFIX_DEFAULT_ACL },
	{ "trusted.", PREFIX_TRUSTED },
	{ "security.", PREFIX_SECURITY },
};

/* A union reads these as its own: a layer cannot set them. */
static const char *const reserved[] = { "trusted.overlay.", "user.overlay." };

static int begins(const struct lam_index_xattr *xattr, const char *text)
{
	size_t size = strlen(text);

	return xattr->name_size >= size && memcmp(xattr->name, text, size) == 0;
}

/* Its prefix, which is cut off; 0 if the attribute cannot be. */
static uint8_t cut_prefix(struct lam_index_xattr *xattr, uint16_t mode)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (begins(xattr, reserved[i]))
			return 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t size = strlen(prefixes[i].text);

		if (!begins(xattr, prefixes[i].text))
			continue;
		if ((xattr->name_size == size) == (prefixes[i].text[size - 1] == '.'))
			return 0;
		if (prefixes[i].prefix == PREFIX_USER && !S_ISREG(mode) && !S_ISDIR(mode))
			return 0;
		xattr->name += size;
		xattr->name_size -= size;
		return prefixes[i].prefix;
	}
	return 0;
}

static int same(const struct lam_tree_xattr *known, const struct lam_index_xattr *xattr, uint8_t prefix)
{
	return known->prefix == prefix && known->text.name_size == xattr->name_size &&
	       known->text.value_size == xattr->value_size &&
	       memcmp(known->text.name, xattr->name, xattr->name_size) == 0 &&
	       memcmp(known->text.value, xattr->value, xattr->value_size) == 0;
}

static int grow(struct lam_layout *layout)
{
	uint64_t mask = layout->buckets ? layout->mask * 2 + 1 : FIRST_BUCKETS - 1;
	struct lam_tree_xattr **buckets = calloc(mask + 1, sizeof(*buckets));

	if (!buckets)
		return layout->buckets ? 0 : -ENOMEM;
	for (uint64_t i = 0; layout->buckets && i <= layout->mask; i++) {
		struct lam_tree_xattr *xattr = layout->buckets[i], *chain;

		for (; xattr; xattr = chain) {
			chain = xattr->chain;
			xattr->chain = buckets[xattr->hash & mask];
			buckets[xattr->hash & mask] = xattr;
		}
	}
	free(layout->buckets);
	layout->buckets = buckets;
	layout->mask = mask;
	return 0;
}

static struct lam_tree_xattr *intern(struct lam_layout *layout, const struct lam_index_xattr *xattr,
				     uint8_t prefix)
{
	struct lam_tree_xattr *known;
	uint64_t hash = XXH3_64bits_withSeed(xattr->name, xattr->name_size, layout->tree->seed + prefix);

	hash = XXH3_64bits_withSeed(xattr->value, xattr->value_size, hash);
	if ((!layout->buckets || layout->xattr_count > layout->mask) && grow(layout) < 0)
		return NULL;
	for (known = layout->buckets[hash & layout->mask]; known; known = known->chain)
		if (known->hash == hash && same(known, xattr, prefix))
			return known;
	known = lam_tree_alloc(layout->tree, sizeof(*known));
	if (!known)
		return NULL;
	known->text = *xattr;
	known->hash = hash;
	known->prefix = prefix;
	known->chain = layout->buckets[hash & layout->mask];
	layout->buckets[hash & layout->mask] = known;
	layout->xattr_count++;
	layout->has_acl |= prefix == PREFIX_ACL || prefix == PREFIX_DEFAULT_ACL;
	return known;
}

int lam_xattrs_gather(struct lam_layout *layout, struct lam_tree_inode *inode)
{
	const unsigned char *at = inode->xattrs;
	uint32_t count = 0;

	if (!inode->xattr_count)
		return 0;
	inode->sorted = lam_tree_alloc(layout->tree, inode->xattr_count * sizeof(struct lam_tree_xattr *));
	if (!inode->sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < inode->xattr_count; i++) {
		struct lam_index_xattr xattr;
		struct lam_tree_xattr *known;
		uint8_t prefix;

		lam_index_xattr(&at, &xattr);
		prefix = cut_prefix(&xattr, inode->mode);
		if (!prefix)
			continue;
		known = intern(layout, &xattr, prefix);
		if (!known)
			return -ENOMEM;
		known->uses++;
		inode->sorted[count++] = known;
	}
	inode->xattr_count = count;
	return 0;
}

size_t lam_xattr_bytes(const struct lam_tree_xattr *xattr)
{
	return lam_align(LAM_EROFS_XATTR_ENTRY + xattr->text.name_size + xattr->text.value_size, 4);
}

static void share(struct lam_layout *layout, struct lam_tree_xattr *xattr, struct lam_tree_xattr ***tail)
{
	if (xattr->placed)
		return;
	xattr->placed = 1;
	xattr->id = (uint32_t)(layout->shared_size / 4);
	layout->shared_size += lam_xattr_bytes(xattr);
	**tail = xattr;
	*tail = &xattr->next;
}

/* Shared ones first, each group in the layer's order. */
static void order(struct lam_tree_inode *inode)
{
	struct lam_tree_xattr **sorted = inode->sorted;
	uint32_t shared = 0;

	for (uint32_t i = 0; i < inode->xattr_count && shared < LAM_EROFS_MAX_SHARED; i++) {
		struct lam_tree_xattr *xattr = sorted[i];

		if (xattr->uses < 2)
			continue;
		memmove(sorted + shared + 1, sorted + shared, (i - shared) * sizeof(struct lam_tree_xattr *));
		sorted[shared++] = xattr;
	}
	inode->shared = shared;
}

int lam_xattrs_place(struct lam_layout *layout, struct lam_tree_inode *inode)
{
	struct lam_tree_xattr **tail = &layout->shared;

	if (layout->shared_tail)
		tail = layout->shared_tail;
	if (!inode->xattr_count)
		return 0;
	order(inode);
	inode->xattr_bytes = LAM_EROFS_XATTR_HEADER;
	for (uint32_t i = 0; i < inode->xattr_count; i++) {
		if (i < inode->shared) {
			share(layout, inode->sorted[i], &tail);
			inode->xattr_bytes += sizeof(uint32_t);
		} else {
			inode->xattr_bytes += (uint32_t)lam_xattr_bytes(inode->sorted[i]);
		}
	}
	layout->shared_tail = tail;
	return layout->shared_size > LAM_IMAGE_MAX_EXTRA ? -EFBIG : 0;
}
