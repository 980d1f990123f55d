/* SPDX-License-Identifier: MIT */
/*
 * node - the table of objects that the kernel or the core knows
 *
 * A nodeid is slot | generation << 32 and is never used again; the root has LAM_ROOT_ID.
 * Objects with several names are also found by identity, the (device, inode) pairs of their
 * real objects: two names of one object are one node.
 */
#ifndef LAMINA_NODE_H
#define LAMINA_NODE_H

#include <lamina/internal.h>

/* NULL if the kernel made it up. */
struct lam_node *lam_node_find(struct lam_core *core, uint64_t nodeid);
/* A node of 'type' (S_IFMT bits) without names or parts; NULL: no memory. */
struct lam_node *lam_node_new(struct lam_core *core, mode_t type);
static inline void lam_node_ref(struct lam_node *node)
{
	node->refs++;
}
/* Give back a reference or lookups; frees what nobody knows any more, and its parents in turn. */
void lam_node_unref(struct lam_core *core, struct lam_node *node);
void lam_node_forget(struct lam_core *core, struct lam_node *node, uint64_t nlookup);

/* Join a name and its node (which keeps other names it has). */
void lam_node_attach(struct lam_core *core, struct lam_node *node, struct lam_dent *dent);
/* The same, as the name that places without one of their own follow. */
void lam_node_attach_first(struct lam_core *core, struct lam_node *node, struct lam_dent *dent);
/* Take a name from its node; the dent stays in its table without a child. */
void lam_node_detach(struct lam_core *core, struct lam_dent *dent);

/* Know 'node' by the identity of a real object. */
int lam_ident_add(struct lam_core *core, struct lam_node *node, uint64_t dev, uint64_t ino);
struct lam_node *lam_ident_find(struct lam_core *core, uint64_t dev, uint64_t ino);
/* The node is no longer known by its identities. */
void lam_ident_drop(struct lam_core *core, struct lam_node *node);

/* Replace a place; takes a reference on 'dir'; 'name' NULL follows node->dent, else is copied. */
int lam_place_set(struct lam_core *core, struct lam_place *place, struct lam_ldir *dir, const char *name);
void lam_place_clear(struct lam_core *core, struct lam_place *place);
/* Give a place that follows the node's name a name of its own, before that name goes. */
int lam_place_pin(struct lam_node *node, struct lam_place *place);

/* Replace a directory's parts; takes over the references in 'parts', which is copied. */
int lam_node_set_parts(struct lam_core *core, struct lam_node *node, struct lam_ldir **parts,
		       uint32_t nparts);
/* Put one more part among them, in the order of the layers; takes over the reference. */
int lam_node_add_part(struct lam_core *core, struct lam_node *node, struct lam_ldir *part);

#endif
