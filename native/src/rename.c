/* SPDX-License-Identifier: MIT */
/*
 * rename - rename(2) and renameat2(2) over the union
 *
 * Theory.  First whatever may take long or change directories is done: copies up, upper names
 * of indexed objects, redirects, opaque marks.  None of it changes what users see.  Then one
 * renameat2 on one upper moves the object and, with RENAME_WHITEOUT or RENAME_EXCHANGE, leaves
 * the whiteout where lower layers have the old name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <lamina/copyup.h>
#include <lamina/layer.h>
#include <lamina/links.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/table.h>
#include <lamina/verbs.h>
#include <lamina/whiteout.h>
#include <lamina/xattr.h>

#define MAX_TRIES 8 /* a long copy lets others in, who may rename what was looked up */

/* One side of a rename. */
struct side {
	struct lam_node *dir;
	const char *name;
	struct lam_node *node; /* NULL: the name is free */
	struct lam_dent *dent; /* NULL: nothing known of it */
	struct lam_ldir *part; /* of 'dir' on the upper where it happens */
};

struct rename {
	const struct lam_caller *caller;
	struct side from;
	struct side to;
	uint32_t flags;
	struct lam_layer *layer;
};

static void side_free(struct lam_core *core, struct side *side)
{
	if (side->node)
		lam_node_unref(core, side->node);
	side->node = NULL;
	side->dent = NULL;
}

static int side_find(struct lam_core *core, struct side *side)
{
	int rc;

	side_free(core, side);
	rc = lam_find(core, side->dir, side->name, &side->node, NULL);
	if (rc < 0)
		side->node = NULL;
	else
		lam_node_ref(side->node);
	side->dent = lam_table_find(core, side->dir, side->name);
	return rc == -ENOENT ? 0 : rc;
}

static bool has_lower(const struct lam_node *dir)
{
	return dir->d.nparts > 1 || !lam_upper_dir(dir);
}

static bool is_below(const struct lam_node *dir, const struct lam_node *ancestor)
{
	for (; dir; dir = dir->dent ? dir->dent->dir : NULL)
		if (dir == ancestor)
			return true;
	return false;
}

/* What rename(2) refuses, in the order in which the kernel's own file systems do.  1: nothing to do. */
static int check(struct lam_core *core, struct rename *r)
{
	struct lam_node *a = r->from.node, *b = r->to.node;
	bool exchange = r->flags & RENAME_EXCHANGE;
	int rc;

	if (!a || (exchange && !b))
		return -ENOENT;
	if (b && r->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (a == b)
		return 1;
	if (lam_is_dir(a) && is_below(r->to.dir, a))
		return -EINVAL;
	if (b && exchange && lam_is_dir(b) && is_below(r->from.dir, b))
		return -EINVAL;
	if (b && !exchange) {
		if (lam_is_dir(a) != lam_is_dir(b))
			return lam_is_dir(a) ? -ENOTDIR : -EISDIR;
		rc = lam_is_dir(b) ? lam_index_build(core, b) : 0;
		if (rc < 0)
			return rc;
		if (lam_is_dir(b) && b->d.table.positive > 0)
			return -ENOTEMPTY;
	}
	if (core->redirect != LAM_REDIRECT_ON &&
	    ((lam_is_dir(a) && has_lower(a)) || (exchange && lam_is_dir(b) && has_lower(b))))
		return -EXDEV;
	return 0;
}

static struct lam_layer *layer_of(const struct lam_node *node)
{
	return lam_is_dir(node) ? node->d.parts[0]->layer : node->f.upper.dir->layer;
}

/* A metadata-only copy that moves needs a way down to its data; where that is too long, it gets the data. */
static int keep_data(struct lam_core *core, struct rename *r, struct side *side)
{
	struct lam_node *node = side->node;
	int rc;

	if (lam_is_dir(node) || !(node->flags & LAM_NODE_METACOPY))
		return 0;
	rc = lam_redirect_before_rename(core, node, side->dent, r->from.dir == r->to.dir);
	return rc == -EXDEV ? lam_copyup(core, r->caller, node, LAM_COPY_DATA) : rc;
}

/* Bring both directories and the moving objects to one upper.  It may release the lock (core->lulls). */
static int raise(struct lam_core *core, struct rename *r)
{
	struct lam_node *a = r->from.node, *b = r->flags & RENAME_EXCHANGE ? r->to.node : NULL;
	uint64_t lulls = core->lulls;
	int rc;

	rc = lam_copyup(core, r->caller, a, LAM_COPY_META);
	if (rc == 0 && b)
		rc = lam_copyup(core, r->caller, b, LAM_COPY_META);
	if (rc < 0 || core->lulls != lulls)
		return rc;
	r->layer = layer_of(a);
	if (b && layer_of(b) != r->layer)
		return -EXDEV;
	/* Something on a higher upper would go on hiding the new name. */
	if (r->to.dent && r->to.dent->first < r->layer->index)
		return -EXDEV;
	rc = lam_dir_on(core, r->from.dir, r->layer, &r->from.part);
	if (rc == 0)
		rc = lam_dir_on(core, r->to.dir, r->layer, &r->to.part);
	if (rc == 0)
		rc = lam_name_up(core, r->caller, r->from.dir, r->from.name, a);
	if (rc == 0 && r->to.node)
		rc = lam_name_up(core, r->caller, r->to.dir, r->to.name, r->to.node);
	if (rc == 0 && core->lulls == lulls)
		rc = keep_data(core, r, &r->from);
	if (rc == 0 && b && core->lulls == lulls)
		rc = keep_data(core, r, &r->to);
	return rc;
}

/* Marks on an object that is about to be called 'to' (whose names below it must not show). */
static int mark(struct lam_core *core, struct rename *r, struct side *from, struct side *to)
{
	struct lam_node *node = from->node;
	bool same_dir = from->dir == to->dir;
	struct lam_ldir *part;
	int fd, rc = 0;

	if (!lam_is_dir(node))
		return node->flags & LAM_NODE_ORIGIN ? lam_mark_impure(core, to->part) : 0;
	part = node->d.parts[0];
	if (has_lower(node)) {
		rc = lam_redirect_before_rename(core, node, from->dent, same_dir);
	} else if (to->dent || to->dir->d.nparts > 1) {
		rc = lam_ldir_marks(core, part);
		fd = lam_ldir_fd(core, part);
		if (fd < 0)
			return fd;
		if (rc == 0 && !(part->flags & LAM_LDIR_OPAQUE))
			rc = lam_opaque_set(core, r->layer, fd, ".");
		if (rc == 0)
			part->flags |= LAM_LDIR_OPAQUE;
	}
	if (rc == 0 && (has_lower(node) || part->flags & LAM_LDIR_ORIGIN))
		rc = lam_mark_impure(core, to->part);
	return rc;
}

/* An upper directory that is replaced may hold whiteouts: they go first. */
static int clear_target(struct lam_core *core, struct rename *r)
{
	struct lam_node *b = r->to.node;
	struct lam_ldir *part = b && lam_is_dir(b) ? lam_part_on(b, r->layer->index) : NULL;
	int rc;

	if (!part || b->d.table.count == 0)
		return 0;
	rc = lam_whiteouts_clear(core, part);
	lam_table_shrink(core, b); /* should the rename fail, the directory is read anew */
	return rc;
}

/* The one call.  'whiteout': the old name has to be covered. */
static int move(struct lam_core *core, struct rename *r, bool whiteout)
{
	bool over_whiteout = r->to.dent && !r->to.node && r->to.dent->first == r->layer->index &&
			     r->to.dent->flags & LAM_DENT_WHITEOUT && !(r->to.dent->flags & LAM_DENT_WHFILE);
	int from = lam_ldir_fd(core, r->from.part), to = lam_ldir_fd(core, r->to.part), rc;

	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	if (over_whiteout && lam_is_dir(r->from.node)) {
		rc = lam_rename_at(from, r->from.name, to, r->to.name, RENAME_EXCHANGE);
		if (rc == 0 && !whiteout)
			rc = lam_unlink_at(from, r->from.name, 0);
		return rc;
	}
	if (!whiteout)
		return lam_rename_at(from, r->from.name, to, r->to.name, 0);
	if (r->layer->abilities & LAM_UP_RENAME_WH) {
		rc = lam_rename_at(from, r->from.name, to, r->to.name, RENAME_WHITEOUT);
		if (rc != -EINVAL && rc != -EPERM)
			return rc;
		r->layer->abilities &= ~LAM_UP_RENAME_WH;
	}
	/* Two steps where one is not to be had: a crash between them shows the lower's old name again. */
	rc = lam_rename_at(from, r->from.name, to, r->to.name, 0);
	if (rc < 0)
		return rc;
	rc = lam_whiteout_at(core, r->from.part, r->from.name);
	if (rc < 0) {
		from = lam_ldir_fd(core, r->from.part);
		to = lam_ldir_fd(core, r->to.part);
		if (from >= 0 && to >= 0)
			lam_rename_at(to, r->to.name, from, r->from.name, 0);
	}
	return rc;
}

/* The node is now called side->name: names and places follow. */
static int settle(struct lam_core *core, struct rename *r, struct side *side, struct lam_node *node)
{
	struct lam_dent *dent = side->dent;

	if (!dent)
		dent = lam_table_add(core, side->dir, side->name);
	if (!dent)
		return -ENOMEM;
	side->dent = dent;
	/* Whatever the name meant below is covered now. */
	if (dent->first != LAM_NO_LAYER && dent->first > r->layer->index)
		dent->flags |= LAM_DENT_BELOW;
	lam_dent_set_first(dent, (uint16_t)r->layer->index, (uint8_t)IFTODT(node->type));
	dent->nmore = 0;
	lam_node_attach_first(core, node, dent);
	if (lam_is_dir(node))
		return lam_ldir_moved(core, node->d.parts[0], side->part, side->name);
	if (node->flags & LAM_NODE_INDEXED)
		return 0;
	return lam_place_set(core, &node->f.upper, side->part, NULL);
}

static int exchange(struct lam_core *core, struct rename *r)
{
	struct lam_node *a = r->from.node, *b = r->to.node;
	int from, to, rc;

	rc = mark(core, r, &r->from, &r->to);
	if (rc == 0)
		rc = mark(core, r, &r->to, &r->from);
	if (rc < 0)
		return rc;
	from = lam_ldir_fd(core, r->from.part);
	to = lam_ldir_fd(core, r->to.part);
	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	if (!lam_is_dir(a) && (rc = lam_place_pin(a, &a->f.lower)) < 0)
		return rc;
	if (!lam_is_dir(b) && (rc = lam_place_pin(b, &b->f.lower)) < 0)
		return rc;
	rc = lam_rename_at(from, r->from.name, to, r->to.name, RENAME_EXCHANGE);
	if (rc < 0)
		return rc;
	lam_node_detach(core, r->from.dent);
	lam_node_detach(core, r->to.dent);
	rc = settle(core, r, &r->to, a);
	return rc < 0 ? rc : settle(core, r, &r->from, b);
}

static int replace(struct lam_core *core, struct rename *r)
{
	struct lam_node *a = r->from.node, *b = r->to.node;
	bool whiteout = r->from.dent->flags & LAM_DENT_BELOW || r->flags & RENAME_WHITEOUT;
	bool marked = r->to.dent && r->to.dent->flags & LAM_DENT_WHFILE;
	bool below = r->to.dent &&
		     (r->to.dent->flags & LAM_DENT_BELOW || r->to.dent->first > r->layer->index);
	int rc;

	rc = mark(core, r, &r->from, &r->to);
	if (rc == 0)
		rc = clear_target(core, r);
	if (rc == 0 && b)
		rc = lam_hold(core, r->to.dent);
	if (rc == 0 && b && !lam_is_dir(b))
		rc = lam_links_before(core, b);
	if (rc == 0 && !lam_is_dir(a))
		rc = lam_place_pin(a, &a->f.lower);
	if (rc == 0)
		rc = move(core, r, whiteout);
	if (rc < 0) {
		if (b && b->dent)
			lam_close(&b->fd);
		return rc;
	}
	if (b) {
		lam_name_gone(core, r->to.dent, r->layer, true);
		if (!lam_is_dir(b))
			lam_links_after(core, b, -1);
		if (!below)
			r->to.dent->flags &= (uint8_t)~LAM_DENT_BELOW;
	}
	if (marked)
		lam_mark_file_remove(core, r->to.part, r->to.name);
	lam_node_ref(a);
	lam_name_gone(core, r->from.dent, r->layer, whiteout);
	rc = settle(core, r, &r->to, a);
	a->flags &= (uint16_t)~LAM_NODE_DEAD;
	lam_node_unref(core, a);
	return rc;
}

/* Sets '*again' if others may have changed what was looked up. */
static int rename_once(struct lam_core *core, struct rename *r, bool *again)
{
	uint64_t lulls = core->lulls;
	int rc;

	*again = false;
	if (r->to.dir->flags & LAM_NODE_DEAD)
		return -ENOENT;
	rc = side_find(core, &r->from);
	if (rc == 0)
		rc = side_find(core, &r->to);
	if (rc == 0)
		rc = check(core, r);
	if (rc == 0)
		rc = raise(core, r);
	*again = core->lulls != lulls && (rc == 0 || rc == -ESTALE);
	if (rc != 0 || *again)
		return rc < 0 && !*again ? rc : 0;
	return r->flags & RENAME_EXCHANGE ? exchange(core, r) : replace(core, r);
}

int lam_rename(struct lam_core *core, const struct lam_caller *caller, uint64_t oldparent,
	       const char *oldname, uint64_t newparent, const char *newname, uint32_t flags)
{
	struct rename r = { .caller = caller, .flags = flags, .from.name = oldname, .to.name = newname };
	bool again = true;
	int rc;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) ||
	    (flags & RENAME_EXCHANGE && flags != RENAME_EXCHANGE))
		return -EINVAL;
	rc = lam_enter_dir(core, oldparent, &r.from.dir);
	if (rc < 0)
		return rc;
	r.to.dir = lam_node_find(core, newparent);
	if (!r.to.dir || !lam_is_dir(r.to.dir)) {
		rc = r.to.dir ? -ENOTDIR : -ESTALE;
		lam_leave(core, r.from.dir);
		return rc;
	}
	lam_node_ref(r.to.dir);
	rc = lam_may_create(core, newname);
	for (int tries = 0; rc == 0 && again && tries < MAX_TRIES; tries++)
		rc = rename_once(core, &r, &again);
	if (rc == 0 && again)
		rc = -EBUSY;
	side_free(core, &r.from);
	side_free(core, &r.to);
	lam_node_unref(core, r.to.dir);
	lam_leave(core, r.from.dir);
	return rc;
}
