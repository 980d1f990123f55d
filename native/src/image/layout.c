/* SPDX-License-Identifier: MIT */
#include "layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_INLINE 256 /* a longer link target has a block of its own */

static int compare_text(const char *a, size_t a_size, const char *b, size_t b_size)
{
	int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

	return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare(const void *a, const void *b)
{
	const struct lam_tree_name *left = *(struct lam_tree_name *const *)a;
	const struct lam_tree_name *right = *(struct lam_tree_name *const *)b;

	return compare_text(left->text, left->size, right->text, right->size);
}

/* A vector that is used for one directory after the other. */
struct sorter {
	struct lam_tree_name **names;
	size_t capacity;
};

static int sort_names(struct lam_tree_inode *dir, struct sorter *sorter)
{
	struct lam_tree_name **link = &dir->u.dir.first;
	size_t count = 0;

	for (struct lam_tree_name *name = dir->u.dir.first; name; name = name->sibling) {
		if (!name->inode)
			continue;
		if (count == sorter->capacity) {
			size_t capacity = count ? 2 * count : 256;
			struct lam_tree_name **names = realloc(sorter->names,
							       capacity * sizeof(struct lam_tree_name *));

			if (!names)
				return -ENOMEM;
			sorter->names = names;
			sorter->capacity = capacity;
		}
		sorter->names[count++] = name;
	}
	if (count)
		qsort(sorter->names, count, sizeof(struct lam_tree_name *), compare);
	for (size_t i = 0; i < count; i++) {
		*link = sorter->names[i];
		link = &sorter->names[i]->sibling;
	}
	*link = NULL;
	return 0;
}

/* String all inodes together in the order of the walk, and all directories. */
static int string_together(struct lam_layout *layout)
{
	struct lam_tree_inode *root = layout->tree->root, **tail = &root->next;
	struct sorter sorter = { NULL, 0 };
	int err = 0;

	root->position = 1;
	layout->inodes = 1;
	for (struct lam_tree_inode *dir = root; dir && !err; dir = dir->u.dir.next) {
		struct lam_tree_inode *after = dir->u.dir.next, **link = &dir->u.dir.next;

		err = sort_names(dir, &sorter);
		for (struct lam_tree_name *name = dir->u.dir.first; name && !err; name = name->sibling) {
			struct lam_tree_inode *inode = name->inode;

			layout->names++;
			if (S_ISDIR(inode->mode)) {
				*link = inode;
				link = &inode->u.dir.next;
			}
			if (inode->position)
				continue;
			inode->position = 1;
			layout->inodes++;
			*tail = inode;
			tail = &inode->next;
		}
		*link = after;
	}
	*tail = NULL;
	free(sorter.names);
	return err;
}

static void take_name(struct lam_dirblock *block, const char *text, size_t size,
		      const struct lam_tree_inode *inode)
{
	block->names[block->count].text = text;
	block->names[block->count].size = (uint8_t)size;
	block->names[block->count].inode = inode;
	block->used += LAM_EROFS_DIRENT + size;
	block->count++;
}

void lam_dirblock_first(const struct lam_tree_inode *dir, struct lam_dirblock *block)
{
	block->next = dir->u.dir.first;
	block->dots = 0;
}

/* Names sort as bytes, the dots among them. */
int lam_dirblock_next(const struct lam_tree_inode *dir, struct lam_dirblock *block)
{
	block->count = 0;
	block->used = 0;
	for (;;) {
		struct lam_tree_name *name = block->next;
		size_t dots = block->dots + 1;

		if (block->dots < 2 && (!name || compare_text("..", dots, name->text, name->size) < 0)) {
			if (block->used + LAM_EROFS_DIRENT + dots > LAM_BLOCK)
				break;
			take_name(block, "..", dots, block->dots ? dir->u.dir.parent : dir);
			block->dots++;
			continue;
		}
		if (!name || block->used + LAM_EROFS_DIRENT + name->size > LAM_BLOCK)
			break;
		take_name(block, name->text, name->size, name->inode);
		block->next = name->sibling;
	}
	return block->count > 0;
}

static void measure_dir(struct lam_tree_inode *dir)
{
	struct lam_dirblock block;
	size_t last = 0;

	dir->data_size = 0;
	lam_dirblock_first(dir, &block);
	while (lam_dirblock_next(dir, &block)) {
		dir->data_size += LAM_BLOCK;
		last = block.used;
	}
	dir->size = dir->data_size - LAM_BLOCK + last;
	dir->nlink = 2 + dir->u.dir.subdirs;
	dir->layout = LAM_EROFS_PLAIN;
}

/* What the inode needs behind itself and its attributes. */
static int measure(struct lam_layout *layout, struct lam_tree_inode *inode, uint64_t *behind)
{
	*behind = 0;
	inode->layout = LAM_EROFS_PLAIN;
	inode->data_size = 0;
	if (S_ISDIR(inode->mode)) {
		measure_dir(inode);
	} else if (S_ISLNK(inode->mode)) {
		inode->layout = inode->size <= MAX_INLINE ? LAM_EROFS_INLINE : LAM_EROFS_PLAIN;
		if (inode->layout == LAM_EROFS_INLINE)
			*behind = inode->size;
		else
			inode->data_size = lam_align(inode->size, LAM_BLOCK);
	} else if (S_ISREG(inode->mode)) {
		if (__builtin_add_overflow(layout->file_size, inode->size, &layout->file_size))
			return -EFBIG;
		if (!inode->size)
			return 0;
		inode->layout = LAM_EROFS_CHUNKED;
		if (lam_chunks_plan(inode, &inode->data_size) < 0)
			return -EFBIG;
		*behind = lam_chunks_count(inode) * LAM_EROFS_CHUNK;
		layout->extra += inode->data_size;
		if (inode->u.file.sparse)
			layout->extra += *behind;
		if (layout->extra > LAM_IMAGE_MAX_EXTRA)
			return -EFBIG;
	}
	return 0;
}

/* Put an inode at or behind 'at'; returns where it ends. */
static uint64_t put_inode(struct lam_tree_inode *inode, uint64_t at, uint64_t behind)
{
	uint64_t tail;

	at = lam_align(at, LAM_EROFS_ISLOT);
	tail = at + LAM_EROFS_INODE + inode->xattr_bytes;
	if (inode->layout == LAM_EROFS_INLINE) {
		while (tail % LAM_BLOCK + behind > LAM_BLOCK) {
			at += LAM_EROFS_ISLOT;
			tail += LAM_EROFS_ISLOT;
		}
	} else if (behind) {
		tail = lam_align(tail, LAM_EROFS_CHUNK);
	}
	inode->position = at;
	return tail + behind;
}

static int place_all(struct lam_layout *layout)
{
	struct lam_tree_inode *root = layout->tree->root, *inode;
	uint64_t at = LAM_EROFS_SUPER + LAM_EROFS_SUPER_SIZE + layout->count * LAM_EROFS_SLOT_SIZE;
	uint64_t behind = 0;
	int err;

	for (inode = root; inode; inode = inode->next) {
		err = lam_xattrs_place(layout, inode);
		if (!err)
			err = measure(layout, inode, &behind);
		if (err < 0)
			return err;
		at = put_inode(inode, at, behind);
	}
	layout->shared_at = lam_align(at, LAM_BLOCK);
	at = lam_align(layout->shared_at + layout->shared_size, LAM_BLOCK);
	layout->data_at = at;
	for (inode = root; inode; inode = inode->u.dir.next) {
		inode->data = at;
		at += inode->data_size;
	}
	for (int files = 0; files < 2; files++) {
		for (inode = root; inode; inode = inode->next) {
			if (!inode->data_size || S_ISDIR(inode->mode) ||
			    (S_ISREG(inode->mode) ? 1 : 0) != files)
				continue;
			inode->data = at;
			at += inode->data_size;
		}
		if (!files)
			layout->own_at = at;
	}
	layout->end = at;
	return at >> LAM_IMAGE_BLOCK_BITS > UINT32_MAX ? -EFBIG : 0;
}

int lam_layout_make(struct lam_layout *layout)
{
	int err = string_together(layout);

	for (struct lam_tree_inode *inode = layout->tree->root; inode && !err; inode = inode->next)
		err = lam_xattrs_gather(layout, inode);
	return err ? err : place_all(layout);
}

void lam_layout_free(struct lam_layout *layout)
{
	free(layout->buckets);
	layout->buckets = NULL;
}
