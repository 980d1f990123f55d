/* SPDX-License-Identifier: MIT */
/* link - further names for an object */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <lamina/at.h>
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

int lam_name_new(struct lam_core *core, struct lam_node *node, struct lam_dent *dent, struct lam_ldir *part)
{
	struct statx st;
	int rc;

	rc = lam_layer_stat(core, part, dent->name, &st);
	if (rc == 0)
		rc = lam_ident_add(core, node, lam_dev(&st), st.stx_ino);
	if (rc < 0)
		return rc;
	lam_dent_set_first(dent, (uint16_t)part->layer->index, (uint8_t)IFTODT(st.stx_mode));
	dent->nmore = 0;
	lam_node_attach(core, node, dent);
	if (node->fd < 0)
		return 0;
	/* It had no name: from now on it is reached by this one. */
	rc = lam_place_set(core, &node->f.upper, part, NULL);
	if (rc < 0)
		return rc;
	lam_close(&node->fd);
	node->flags &= (uint16_t)~LAM_NODE_DEAD;
	return 0;
}

/* Link the node's upper object to (fd, name). */
static int link_object(struct lam_core *core, struct lam_node *node, int fd, const char *name)
{
	struct lam_at at;
	int from, rc;

	if (node->fd >= 0)
		return lam_link_fd(node->fd, core->proc_fd, fd, name);
	rc = lam_at_top(core, node, &at);
	if (rc < 0)
		return rc;
	from = lam_ldir_fd(core, at.dir);
	return from < 0 ? from : lam_link_at(from, at.name, fd, name);
}

static int link_into(struct lam_core *core, struct lam_node *node, struct lam_ldir *part, const char *name,
		     const struct lam_dent *dent)
{
	bool marked = dent && dent->flags & LAM_DENT_WHITEOUT && dent->first == part->layer->index;
	int fd = lam_ldir_fd(core, part), work, rc;
	char temp[24];

	if (fd < 0)
		return fd;
	if (!marked || dent->flags & LAM_DENT_WHFILE) {
		rc = link_object(core, node, fd, name);
		return rc == 0 && marked ? lam_mark_file_remove(core, part, name) : rc;
	}
	work = lam_ldir_fd(core, part->layer->work);
	if (work < 0)
		return work;
	lam_temp_name(part->layer, temp);
	rc = link_object(core, node, work, temp);
	if (rc < 0)
		return rc;
	rc = lam_rename_at(work, temp, fd, name, 0);
	if (rc < 0)
		lam_unlink_at(work, temp, 0);
	return rc;
}

static int prepare(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node)
{
	int rc = lam_copyup(core, caller, node, LAM_COPY_META);

	if (rc == 0 && node->flags & LAM_NODE_METACOPY && node->dent)
		rc = lam_redirect_before_rename(core, node, node->dent, false);
	return rc == -EXDEV ? lam_copyup(core, caller, node, LAM_COPY_DATA)
			    : rc; /* too long a way: data of its own */
}

static int link_to(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
		   struct lam_node *dir, const char *name, struct statx *st)
{
	struct lam_layer *layer = &core->layers[0];
	struct lam_dent *dent;
	struct lam_ldir *part;
	bool asked;
	int rc;

	if (lam_is_dir(node))
		return -EPERM;
	rc = lam_may_create(core, name);
	if (rc == 0 && dir->flags & LAM_NODE_DEAD)
		rc = -ENOENT;
	if (rc == 0)
		rc = prepare(core, caller, node); /* first: it may release the lock */
	if (rc == 0 && dir->flags & LAM_NODE_DEAD)
		rc = -ENOENT;
	if (rc == 0)
		rc = lam_name_find(core, dir, name, &dent, st, &asked);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0 && !(dent->flags & LAM_DENT_WHITEOUT))
		return -EEXIST;
	if (node->f.upper.dir)
		layer = node->f.upper.dir->layer;
	rc = lam_dir_on(core, dir, layer, &part);
	if (rc == 0 && dent && dent->first < layer->index)
		rc = -EXDEV; /* a whiteout on a higher upper would hide it */
	if (rc == 0 && node->flags & LAM_NODE_ORIGIN)
		rc = lam_mark_impure(core, part);
	if (rc == 0)
		rc = lam_links_before(core, node);
	if (rc == 0)
		rc = link_into(core, node, part, name, dent);
	if (rc < 0)
		return rc;
	if (!dent)
		dent = lam_table_add(core, dir, name);
	rc = dent ? lam_name_new(core, node, dent, part) : -ENOMEM;
	lam_links_after(core, node, 1);
	return rc;
}

int lam_link(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t newparent,
	     const char *newname, struct lam_entry *entry)
{
	struct lam_node *dir, *node;
	struct lam_at at;
	struct statx st;
	int rc;

	rc = lam_enter_dir(core, newparent, &dir);
	if (rc < 0)
		return rc;
	node = lam_node_find(core, nodeid);
	if (!node) {
		lam_leave(core, dir);
		return -ESTALE;
	}
	lam_node_ref(node);
	rc = link_to(core, caller, node, dir, newname, &st);
	if (rc == 0)
		rc = lam_at_top(core, node, &at);
	if (rc == 0)
		rc = lam_at_stat(core, &at, &st);
	if (rc == 0)
		rc = lam_give_entry(core, node, &st, entry);
	lam_node_unref(core, node);
	lam_leave(core, dir);
	return rc;
}
