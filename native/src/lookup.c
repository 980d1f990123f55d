/* SPDX-License-Identifier: MIT */
/*
 * lookup - from a name to its node, and from a node to what users see
 *
 * Theory.  A directory with one part is asked directly: one statx a name.  One with several
 * parts is read into its table first; from then on a name that exists costs one statx on the
 * right layer, and one that does not costs nothing.
 */
#include <lamina/resolve.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lamina/at.h>
#include <lamina/inomap.h>
#include <lamina/layer.h>
#include <lamina/links.h>
#include <lamina/node.h>
#include <lamina/owner.h>
#include <lamina/sys.h>
#include <lamina/table.h>
#include <lamina/xattr.h>

static int probe(struct lam_core *core, struct lam_node *dir, const char *name, struct lam_dent **out,
		 struct statx *st)
{
	struct lam_ldir *part = dir->d.parts[0];
	struct lam_dent *dent;
	bool whiteout;
	int rc;

	rc = lam_layer_stat(core, part, name, st);
	if (rc < 0)
		return rc;
	whiteout = lam_layer_whiteout(core, part, name, st);
	if (whiteout && !part->layer->upper)
		return -ENOENT;
	dent = lam_table_add(core, dir, name);
	if (!dent)
		return -ENOMEM;
	lam_dent_set_first(dent, (uint16_t)part->layer->index,
			   whiteout ? DT_WHT : (uint8_t)IFTODT(st->stx_mode));
	*out = dent;
	return 0;
}

int lam_name_find(struct lam_core *core, struct lam_node *dir, const char *name, struct lam_dent **out,
		  struct statx *st, bool *asked)
{
	int rc;

	*asked = false;
	*out = lam_table_find(core, dir, name);
	if (*out)
		return 0;
	if (dir->d.table.complete || dir->flags & LAM_NODE_DEAD || strncmp(name, ".wh.", 4) == 0)
		return -ENOENT;
	if (dir->d.nparts == 1) {
		*asked = true;
		return probe(core, dir, name, out, st);
	}
	rc = lam_index_build(core, dir);
	if (rc < 0)
		return rc;
	*out = lam_table_find(core, dir, name);
	return *out ? 0 : -ENOENT;
}

/* ---- making nodes ---- */

int lam_dir_ino(struct lam_core *core, struct lam_node *node)
{
	struct lam_ldir *part = NULL;
	struct statx st;
	int rc;

	/* The topmost lower part: it stays when an upper part comes on top. */
	for (uint32_t i = 0; i < node->d.nparts; i++) {
		part = node->d.parts[i];
		if (!part->layer->upper)
			break;
	}
	if (part->layer->upper && node->d.nparts == 1) {
		struct lam_fh fh;
		ssize_t length;

		rc = lam_ldir_marks(core, part);
		if (rc < 0)
			return rc;
		if (part->flags & LAM_LDIR_ORIGIN) {
			length = lam_private_get(core, part, ".", "origin", fh.bytes, sizeof(fh.bytes));
			fh.length = length > 0 ? (uint32_t)length : 0;
			if (lam_fh_ino(core, &fh, &node->ino))
				return 0;
		}
	}
	if (!part->ino) {
		rc = lam_layer_stat(core, part, ".", &st);
		if (rc < 0)
			return rc;
		part->ino = st.stx_ino;
		part->dev = lam_dev(&st);
	}
	node->ino = lam_ino(core, part->dev, part->ino);
	return 0;
}

static int make_dir(struct lam_core *core, struct lam_dent *dent, struct lam_node *node,
		    const struct statx *st)
{
	struct lam_parts parts;
	int rc;

	rc = lam_resolve_dir(core, dent, &parts);
	if (rc < 0)
		return rc;
	parts.list[0]->ino = st->stx_ino;
	parts.list[0]->dev = lam_dev(st);
	rc = lam_node_set_parts(core, node, parts.list, parts.count);
	if (rc < 0) {
		lam_parts_free(core, &parts);
		return rc;
	}
	free(parts.list);
	return lam_dir_ino(core, node);
}

/* The overlay xattrs of a file on an upper, or on a lower that was an upper once. */
static int read_marks(struct lam_core *core, struct lam_dent *dent, struct lam_ldir *part,
		      struct lam_node *node, const struct statx *st)
{
	struct lam_xattr_names names;
	const char *key = NULL;
	char redirect[LAM_REDIRECT_BUF];
	struct lam_fh fh = { 0 };
	ssize_t length;
	int rc;

	rc = lam_xattr_names(core, part, dent->name, &names);
	if (rc < 0)
		return rc == -EOPNOTSUPP ? 0 : rc;
	while ((key = lam_xattr_next(&names, key))) {
		enum lam_key kind = lam_private_key(core, key);

		if (kind == LAM_KEY_ORIGIN)
			node->flags |= LAM_NODE_ORIGIN;
		if (kind == LAM_KEY_METACOPY && S_ISREG(st->stx_mode))
			node->flags |= LAM_NODE_METACOPY;
		if (kind == LAM_KEY_REDIRECT)
			node->flags |= LAM_NODE_REDIRECT;
	}
	lam_xattr_names_free(&names);
	if (node->flags & LAM_NODE_ORIGIN && part->layer->upper) {
		length = lam_private_get(core, part, dent->name, "origin", fh.bytes, sizeof(fh.bytes));
		fh.length = length > 0 ? (uint32_t)length : 0;
		lam_fh_ino(core, &fh, &node->ino);
	}
	if (!(node->flags & LAM_NODE_METACOPY))
		return 0;
	lam_place_clear(core, &node->f.lower); /* on a lower, so far: itself, which has no data */
	rc = node->flags & LAM_NODE_REDIRECT ? lam_redirect_get(core, part, dent->name, redirect) : 0;
	if (rc == 0)
		rc = lam_resolve_data(core, dent->dir, dent->name, part->layer->index,
				      node->flags & LAM_NODE_REDIRECT ? redirect : NULL, &node->f.lower);
	/* Data that is gone makes reads fail, not the name. */
	return rc == -ENODATA || rc == -EIO ? 0 : rc;
}

/* May files in this part carry overlay xattrs?  Copied-up ones do, and their directory says so. */
static bool may_have_marks(struct lam_core *core, const struct lam_node *dir, struct lam_ldir *part)
{
	if (part->layer->upper && dir->d.nparts > 1)
		return true;
	/* By redirect the data may be below even where the directory itself has no part. */
	return part->layer->index + 1 < core->nlayers && lam_ldir_marks(core, part) == 0 &&
	       part->flags & LAM_LDIR_IMPURE;
}

static int make_file(struct lam_core *core, struct lam_dent *dent, struct lam_ldir *part,
		     struct lam_node *node, struct statx *st)
{
	struct lam_place *place = part->layer->upper ? &node->f.upper : &node->f.lower;
	int rc;

	node->ino = lam_ino(core, lam_dev(st), st->stx_ino);
	rc = lam_place_set(core, place, part, NULL);
	if (rc == 0 && !part->layer->upper && may_have_marks(core, dent->dir, part)) {
		/* A metadata-only copy on a lower: its own attributes, data from further below. */
		rc = read_marks(core, dent, part, node, st);
		if (rc == 0 && node->flags & LAM_NODE_METACOPY)
			rc = lam_place_set(core, &node->f.upper, part, NULL);
	} else if (rc == 0 && may_have_marks(core, dent->dir, part)) {
		rc = read_marks(core, dent, part, node, st);
	}
	return rc;
}

static int make_node(struct lam_core *core, struct lam_dent *dent, struct lam_ldir *part, struct statx *st,
		     struct lam_node **out)
{
	struct lam_node *node = lam_node_new(core, st->stx_mode);
	int rc;

	if (!node)
		return -ENOMEM;
	lam_node_ref(node);
	lam_node_attach(core, node, dent);
	if (lam_is_dir(node)) {
		rc = make_dir(core, dent, node, st);
	} else {
		rc = make_file(core, dent, part, node, st);
		if (rc == 0 && st->stx_nlink > 1)
			rc = lam_links_adopt(core, node, part, st);
	}
	if (rc < 0) {
		lam_node_detach(core, dent);
		lam_node_unref(core, node);
		return rc;
	}
	node->refs--; /* the caller takes a lookup or a reference before anything else */
	*out = node;
	return 0;
}

/* 'dent' is a further name of 'node', or the first that is known again after the others went. */
static int join(struct lam_core *core, struct lam_node *node, struct lam_dent *dent, struct lam_ldir *part)
{
	if (node->fd >= 0 && part->layer->upper) {
		int rc = lam_place_set(core, &node->f.upper, part, NULL);

		if (rc < 0)
			return rc;
		lam_close(&node->fd);
		node->flags &= (uint16_t)~LAM_NODE_DEAD;
	}
	lam_node_attach(core, node, dent);
	return 0;
}

int lam_node_of(struct lam_core *core, struct lam_dent *dent, struct statx *st, bool asked,
		struct lam_node **out)
{
	struct lam_node *twin = NULL;
	struct lam_ldir *part;
	struct lam_at at;
	int rc;

	if (!dent->child) {
		part = lam_part_on(dent->dir, dent->first);
		if (!part)
			return -ESTALE;
		rc = asked ? 0 : lam_layer_stat(core, part, dent->name, st);
		if (rc == 0 && st->stx_nlink > 1 && !S_ISDIR(st->stx_mode))
			rc = lam_links_twin(core, part, dent->name, st, &twin);
		if (rc < 0)
			return rc;
		if (!twin)
			return make_node(core, dent, part, st, out);
		rc = join(core, twin, dent, part);
		if (rc < 0)
			return rc;
	} else if (asked && !(dent->child->flags & LAM_NODE_INDEXED)) {
		*out = dent->child;
		return 0;
	}
	*out = dent->child;
	rc = lam_at_top(core, dent->child, &at);
	return rc < 0 ? rc : lam_at_stat(core, &at, st);
}

int lam_find(struct lam_core *core, struct lam_node *dir, const char *name, struct lam_node **out,
	     struct statx *st)
{
	struct lam_dent *dent;
	struct statx own;
	bool asked;
	int rc;

	if (!lam_is_dir(dir))
		return -ENOTDIR;
	rc = lam_name_find(core, dir, name, &dent, st ? st : &own, &asked);
	if (rc < 0)
		return rc;
	if (dent->flags & LAM_DENT_WHITEOUT)
		return -ENOENT;
	if (!st && dent->child) { /* nobody wants its attributes */
		*out = dent->child;
		return 0;
	}
	return lam_node_of(core, dent, st ? st : &own, asked, out);
}

/* ---- what users see ---- */

static void copy_times(const struct statx *st, struct lam_attr *attr)
{
	attr->atime = st->stx_atime.tv_sec;
	attr->mtime = st->stx_mtime.tv_sec;
	attr->ctime = st->stx_ctime.tv_sec;
	attr->atimensec = st->stx_atime.tv_nsec;
	attr->mtimensec = st->stx_mtime.tv_nsec;
	attr->ctimensec = st->stx_ctime.tv_nsec;
}

void lam_show_known(struct lam_core *core, struct lam_node *node, const struct statx *st,
		    struct lam_attr *attr)
{
	struct statx shown = *st;
	struct lam_at at;

	if (lam_at_top(core, node, &at) == 0)
		lam_override_read(core, &at, &shown);
	*attr = (struct lam_attr){
		.ino = node->ino,
		.size = shown.stx_size,
		.blocks = shown.stx_blocks,
		.mode = shown.stx_mode,
		.nlink = shown.stx_nlink,
		.uid = lam_uid_out(core, shown.stx_uid),
		.gid = lam_gid_out(core, shown.stx_gid),
		.rdev = (shown.stx_rdev_minor & 0xff) | shown.stx_rdev_major << 8 |
			(shown.stx_rdev_minor & ~0xffu) << 12,
		.blksize = shown.stx_blksize,
	};
	copy_times(&shown, attr);
	if (lam_is_dir(node)) {
		/* As kernel overlayfs: subdirectories of a merged directory are not counted. */
		if (node->flags & LAM_NODE_DEAD)
			attr->nlink = 0;
		else if (node->d.nparts > 1 || core->flags & LAM_CFG_STATIC_NLINK)
			attr->nlink = 1;
		return;
	}
	if (node->flags & LAM_NODE_INDEXED)
		attr->nlink = node->nlink;
	else if (node->flags & LAM_NODE_DEAD && node->fd < 0)
		attr->nlink = 0; /* a lower file whose last name was whited out */
}

int lam_show_attr(struct lam_core *core, struct lam_node *node, const struct statx *st, struct lam_attr *attr)
{
	struct statx below;
	struct lam_at at;

	lam_show_known(core, node, st, attr);
	if (node->flags & LAM_NODE_METACOPY && lam_at_data(core, node, &at) == 0 &&
	    lam_at_stat(core, &at, &below) == 0)
		attr->blocks = below.stx_blocks;
	return 0;
}
