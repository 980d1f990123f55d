/* SPDX-License-Identifier: MIT */
#include <lamina/links.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lamina/at.h>
#include <lamina/inomap.h>
#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/xattr.h>

static bool counts(const struct lam_core *core, const struct lam_ldir *part, const struct statx *st)
{
	/* Without an index each lower name becomes an object of its own when copied up: never join them. */
	return st->stx_nlink > 1 && (part->layer->upper || core->flags & LAM_CFG_INDEX);
}

static int handle_name(struct lam_core *core, struct lam_ldir *part, const char *name, uint64_t dev,
		       char *hex)
{
	struct lam_fh fh;
	int rc = part->layer->ops->handle(core, part, name, dev, &fh);

	if (rc < 0 || fh.length * 2 > LAM_NAME_MAX)
		return -EOPNOTSUPP;
	lam_fh_name(&fh, hex);
	return 0;
}

/* The index entry named 'hex' on any upper. */
static struct lam_layer *index_entry(struct lam_core *core, const char *hex, struct statx *st)
{
	for (uint32_t i = 0; i < core->nuppers; i++) {
		struct lam_layer *layer = &core->layers[i];

		if (layer->index_dir && lam_layer_stat(core, layer->index_dir, hex, st) == 0 &&
		    !lam_is_whiteout(st))
			return layer;
	}
	return NULL;
}

int lam_links_twin(struct lam_core *core, struct lam_ldir *part, const char *name, const struct statx *st,
		   struct lam_node **twin)
{
	char hex[LAM_INDEX_NAME];
	struct statx above;

	if (!counts(core, part, st))
		return 0;
	*twin = lam_ident_find(core, lam_dev(st), st->stx_ino);
	if (*twin || part->layer->upper)
		return 0;
	if (handle_name(core, part, name, lam_dev(st), hex) < 0 || !index_entry(core, hex, &above))
		return 0;
	*twin = lam_ident_find(core, lam_dev(&above), above.stx_ino);
	return *twin ? lam_ident_add(core, *twin, lam_dev(st), st->stx_ino) : 0;
}

/* How many names users see, from the nlink xattr. */
static void load_nlink(struct lam_core *core, struct lam_node *node, uint32_t upper, uint32_t lower)
{
	char text[16];
	ssize_t length = lam_private_get(core, node->f.upper.dir, node->f.upper.name, "nlink", text,
					 sizeof(text) - 1);
	long count = (long)upper - 1; /* all but the index's own */

	if (length > 2 && (text[0] == 'U' || (text[0] == 'L' && lower))) {
		text[length] = '\0';
		count = (long)(text[0] == 'U' ? upper : lower) + strtol(text + 1, NULL, 10);
	}
	node->nlink = count > 0 ? (uint32_t)count : 1;
}

static int adopt_entry(struct lam_core *core, struct lam_node *node, struct lam_layer *layer, const char *hex,
		       const struct statx *st, uint32_t lower_nlink)
{
	int rc = lam_place_set(core, &node->f.upper, layer->index_dir, hex);

	if (rc < 0)
		return rc;
	/* What was read so far may be the marks of a lower that was an upper once. */
	node->flags &= (uint16_t) ~(LAM_NODE_METACOPY | LAM_NODE_REDIRECT);
	node->flags |= LAM_NODE_INDEXED | LAM_NODE_ORIGIN;
	if (lam_private_get(core, layer->index_dir, hex, "redirect", NULL, 0) >= 0)
		node->flags |= LAM_NODE_REDIRECT;
	if (S_ISREG(st->stx_mode) && lam_private_get(core, layer->index_dir, hex, "metacopy", NULL, 0) >= 0)
		node->flags |= LAM_NODE_METACOPY;
	node->f.below = lower_nlink;
	load_nlink(core, node, st->stx_nlink, lower_nlink);
	return lam_ident_add(core, node, lam_dev(st), st->stx_ino);
}

/*
 * The link count of the lower object that an index entry comes from: under the same name if it
 * is there, else by its handle.  0 if it cannot be found.
 */
static uint32_t nlink_below(struct lam_core *core, const struct lam_node *node, const struct lam_fh *fh,
			    const char *hex)
{
	const struct lam_node *dir = node->dent->dir;
	char found[LAM_INDEX_NAME];
	bool denied = false;
	struct statx st;

	for (uint32_t i = 0; i < dir->d.nparts; i++)
		if (!dir->d.parts[i]->layer->upper &&
		    lam_layer_stat(core, dir->d.parts[i], node->dent->name, &st) == 0 &&
		    handle_name(core, dir->d.parts[i], node->dent->name, lam_dev(&st), found) == 0 &&
		    strcmp(found, hex) == 0)
			return st.stx_nlink;
	for (uint32_t i = core->nuppers; i < core->nlayers; i++) {
		int rc = denied && !core->layers[i].image
				 ? -EPERM
				 : core->layers[i].ops->find(core, &core->layers[i], fh, &st);

		if (rc == 0)
			return st.stx_nlink;
		denied = denied || rc == -EPERM;
	}
	return 0;
}

int lam_links_adopt(struct lam_core *core, struct lam_node *node, struct lam_ldir *part, struct statx *st)
{
	char hex[LAM_INDEX_NAME];
	struct lam_layer *layer;
	struct lam_fh fh;
	struct statx above;
	ssize_t length;
	int rc;

	if (!counts(core, part, st))
		return 0;
	rc = lam_ident_add(core, node, lam_dev(st), st->stx_ino);
	if (rc < 0 || !(core->flags & LAM_CFG_INDEX))
		return rc;
	if (!part->layer->upper) {
		if (handle_name(core, part, node->dent->name, lam_dev(st), hex) < 0)
			return 0;
		layer = index_entry(core, hex, &above);
		if (!layer)
			return 0;
		rc = adopt_entry(core, node, layer, hex, &above, st->stx_nlink);
		*st = above;
		return rc;
	}
	if (!(node->flags & LAM_NODE_ORIGIN))
		return 0;
	length = lam_private_get(core, part, node->dent->name, "origin", fh.bytes, sizeof(fh.bytes));
	if (length <= 0 || length * 2 > LAM_NAME_MAX)
		return 0;
	fh.length = (uint32_t)length;
	lam_fh_name(&fh, hex);
	layer = index_entry(core, hex, &above);
	if (!layer || above.stx_ino != st->stx_ino || lam_dev(&above) != lam_dev(st))
		return 0;
	return adopt_entry(core, node, layer, hex, st, nlink_below(core, node, &fh, hex));
}

bool lam_links_indexed(struct lam_core *core, const struct lam_at *lower, const struct lam_layer *layer,
		       const struct statx *st, char *name)
{
	if (!(core->flags & LAM_CFG_INDEX) || !layer->index_dir || st->stx_nlink < 2 || lower->fd >= 0)
		return false;
	return handle_name(core, lower->dir, lower->name, lam_dev(st), name) == 0;
}

static int store_nlink(struct lam_core *core, struct lam_node *node, char base, uint32_t real)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%c%+d", base, (int)node->nlink - (int)real);

	return lam_private_set(core, node->f.upper.dir, node->f.upper.name, "nlink", text, (size_t)n);
}

int lam_links_before(struct lam_core *core, struct lam_node *node)
{
	struct statx st;
	int rc;

	if (!(node->flags & LAM_NODE_INDEXED))
		return 0;
	rc = lam_layer_stat(core, node->f.upper.dir, node->f.upper.name, &st);
	return rc < 0 ? rc : store_nlink(core, node, 'U', st.stx_nlink);
}

void lam_links_after(struct lam_core *core, struct lam_node *node, int delta)
{
	struct lam_place *upper = &node->f.upper;
	int fd;

	if (!(node->flags & LAM_NODE_INDEXED))
		return;
	node->nlink = (uint32_t)((int)node->nlink + delta);
	if (node->nlink > 0)
		return;
	/* The last name is gone: keep the object by descriptor for those who have it open. */
	fd = lam_ldir_fd(core, upper->dir);
	if (fd >= 0) {
		if (node->fd < 0)
			node->fd = lam_openat(fd, upper->name, O_PATH, 0);
		lam_unlink_at(fd, upper->name, 0);
	}
	node->flags &= (uint16_t)~LAM_NODE_INDEXED;
	node->flags |= LAM_NODE_DEAD;
	lam_place_clear(core, upper);
}

int lam_links_up(struct lam_core *core, struct lam_node *node, struct lam_ldir *dir, const char *name)
{
	int from, to, rc;

	/* Relative to what does not change: true before and after the new name. */
	rc = node->f.below ? store_nlink(core, node, 'L', node->f.below) : lam_links_before(core, node);
	if (rc == 0)
		rc = lam_mark_impure(core, dir);
	if (rc < 0)
		return rc;
	from = lam_ldir_fd(core, node->f.upper.dir);
	to = lam_ldir_fd(core, dir);
	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	rc = lam_link_at(from, node->f.upper.name, to, name);
	/* From now on relative to the upper: wherever names go, it is at hand.  If this fails, 'L' is still true. */
	if (rc == 0)
		lam_links_before(core, node);
	return rc;
}
