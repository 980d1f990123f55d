/* SPDX-License-Identifier: MIT */
/*
 * verbs - what the verbs of core.h share
 *
 * A verb enters with the core locked and its node held, and leaves through lam_leave().
 */
#ifndef LAMINA_VERBS_H
#define LAMINA_VERBS_H

#include <lamina/internal.h>

/* Lock and take a reference on 'nodeid'; -ESTALE (and not locked) if the kernel made it up. */
int lam_enter(struct lam_core *core, uint64_t nodeid, struct lam_node **node);
/* The same for a directory: -ENOTDIR. */
int lam_enter_dir(struct lam_core *core, uint64_t nodeid, struct lam_node **node);
void lam_leave(struct lam_core *core, struct lam_node *node);

/* 0 if changes are allowed and 'name' can be a new name here; -EROFS, -ENAMETOOLONG, -EINVAL. */
int lam_may_create(const struct lam_core *core, const char *name);
int lam_may_write(const struct lam_core *core);

/* Fill '*entry' for 'node' and count one more lookup. */
int lam_give_entry(struct lam_core *core, struct lam_node *node, const struct statx *st,
		   struct lam_entry *entry);

/* The upper that new names in 'dir' go to, and the directory's part there. */
int lam_choose_upper(struct lam_core *core, struct lam_node *dir, struct lam_ldir **out);

/* Before a name of 'node' goes: keep what the kernel still knows reachable.  See remove.c. */
int lam_hold(struct lam_core *core, struct lam_dent *dent);
/* The name is gone from its upper: 'whiteout' says what is left there. */
void lam_name_gone(struct lam_core *core, struct lam_dent *dent, const struct lam_layer *layer,
		   bool whiteout);
/* Make sure that the name of an object with several names is on the upper itself. */
int lam_name_up(struct lam_core *core, const struct lam_caller *caller, struct lam_node *dir,
		const char *name, struct lam_node *node);
/* 'dent' is a further (or the first) upper name of 'node', in the upper directory 'part'. */
int lam_name_new(struct lam_core *core, struct lam_node *node, struct lam_dent *dent, struct lam_ldir *part);

/* Clear setuid, setgid and file capabilities of an upper file after a write by a caller who may not keep them. */
int lam_kill_privileges(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node);

/* The redirect that keeps a directory's or a metadata-only copy's way down after a rename (redirect.c). */
int lam_redirect_before_rename(struct lam_core *core, struct lam_node *node, const struct lam_dent *dent,
			       bool same_dir);

#endif
