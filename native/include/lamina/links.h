/* SPDX-License-Identifier: MIT */
/*
 * links - objects with several names, above and below a copy-up
 *
 * Theory (kernel overlayfs's index=on).  A lower file with several names is copied up into
 * workdir/index, under the hexadecimal file handle of its origin, and linked from there to
 * each name that is changed; names never touched still show it, since looking up a lower name
 * of such a file asks the index first.  The number of names users see is kept in the
 * overlay.nlink xattr relative to the real number: "U+1" to the upper's, "L-1" to the lower's.
 */
#ifndef LAMINA_LINKS_H
#define LAMINA_LINKS_H

#include <lamina/internal.h>

/* The node that shows the same object under another name; '*twin' stays NULL if there is none. */
int lam_links_twin(struct lam_core *core, struct lam_ldir *part, const char *name, const struct statx *st,
		   struct lam_node **twin);
/* Make a new node of an object with several names known by identity, and find its copy in the index ('st' becomes its). */
int lam_links_adopt(struct lam_core *core, struct lam_node *node, struct lam_ldir *part, struct statx *st);

/* Is a copy-up of the lower object kept in the index of 'layer'?  Then fills 'name' (hexadecimal). */
struct lam_at;
bool lam_links_indexed(struct lam_core *core, const struct lam_at *lower, const struct lam_layer *layer,
		       const struct statx *st, char *name);

/*
 * Around changes of an indexed object's names: before, the count is written relative to the
 * real count that the change itself moves; after, the node takes the change ('delta') and an
 * index entry that no name needs goes.
 */
int lam_links_before(struct lam_core *core, struct lam_node *node);
void lam_links_after(struct lam_core *core, struct lam_node *node, int delta);

/* Give the indexed object its upper name (dir, name): the node shows it there, but only the index has it. */
int lam_links_up(struct lam_core *core, struct lam_node *node, struct lam_ldir *dir, const char *name);

#define LAM_INDEX_NAME (2 * 160 + 1)

#endif
