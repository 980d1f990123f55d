/* SPDX-License-Identifier: MIT */
/* copydir - directories on the upper, made as copies of what they cover */
#include <lamina/copyup.h>

#include <errno.h>
#include <sys/stat.h>

#include <lamina/at.h>
#include <lamina/inomap.h>
#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/table.h>
#include <lamina/xattr.h>

int lam_set_origin(struct lam_core *core, const struct lam_at *at, int fd, const struct statx *st,
		   struct lam_temp *temp)
{
	char key[LAM_KEY_MAX];
	struct lam_fh fh;
	int rc;

	if (!(temp->layer->abilities & LAM_UP_XATTR) || at->fd >= 0)
		return -EOPNOTSUPP;
	rc = fd < 0 ? at->dir->layer->ops->handle(core, at->dir, at->name, lam_dev(st), &fh)
		    : lam_fh_encode(core, fd, "", lam_dev(st), &fh);
	if (rc < 0)
		return -EOPNOTSUPP;
	return lam_temp_setxattr(temp, lam_private_name(core, "origin", key), fh.bytes, fh.length);
}

/* Copy the directory 'dir', whose parent has 'above' on the layer. */
static int copy_dir(struct lam_core *core, struct lam_node *dir, struct lam_ldir *above)
{
	struct lam_dent *dent = dir->dent;
	struct lam_layer *layer = above->layer;
	struct timespec mtime;
	struct lam_ldir *part;
	struct lam_temp temp;
	struct lam_at at;
	struct statx st;
	int rc;

	rc = lam_at_top(core, dir, &at);
	if (rc == 0)
		rc = lam_at_stat(core, &at, &st);
	if (rc == 0)
		lam_copy_owner(core, &at, &st);
	if (rc == 0)
		rc = lam_temp_node(core, layer, S_IFDIR | 0700, 0, NULL, &temp);
	if (rc < 0)
		return rc;
	if (lam_set_origin(core, &at, -1, &st, &temp) == 0)
		rc = lam_mark_impure(core, above);
	if (rc == 0)
		rc = lam_copy_meta(core, &at, &st, &temp, false, NULL);
	if (rc == 0)
		rc = lam_mtime_save(core, above, &mtime);
	if (rc == 0)
		rc = lam_temp_publish(core, &temp, above, dent->name, false);
	if (rc == 0)
		lam_mtime_restore(core, above, &mtime);
	lam_temp_end(&temp);
	if (rc < 0)
		return rc;
	part = lam_ldir_child(above, dent->name);
	rc = part ? lam_node_add_part(core, dir, part) : -ENOMEM;
	if (rc < 0)
		return rc;
	core->stats.copyups++;
	/* Only directories below an opaque or foreign upper have parts above this one. */
	return dent->first > layer->index ? lam_dent_raise(dent, (uint16_t)layer->index)
					  : lam_dent_more(dent, (uint16_t)layer->index);
}

int lam_dir_on(struct lam_core *core, struct lam_node *dir, struct lam_layer *layer, struct lam_ldir **out)
{
	for (;;) {
		struct lam_node *missing = dir, *parent;
		struct lam_ldir *above;
		int rc;

		*out = lam_part_on(dir, layer->index);
		if (*out)
			return 0;
		if (dir->flags & LAM_NODE_DEAD)
			return -ENOENT;
		/* The highest ancestor that is not on the layer comes first. */
		for (;; missing = parent) {
			parent = missing->dent ? missing->dent->dir : NULL;
			if (!parent)
				return -ESTALE;
			above = lam_part_on(parent, layer->index);
			if (above)
				break;
		}
		rc = copy_dir(core, missing, above);
		if (rc < 0)
			return rc;
	}
}
