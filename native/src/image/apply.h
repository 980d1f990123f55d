/* SPDX-License-Identifier: MIT */
/* apply - one layer's records change the tree */
#ifndef LAMINA_IMAGE_APPLY_H
#define LAMINA_IMAGE_APPLY_H

#include "tree.h"

struct lam_apply {
	struct lam_tree *tree;
	uint16_t layer;
	int whiteouts_done;
	/* The directory that was asked for last, and under what path; gone whenever something is removed. */
	struct lam_tree_inode *parent;
	size_t parent_size;
	char parent_path[LAM_INDEX_PATH_MAX];
};

/* Hide what the record of a whiteout or an opaque names. */
void lam_apply_whiteout(struct lam_apply *apply, const struct lam_index_entry *entry);

/*
 * lam_apply_entry() - make what the record says
 *
 * -ENOENT (a hard link to nothing), -ENOTDIR, -EISDIR (a hard link to a directory), -ELOOP, -EMLINK, -ENAMETOOLONG
 * (too deep), -ENOMEM.
 */
int lam_apply_entry(struct lam_apply *apply, const struct lam_index_entry *entry);

#endif
