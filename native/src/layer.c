/* SPDX-License-Identifier: MIT */
#include <lamina/layer.h>

#include <lamina/sys.h>
#include <lamina/xattr.h>

int lam_layer_stat(struct lam_core *core, struct lam_ldir *dir, const char *name, struct statx *st)
{
	return dir->layer->ops->stat(core, dir, name, st);
}

int lam_layer_scan(struct lam_core *core, struct lam_ldir *dir, lam_scan_fn fn, void *arg)
{
	return dir->layer->ops->scan(core, dir, fn, arg);
}

ssize_t lam_layer_getxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *key,
			   void *value, size_t size)
{
	return dir->layer->ops->getxattr(core, dir, name, key, value, size);
}

ssize_t lam_layer_listxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, char *list,
			    size_t size)
{
	return dir->layer->ops->listxattr(core, dir, name, list, size);
}

bool lam_layer_whiteout(struct lam_core *core, struct lam_ldir *dir, const char *name, const struct statx *st)
{
	if (lam_is_whiteout(st))
		return true;
	/* The xattr form, for layers that could not have device nodes: an empty file in an opaque="x" directory. */
	if (!(dir->flags & LAM_LDIR_XWHITEOUTS) || !S_ISREG(st->stx_mode) || st->stx_size != 0)
		return false;
	return lam_layer_getxattr(core, dir, name, "user.overlay.whiteout", NULL, 0) >= 0 ||
	       lam_layer_getxattr(core, dir, name, "trusted.overlay.whiteout", NULL, 0) >= 0;
}
