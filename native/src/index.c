/* SPDX-License-Identifier: MIT */
/*
 * index - read all names of a merged directory into its table
 *
 * Theory.  Parts are scanned topmost first.  The first sight of a name decides where it lives;
 * later sights tell that something lies below (so that its removal needs a whiteout) and, for
 * directories, on which further layers they have parts.  A whiteout hides the name in all
 * parts below its own, never beside itself, whatever the order in which a file system lists
 * the two.  Whiteouts on uppers are remembered, since a creation has to replace them.
 */
#include <lamina/resolve.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/table.h>

struct scan {
	struct lam_core *core;
	struct lam_node *dir;
	struct lam_layer *layer;
	uint16_t part; /* position of the part, from 1 */
	bool opaque;   /* .wh..wh..opq was seen */
};

static void see_whiteout(struct scan *scan, struct lam_dent *dent, uint8_t flags)
{
	if (dent->first == LAM_NO_LAYER && scan->layer->upper) {
		lam_dent_set_first(dent, (uint16_t)scan->layer->index, DT_WHT);
		dent->flags |= flags | LAM_DENT_BELOW;
	}
	if (!dent->closed)
		dent->closed = scan->part;
}

static int see_object(struct scan *scan, struct lam_dent *dent, uint8_t type)
{
	/* ".wh.NAME" beside NAME hides only what is below; seen first, it has left a whiteout to take back. */
	if (dent->first == LAM_NO_LAYER ||
	    (dent->flags & LAM_DENT_WHITEOUT && dent->first == scan->layer->index)) {
		lam_dent_set_first(dent, (uint16_t)scan->layer->index, type);
		return 0;
	}
	dent->flags |= LAM_DENT_BELOW;
	if (type == DT_DIR && dent->type == DT_DIR && (!dent->closed || dent->closed == scan->part))
		return lam_dent_more(dent, (uint16_t)scan->layer->index) < 0 ? -ENOMEM : 0;
	dent->closed = scan->part;
	return 0;
}

static int see(void *arg, const struct lam_scan_entry *entry)
{
	struct scan *scan = arg;
	const char *name = entry->name;
	bool mark_file = strncmp(name, ".wh.", 4) == 0;
	struct lam_dent *dent;

	if (entry->namelen > LAM_NAME_MAX)
		return 0;
	if (mark_file) {
		name += 4;
		if (strcmp(name, ".wh..opq") == 0)
			scan->opaque = true;
		if (!*name || strncmp(name, ".wh.", 4) == 0)
			return 0; /* marks of aufs, and nonsense */
	}
	dent = lam_table_add(scan->core, scan->dir, name);
	if (!dent)
		return -ENOMEM;
	if (dent->closed && dent->closed < scan->part)
		return 0;
	if (mark_file)
		see_whiteout(scan, dent, dent->first == LAM_NO_LAYER ? LAM_DENT_WHFILE : 0);
	else if (entry->whiteout)
		see_whiteout(scan, dent, 0);
	else
		return see_object(scan, dent, entry->type);
	return 0;
}

/* Names that the kernel knows keep their dents; what is known of layers is read anew. */
static void reset(struct lam_node *dir)
{
	struct lam_dent *dent;

	for (dent = lam_table_after(dir, 0); dent; dent = lam_table_next(dir, dent)) {
		dent->first = LAM_NO_LAYER;
		dent->flags = 0;
		dent->closed = 0;
		dent->nmore = 0;
	}
	dir->d.table.positive = 0;
}

static uint32_t layer_of(const struct lam_node *node)
{
	if (lam_is_dir(node))
		return node->d.nparts ? node->d.parts[0]->layer->index : LAM_NO_LAYER;
	if (node->f.upper.dir)
		return node->f.upper.dir->layer->index;
	return node->f.lower.dir ? node->f.lower.dir->layer->index : LAM_NO_LAYER;
}

/* Drop names of which nothing is left; a name in use whose layer lost it keeps what its node says. */
static void sweep(struct lam_core *core, struct lam_node *dir)
{
	struct lam_dent *dent, *next;

	for (dent = lam_table_after(dir, 0); dent; dent = next) {
		next = lam_table_next(dir, dent);
		if (dent->first != LAM_NO_LAYER)
			continue;
		if (!dent->child)
			lam_table_remove(core, dir, dent);
		else
			lam_dent_set_first(dent, (uint16_t)layer_of(dent->child),
					   (uint8_t)IFTODT(dent->child->type));
	}
}

/* The parts below position 'count' do not show. */
static void cut_parts(struct lam_core *core, struct lam_node *dir, uint32_t count)
{
	while (dir->d.nparts > count)
		lam_ldir_put(core, dir->d.parts[--dir->d.nparts]);
}

int lam_index_build(struct lam_core *core, struct lam_node *dir)
{
	int rc = 0;

	if (dir->d.table.complete)
		return 0;
	reset(dir);
	for (uint32_t i = 0; rc == 0 && i < dir->d.nparts; i++) {
		struct scan scan = {
			.core = core, .dir = dir, .layer = dir->d.parts[i]->layer, .part = (uint16_t)(i + 1)
		};

		/* Where there is something to hide, do xattr whiteouts hide it? */
		rc = i + 1 < dir->d.nparts ? lam_ldir_marks(core, dir->d.parts[i]) : 0;
		if (rc == 0)
			rc = lam_layer_scan(core, dir->d.parts[i], see, &scan);
		if (scan.opaque)
			cut_parts(core, dir, i + 1);
	}
	sweep(core, dir);
	dir->d.table.complete = rc == 0;
	return rc;
}
