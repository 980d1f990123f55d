/* SPDX-License-Identifier: MIT */
/*
 * tree - the merged tree of an image while its layers are applied
 *
 * Names are found in one table for all directories, whose seed is random: no layer can make it slow.
 * A name that was removed stays as a tombstone until the tree is freed.  Everything lies in one
 * arena; attributes, link targets and runs of data point into the indexes.
 */
#ifndef LAMINA_IMAGE_TREE_H
#define LAMINA_IMAGE_TREE_H

#include <stddef.h>
#include <stdint.h>

#include <lamina/image/index.h>

struct lam_tree_name;
struct lam_tree_xattr;

struct lam_tree_inode {
	int64_t mtime;
	uint64_t size;
	uint32_t mtime_nsec;
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint16_t mode; /* with the type */
	uint16_t layer;
	uint32_t rdev;
	uint32_t xattr_count;
	const unsigned char *xattrs;
	union {
		struct {
			const unsigned char *extents;
			uint64_t offset; /* in the tar */
			uint32_t extent_count;
			uint8_t sparse;
			uint8_t chunk_bits;
		} file;
		const char *target; /* 'size' bytes */
		struct {
			struct lam_tree_name *first;   /* in no order, tombstones too; sorted by the layout */
			struct lam_tree_inode *parent; /* the root's is itself */
			struct lam_tree_inode *next;   /* in the order of the layout */
			uint32_t depth;
			uint32_t subdirs;
		} dir;
	} u;
	/* Of the layout. */
	struct lam_tree_inode *next; /* in the order of positions */
	struct lam_tree_xattr **sorted;
	uint64_t position; /* in the image; 0: not laid out */
	uint64_t data;	   /* where its blocks in the image begin */
	uint64_t data_size;
	uint32_t xattr_bytes; /* of its part behind the inode */
	uint32_t shared;      /* attributes that are shared: the first ones of 'sorted' */
	uint8_t layout;	      /* LAM_EROFS_* */
};

struct lam_tree_name {
	struct lam_tree_name *chain;
	struct lam_tree_name *sibling;
	struct lam_tree_inode *parent;
	struct lam_tree_inode *inode; /* NULL: a tombstone */
	uint32_t hash;
	uint8_t size;
	char text[];
};

struct lam_tree {
	struct lam_tree_inode *root;
	struct lam_tree_name **buckets;
	uint64_t mask;
	uint64_t count;
	uint64_t seed;
	struct lam_tree_chunk *arena;
};

int lam_tree_init(struct lam_tree *tree);
void lam_tree_free(struct lam_tree *tree);

/* Zeroed, for as long as the tree lives.  NULL: no memory. */
void *lam_tree_alloc(struct lam_tree *tree, size_t size);

/* NULL if there is no such name. */
struct lam_tree_name *lam_tree_find(const struct lam_tree *tree, const struct lam_tree_inode *dir,
				    const char *text, size_t size);
/* Find or insert a tombstone.  NULL: no memory. */
struct lam_tree_name *lam_tree_slot(struct lam_tree *tree, struct lam_tree_inode *dir, const char *text,
				    size_t size);
/* Put 'inode' under a tombstone. */
void lam_tree_attach(struct lam_tree_name *name, struct lam_tree_inode *inode);
/* Take away the inode, and all below it. */
void lam_tree_detach(struct lam_tree_name *name);
/* Take away all names in 'dir'. */
void lam_tree_empty(struct lam_tree_inode *dir);

#endif
