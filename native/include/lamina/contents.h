/* SPDX-License-Identifier: MIT */
/*
 * contents - the bytes of a regular file on a layer
 *
 * Theory.  On a directory layer a file is one descriptor.  On an image it is a list of extents:
 * pieces of a few large files, and holes.  Everything that reads contents goes through the calls
 * below, which know both.  What an image answers never changes, so none of this needs the
 * core's lock.
 */
#ifndef LAMINA_CONTENTS_H
#define LAMINA_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lam_layer;

/* A value; the descriptor and the layer belong to others. */
struct lam_contents {
	int fd;			       /* >= 0: the file itself */
	const struct lam_layer *image; /* else who knows the extents of 'object' */
	uint64_t object;
};

/* 'length' bytes at 'offset' of 'fd', or of zeros if 'fd' is -1; 'length' 0 is the end of the file. */
struct lam_extent {
	int fd;
	uint64_t offset;
	uint64_t length;
};

/* Read until 'size' bytes or the end.  Without 'wait': -LAM_EAGAIN if a byte is not in memory. */
ssize_t lam_contents_read(const struct lam_contents *from, void *buf, size_t size, uint64_t offset,
			  bool wait);
/* The bytes that a read of 'size' gives, if they are one piece of one file; else false. */
bool lam_contents_piece(const struct lam_contents *from, uint64_t offset, uint64_t size,
			struct lam_extent *piece);
/* SEEK_DATA and SEEK_HOLE as lseek(2). */
int64_t lam_contents_seek(const struct lam_contents *from, int64_t offset, int whence);
/* One copy_file_range(2): it may copy less. */
ssize_t lam_contents_copy_range(const struct lam_contents *from, uint64_t offset, int to, uint64_t to_offset,
				size_t size);
/* Fill the empty file 'to' with the first 'size' bytes, holes kept. */
int lam_contents_copy(const struct lam_contents *from, int to, uint64_t size, bool sparse);

#endif
