/* SPDX-License-Identifier: MIT */
/*
 * redirect - the way down for what was renamed
 *
 * Theory (kernel overlayfs's redirect_dir and metacopy).  A renamed directory that has lower
 * parts, or a metadata-only copy whose data lies below, carries overlay.redirect: the name it
 * has on the layers below if only its name changed, else the path from their roots.  The
 * path is made of what each ancestor is called below, so an ancestor's own redirect counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/resolve.h>
#include <lamina/verbs.h>
#include <lamina/xattr.h>

#define REDIRECT_LIMIT 256 /* kernel overlayfs's own: it does not follow longer ones */

/* What one object is called below: its redirect, or its name.  1: an absolute path, 0: a name. */
static int name_below(struct lam_core *core, struct lam_node *node, const struct lam_dent *dent,
		      char buf[LAM_REDIRECT_BUF])
{
	struct lam_ldir *upper = NULL;
	const char *name = NULL;
	int rc;

	if (lam_is_dir(node)) {
		upper = lam_upper_dir(node);
		rc = upper ? lam_ldir_marks(core, upper) : 0;
		if (rc < 0)
			return rc;
		if (upper && upper->flags & LAM_LDIR_REDIRECT)
			name = ".";
	} else if (node->flags & LAM_NODE_REDIRECT) {
		upper = node->f.upper.dir;
		name = node->f.upper.name ? node->f.upper.name : node->dent->name;
	}
	if (name) {
		rc = lam_redirect_get(core, upper, name, buf);
		return rc < 0 ? rc : *buf == '/';
	}
	memcpy(buf, dent->name, dent->namelen + 1u);
	return 0;
}

/* The path of 'node' below, written backwards from the end of 'buf'; returns where it begins. */
static int path_below(struct lam_core *core, struct lam_node *node, const struct lam_dent *dent,
		      char buf[LAM_REDIRECT_BUF], char **begin)
{
	char part[LAM_REDIRECT_BUF], *at = buf + LAM_REDIRECT_BUF - 1;
	int absolute = 0;

	*at = '\0';
	while (dent && !absolute) {
		size_t length;

		absolute = name_below(core, node, dent, part);
		if (absolute < 0)
			return absolute;
		length = strlen(part);
		if (length + 1 > (size_t)(at - buf))
			return -EXDEV; /* as for any that is too long to be followed */
		at -= length;
		memcpy(at, part, length);
		if (!absolute)
			*--at = '/';
		if (strlen(at) > REDIRECT_LIMIT) /* it only grows from here on */
			return -EXDEV;
		node = dent->dir;
		dent = node->dent;
	}
	*begin = at;
	return 0;
}

int lam_redirect_before_rename(struct lam_core *core, struct lam_node *node, const struct lam_dent *dent,
			       bool same_dir)
{
	char buf[LAM_REDIRECT_BUF], *value = buf;
	struct lam_ldir *dir;
	const char *name;
	int rc, absolute;

	if (lam_is_dir(node)) {
		dir = lam_upper_dir(node);
		name = ".";
	} else {
		dir = node->f.upper.dir;
		name = node->f.upper.name ? node->f.upper.name : node->dent->name;
		same_dir = same_dir && !(node->flags & LAM_NODE_INDEXED);
	}
	absolute = name_below(core, node, dent, buf);
	if (absolute != 0)
		return absolute < 0 ? absolute : 0; /* an absolute one stays true wherever the object goes */
	if (!same_dir) {
		rc = path_below(core, node, dent, buf, &value);
		if (rc < 0)
			return rc;
	}
	if (strlen(value) > REDIRECT_LIMIT)
		return -EXDEV;
	rc = lam_private_set(core, dir, name, "redirect", value, strlen(value));
	if (rc < 0)
		return rc;
	if (lam_is_dir(node))
		dir->flags |= LAM_LDIR_REDIRECT | LAM_LDIR_MARKS;
	else
		node->flags |= LAM_NODE_REDIRECT;
	return 0;
}
