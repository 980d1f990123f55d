/* SPDX-License-Identifier: MIT */
/*
 * remove - unlink and rmdir, and what becomes of an object that loses a name
 *
 * Theory.  A name with nothing below is removed from its upper; one that lower layers have is
 * covered by a whiteout, which takes the upper object's place at one instant.  The kernel may
 * know the object for longer (open files, working directories, O_PATH): if no other name is
 * known, the core keeps a descriptor until the kernel forgets it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include <lamina/at.h>
#include <lamina/copyup.h>
#include <lamina/handle.h>
#include <lamina/layer.h>
#include <lamina/links.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/table.h>
#include <lamina/verbs.h>
#include <lamina/whiteout.h>

int lam_hold(struct lam_core *core, struct lam_dent *dent)
{
	struct lam_node *node = dent->child;
	struct lam_place *upper = &node->f.upper;
	bool known;
	int fd, rc;

	/* Besides the kernel, a verb of another thread may know it: the caller's own reference is one. */
	known = node->nlookup > 0 || node->refs > 1;
	if (lam_is_dir(node)) {
		if (node->fd >= 0 || !lam_upper_dir(node) || !known)
			return 0;
		fd = lam_ldir_look(core, node->d.parts[0]);
		node->fd = fd < 0 ? fd : lam_openat(fd, ".", O_PATH | O_DIRECTORY, 0);
		return node->fd < 0 ? node->fd : 0;
	}
	rc = lam_place_pin(node, &node->f.lower);
	if (rc < 0 || node->fd >= 0 || !upper->dir || node->flags & LAM_NODE_INDEXED)
		return rc;
	if (!upper->dir->layer
		     ->upper) /* a metadata-only copy on a lower stays; a descriptor is for what may be written */
		return lam_place_pin(node, upper);
	if (!known)
		return 0;
	if (dent->alias || node->dent != dent) /* another name keeps it */
		return 0;
	node->fd = lam_file_take(core, node);
	if (node->fd >= 0)
		return 0;
	fd = lam_ldir_look(core, upper->dir);
	fd = fd < 0 ? fd : lam_openat(fd, upper->name ? upper->name : dent->name, O_PATH, 0);
	if (fd < 0)
		return fd;
	node->fd = fd;
	return 0;
}

/* After a name went: the node is reached by the next one, by descriptor, or not at all. */
static void next_name(struct lam_core *core, struct lam_node *node)
{
	struct lam_ldir *part;

	if (!node->dent)
		node->flags |= LAM_NODE_DEAD;
	if (lam_is_dir(node) || !node->f.upper.dir || node->flags & LAM_NODE_INDEXED || node->f.upper.name)
		return;
	part = node->dent ? lam_part_on(node->dent->dir, node->dent->first) : NULL;
	if (part)
		lam_place_set(core, &node->f.upper, part, NULL);
	else
		lam_place_clear(core, &node->f.upper);
}

void lam_name_gone(struct lam_core *core, struct lam_dent *dent, const struct lam_layer *layer, bool whiteout)
{
	struct lam_node *dir = dent->dir, *node = dent->child;

	lam_node_ref(dir);
	if (node) {
		lam_node_ref(node);
		lam_node_detach(core, dent);
		next_name(core, node);
		lam_node_unref(core, node);
	}
	dent->nmore = 0;
	if (whiteout) {
		lam_dent_set_first(dent, (uint16_t)layer->index, DT_WHT);
		dent->flags |= LAM_DENT_BELOW;
	} else {
		lam_table_remove(core, dir, dent);
	}
	lam_node_unref(core, dir);
}

int lam_name_up(struct lam_core *core, const struct lam_caller *caller, struct lam_node *dir,
		const char *name, struct lam_node *node)
{
	struct lam_dent *dent;
	struct lam_ldir *part;
	struct lam_at at;
	struct statx st;
	int rc;

	if (lam_is_dir(node) || !(core->flags & LAM_CFG_INDEX))
		return 0;
	if (!lam_on_upper(node)) {
		rc = lam_at_top(core, node, &at);
		if (rc == 0)
			rc = lam_at_stat(core, &at, &st);
		if (rc < 0 || st.stx_nlink < 2)
			return rc;
		rc = lam_copyup(core, caller, node, LAM_COPY_META);
		if (rc < 0)
			return rc;
	}
	dent = lam_table_find(core, dir, name);
	if (!dent || dent->child != node)
		return -ESTALE; /* renamed while a long copy ran */
	if (!(node->flags & LAM_NODE_INDEXED) || dent->first < core->nuppers)
		return 0;
	rc = lam_dir_on(core, dir, node->f.upper.dir->layer, &part);
	if (rc == 0)
		rc = lam_links_up(core, node, part, name);
	return rc < 0 ? rc : lam_dent_raise(dent, (uint16_t)part->layer->index);
}

/* Remove the name of a non-directory, or cover it. */
static int remove_name(struct lam_core *core, struct lam_node *dir, struct lam_dent *dent, bool is_dir)
{
	struct lam_ldir *part = dent->first < core->nuppers ? lam_part_on(dir, dent->first) : NULL;
	bool below = dent->flags & LAM_DENT_BELOW || !part;
	int rc, fd;

	rc = lam_hold(core, dent);
	if (rc < 0)
		return rc;
	if (!part) {
		rc = lam_dir_on(core, dir, &core->layers[0], &part);
		if (rc == 0)
			rc = lam_whiteout_at(core, part, dent->name);
	} else if (below) {
		rc = lam_whiteout_over(core, part, dent->name, is_dir);
	} else if (is_dir) {
		rc = lam_remove_dir(core, part, dent->name);
	} else {
		fd = lam_ldir_fd(core, part);
		rc = fd < 0 ? fd : lam_unlink_at(fd, dent->name, 0);
	}
	if (rc < 0) {
		if (dent->child && dent->child->dent)
			lam_close(&dent->child->fd);
		return rc;
	}
	lam_name_gone(core, dent, part->layer, below);
	return 0;
}

static int unlink_in(struct lam_core *core, const struct lam_caller *caller, struct lam_node *dir,
		     const char *name)
{
	struct lam_node *node;
	struct lam_dent *dent;
	int rc;

	rc = lam_find(core, dir, name, &node, NULL);
	if (rc < 0)
		return rc;
	lam_node_ref(node);
	rc = lam_is_dir(node) ? -EISDIR : lam_may_write(core);
	if (rc == 0)
		rc = lam_name_up(core, caller, dir, name, node);
	if (rc == 0)
		rc = lam_links_before(core, node);
	dent = rc == 0 ? lam_table_find(core, dir, name) : NULL;
	if (dent)
		rc = remove_name(core, dir, dent, false);
	if (rc == 0)
		lam_links_after(core, node, -1);
	lam_node_unref(core, node);
	return rc;
}

int lam_unlink(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name)
{
	struct lam_node *dir;
	int rc = lam_enter_dir(core, parent, &dir);

	if (rc < 0)
		return rc;
	rc = unlink_in(core, caller, dir, name);
	lam_leave(core, dir);
	return rc;
}

static int rmdir_in(struct lam_core *core, struct lam_node *dir, const char *name)
{
	struct lam_node *node;
	int rc;

	rc = lam_find(core, dir, name, &node, NULL);
	if (rc < 0)
		return rc;
	lam_node_ref(node);
	rc = !lam_is_dir(node) ? -ENOTDIR : lam_may_write(core);
	if (rc == 0)
		rc = lam_index_build(core, node);
	if (rc == 0 && node->d.table.positive > 0)
		rc = -ENOTEMPTY;
	if (rc == 0)
		rc = remove_name(core, dir, lam_table_find(core, dir, name), true);
	lam_node_unref(core, node);
	return rc;
}

int lam_rmdir(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name)
{
	struct lam_node *dir;
	int rc = lam_enter_dir(core, parent, &dir);

	(void)caller;
	if (rc < 0)
		return rc;
	rc = rmdir_in(core, dir, name);
	lam_leave(core, dir);
	return rc;
}
