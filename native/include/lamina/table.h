/* SPDX-License-Identifier: MIT */
/*
 * table - the names of one merged directory
 *
 * Theory.  A hash table whose order of iteration is the order of hashes: buckets are chosen by
 * a hash's top bits and chains are sorted.  So the hash of a name serves as the readdir cookie:
 * it depends on nothing but the name, survives insertions, removals, growth and a table thrown
 * away and built again.  Names with equal hashes are listed together or not at all.
 *
 * A table is a cache of names until 'complete' says that it holds every name of the directory;
 * from then on a name that is missing is known not to exist, at no cost.
 */
#ifndef LAMINA_TABLE_H
#define LAMINA_TABLE_H

#include <lamina/internal.h>

#define LAM_COOKIE_FIRST 16 /* smaller cookies are "." and ".." */

uint64_t lam_name_hash(const struct lam_core *core, const char *name, size_t length);

struct lam_dent *lam_table_find(const struct lam_core *core, const struct lam_node *dir, const char *name);
/* The first dent behind 'cookie', in order of hashes; NULL at the end. */
struct lam_dent *lam_table_after(const struct lam_node *dir, uint64_t cookie);
/* The dent that follows 'dent'; NULL at the end. */
struct lam_dent *lam_table_next(const struct lam_node *dir, const struct lam_dent *dent);
/* Find or insert (first LAM_NO_LAYER, nothing known).  NULL: no memory. */
struct lam_dent *lam_table_add(struct lam_core *core, struct lam_node *dir, const char *name);
/* Take out and free; it must have no child. */
void lam_table_remove(struct lam_core *core, struct lam_node *dir, struct lam_dent *dent);
/* Forget all dents without a child; the table is no longer complete. */
void lam_table_shrink(struct lam_core *core, struct lam_node *dir);
void lam_table_free(struct lam_core *core, struct lam_node *dir);

/* Add a layer to those where the name is a directory.  -ENOMEM. */
int lam_dent_more(struct lam_dent *dent, uint16_t layer);
void lam_dent_set_first(struct lam_dent *dent, uint16_t layer, uint8_t type);
/* The object got a copy on 'layer', above where it was.  -ENOMEM. */
int lam_dent_raise(struct lam_dent *dent, uint16_t layer);

static inline bool lam_dent_positive(const struct lam_dent *dent)
{
	return dent->first != LAM_NO_LAYER && !(dent->flags & LAM_DENT_WHITEOUT);
}

#endif
