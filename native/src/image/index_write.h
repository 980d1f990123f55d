/* SPDX-License-Identifier: MIT */
/* index_write - the writing half of an index; for the scanner */
#ifndef LAMINA_IMAGE_INDEX_WRITE_H
#define LAMINA_IMAGE_INDEX_WRITE_H

#include <lamina/image/index.h>

#include "buffer.h"

#define LAM_INDEX_MAGIC "LAMINDEX"
#define LAM_RECORD_OWNER 1
#define LAM_RECORD_NSEC 2
#define LAM_RECORD_XATTRS 4
#define LAM_RECORD_SPARSE 8

/* What a record leaves out because the one before said it. */
struct lam_index_state {
	uint32_t uid;
	uint32_t gid;
	int64_t mtime;
	uint64_t block; /* behind the last file's data */
	size_t path_size;
	char path[LAM_INDEX_PATH_MAX];
};

struct lam_index_writer {
	struct lam_buffer out;	  /* header and records */
	struct lam_buffer record; /* the one being made */
	struct lam_index_info info;
	struct lam_index_state last;
};

int lam_index_begin(struct lam_index_writer *writer);
/* 'xattrs' and 'extents' of the entry are in the index's form; stored is the size of the data in the tar. */
int lam_index_write(struct lam_index_writer *writer, const struct lam_index_entry *entry, uint64_t stored);
/* Fill in the header; the index is then in 'out'. */
void lam_index_end(struct lam_index_writer *writer, uint64_t tar_size);
void lam_index_writer_free(struct lam_index_writer *writer);

#endif
