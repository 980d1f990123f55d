/* SPDX-License-Identifier: MIT */
/*
 * build - the indexes of an image's layers become one EROFS image
 *
 * Theory.  Layers are applied base first to a tree in memory: the whiteouts of a layer first, as
 * they concern only what lies below it, then its entries in their order.  The tree is laid out in
 * the order in which a walk meets it (the inodes of a directory's entries side by side) and
 * written front to back.  File contents stay where they are: chunk indexes point into the tars,
 * which are the image's devices 1, 2, … in the order of the layers.
 *
 * The bytes depend on nothing but the indexes, the tags and the options.
 */
#ifndef LAMINA_IMAGE_BUILD_H
#define LAMINA_IMAGE_BUILD_H

#include <stddef.h>
#include <stdint.h>

#define LAM_IMAGE_BLOCK_BITS 9
#define LAM_IMAGE_TAG_SIZE 64
#define LAM_IMAGE_MAX_LAYERS 4096
#define LAM_IMAGE_MAX_DEPTH 2048	 /* of directories */
#define LAM_IMAGE_MAX_FOLLOWED 40	 /* symbolic links on the way to one name */
#define LAM_IMAGE_MAX_EXTRA (1ull << 30) /* bytes that sparse files may add to an image */

#define LAM_IMAGE_SQUASH 1

/* Bytes of a layer's tar that are to be read at another place of a tar, their own being holes. */
struct lam_image_move {
	uint64_t offset;
	uint64_t size;
	uint64_t target_offset;
	uint64_t target; /* which of the layers */
};

struct lam_image_layer {
	const void *index; /* NULL: no layer, only a tar that moves lead to */
	size_t index_size;
	int tar_fd; /* borrowed; read only for runs of sparse files that are not aligned */
	uint64_t tar_size;
	char tag[LAM_IMAGE_TAG_SIZE];	    /* of its device: the layer's diffID in hexadecimal */
	const struct lam_image_move *moves; /* sorted by offset */
	size_t move_count;
};

struct lam_image_options {
	uint32_t flags;
	uint32_t squash_uid; /* with LAM_IMAGE_SQUASH: everything's owner */
	uint32_t squash_gid;
};

struct lam_image_info {
	uint64_t inodes;
	uint64_t names;	    /* directory entries, without "." and ".." */
	uint64_t bytes;	    /* size of the image */
	uint64_t file_size; /* sum of the sizes of regular files, each inode once */
	unsigned char uuid[16];
};

/*
 * lam_image_build() - write the image to the empty regular file 'out_fd', open for reading and writing
 *
 * Returns 0, or one line in 'why' and: -EBADMSG (an index or moves are damaged), -ENOENT (a hard link to
 * nothing), -ENOTDIR, -EISDIR, -ELOOP, -ENAMETOOLONG (too deep), -EFBIG (over a limit), -ENOMEM, or what
 * writing or reading failed with.
 */
int lam_image_build(int out_fd, const struct lam_image_layer *layers, size_t count,
		    const struct lam_image_options *options, struct lam_image_info *info, char *why,
		    size_t why_size);

#endif
