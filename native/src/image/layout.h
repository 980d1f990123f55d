/* SPDX-License-Identifier: MIT */
/*
 * layout - where everything of an image is
 *
 * superblock, devices | inodes with attributes, link targets and chunk indexes | shared attributes |
 * directories and long link targets | data of sparse files that cannot be pointed at
 *
 * Inodes are numbered in the order of a walk: a directory's entries side by side, sorted by name,
 * then those of its first directory, and so on; the blocks of directories in the same order.
 */
#ifndef LAMINA_IMAGE_LAYOUT_H
#define LAMINA_IMAGE_LAYOUT_H

#include <lamina/image/build.h>

#include "erofs.h"
#include "tree.h"

#define LAM_BLOCK (1u << LAM_IMAGE_BLOCK_BITS)

/* An attribute, once for all that have it. */
struct lam_tree_xattr {
	struct lam_tree_xattr *chain;
	struct lam_tree_xattr *next; /* of the shared ones */
	struct lam_index_xattr text; /* the name without its prefix */
	uint64_t hash;
	uint64_t uses;
	uint32_t id; /* of a shared one */
	uint8_t prefix;
	uint8_t placed;
};

struct lam_layout {
	struct lam_tree *tree;
	const struct lam_image_layer *layers;
	size_t count;
	struct lam_tree_xattr **buckets;
	uint64_t mask;
	uint64_t xattr_count;
	int has_acl;		       /* some inode has a POSIX ACL */
	struct lam_tree_xattr *shared; /* in the order of their ids */
	struct lam_tree_xattr **shared_tail;
	uint64_t inodes;
	uint64_t names;
	uint64_t file_size;
	uint64_t extra; /* bytes that sparse files add */
	uint64_t shared_at;
	uint64_t shared_size;
	uint64_t data_at;
	uint64_t own_at; /* data of sparse files */
	uint64_t end;
};

/* Decide about everything.  -EFBIG, -ENOMEM. */
int lam_layout_make(struct lam_layout *layout);
void lam_layout_free(struct lam_layout *layout);

/* Gather an inode's attributes; then, when all are known, decide which are shared. */
int lam_xattrs_gather(struct lam_layout *layout, struct lam_tree_inode *inode);
int lam_xattrs_place(struct lam_layout *layout, struct lam_tree_inode *inode);
size_t lam_xattr_bytes(const struct lam_tree_xattr *xattr);

/* The names of 'dir' in order, with "." and "..": what fits into a block of the directory. */
struct lam_dirblock {
	struct lam_tree_name *next; /* the first name that is not in it */
	unsigned int dots;	    /* of "." and "..", how many are done */
	unsigned int count;
	size_t used;
	struct {
		const char *text;
		const struct lam_tree_inode *inode;
		uint8_t size;
	} names[LAM_BLOCK / (LAM_EROFS_DIRENT + 1)];
};
void lam_dirblock_first(const struct lam_tree_inode *dir, struct lam_dirblock *block);
int lam_dirblock_next(const struct lam_tree_inode *dir, struct lam_dirblock *block);

/* How a file is cut into chunks. */
struct lam_chunk_walk {
	const struct lam_tree_inode *file;
	const unsigned char *at;
	uint32_t left;	   /* extents */
	uint64_t position; /* behind the last extent */
	uint64_t tar;	   /* where the current extent's data is */
	struct lam_index_extent extent;
	uint64_t start; /* of the next chunk */
};
enum lam_chunk { LAM_CHUNK_END, LAM_CHUNK_HOLE, LAM_CHUNK_TAR, LAM_CHUNK_OWN };

/* Choose a chunk size; '*own' is what it takes in the image itself.  -EFBIG. */
int lam_chunks_plan(struct lam_tree_inode *file, uint64_t *own);
void lam_chunks_first(const struct lam_tree_inode *file, struct lam_chunk_walk *walk);
/* The next chunk; '*where' is its place in the tar, '*size' its bytes that are in the file. */
enum lam_chunk lam_chunks_next(struct lam_chunk_walk *walk, uint64_t *where, uint64_t *size);
void lam_chunks_extent(struct lam_chunk_walk *walk);
uint64_t lam_chunks_count(const struct lam_tree_inode *file);

static inline uint64_t lam_align(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

#endif
