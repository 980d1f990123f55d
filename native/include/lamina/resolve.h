/* SPDX-License-Identifier: MIT */
/*
 * resolve - from a name in a merged directory to the real objects behind it
 *
 * Theory.  A merged directory is a list of parts, topmost first.  A name in it is found by
 * going down the parts: the first non-directory is the object; directories are collected
 * until something ends the walk (a whiteout, a non-directory, an opaque directory); a
 * redirect on one of them says under which name, or path from the roots, it goes on below.
 * Where a directory has several parts, all its names are first read into its table
 * (index.c), so that the number of layers costs nothing at later lookups.
 */
#ifndef LAMINA_RESOLVE_H
#define LAMINA_RESOLVE_H

#include <lamina/internal.h>

struct lam_parts {
	struct lam_ldir **list;
	uint32_t count;
	uint32_t room;
};

void lam_parts_free(struct lam_core *core, struct lam_parts *parts);

/* The part of a merged directory that lies on 'layer'; NULL if none does. */
struct lam_ldir *lam_part_on(const struct lam_node *dir, uint32_t layer);

/* All parts of the child directory that 'dent' names. */
int lam_resolve_dir(struct lam_core *core, const struct lam_dent *dent, struct lam_parts *out);

/*
 * Where the data of a metadata-only copy is: below layer 'above', under the name or path
 * that 'redirect' (NULL: none) gives.  Sets '*place'; -ENODATA if there is none.
 */
int lam_resolve_data(struct lam_core *core, const struct lam_node *parent, const char *name, uint32_t above,
		     const char *redirect, struct lam_place *place);

/* The redirect xattr of (dir, name) as a checked string in 'buf'; -ENODATA, -EIO for one that leads nowhere. */
int lam_redirect_get(struct lam_core *core, struct lam_ldir *dir, const char *name,
		     char buf[LAM_NAME_MAX * 16]);

/* Read all names of a directory into its table (index.c). */
int lam_index_build(struct lam_core *core, struct lam_node *dir);

/*
 * lam_name_find() - what is known of a name
 *
 * 0 with a positive or a whiteout dent; -ENOENT with '*out' NULL if no layer shows it.  'st'
 * is filled when the search happened to ask for it ('*asked').
 */
int lam_name_find(struct lam_core *core, struct lam_node *dir, const char *name, struct lam_dent **out,
		  struct statx *st, bool *asked);

/* The node behind a positive dent, made if the kernel does not know it, and its topmost attributes. */
int lam_node_of(struct lam_core *core, struct lam_dent *dent, struct statx *st, bool asked,
		struct lam_node **out);

/* Both at once: the node that 'name' shows.  'st' may be NULL. */
int lam_find(struct lam_core *core, struct lam_node *dir, const char *name, struct lam_node **out,
	     struct statx *st);

/* What users see of a node whose topmost real object has the attributes 'st'. */
int lam_show_attr(struct lam_core *core, struct lam_node *node, const struct statx *st,
		  struct lam_attr *attr);
/* The same with the blocks of 'st', where a metadata-only copy would have to ask for those of its data. */
void lam_show_known(struct lam_core *core, struct lam_node *node, const struct statx *st,
		    struct lam_attr *attr);

/* st_ino of a directory from its parts. */
int lam_dir_ino(struct lam_core *core, struct lam_node *node);

#define LAM_REDIRECT_BUF (LAM_NAME_MAX * 16)

#endif
