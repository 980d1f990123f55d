/* SPDX-License-Identifier: MIT */
#include <lamina/whiteout.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/copyup.h>
#include <lamina/layer.h>
#include <lamina/sys.h>
#include <lamina/xattr.h>

#define SHARED "whiteout" /* in workdir/work; others are links of it */

/* The xattr form: the directory and the layer's root have to say that such whiteouts occur. */
static int xattr_whiteout(struct lam_core *core, struct lam_ldir *dir, const char *name)
{
	struct lam_layer *layer = dir->layer;
	char key[LAM_KEY_MAX];
	struct lam_temp temp;
	int rc;

	rc = lam_ldir_marks(core, dir);
	if (rc == 0 && !(dir->flags & (LAM_LDIR_XWHITEOUTS | LAM_LDIR_OPAQUE)))
		rc = lam_private_set(core, dir, ".", "opaque", "x", 1);
	if (rc == 0 && !(layer->root->flags & LAM_LDIR_XWHITEOUTS))
		rc = lam_private_set(core, layer->root, ".", "opaque", "x", 1);
	if (rc < 0)
		return rc;
	dir->flags |= LAM_LDIR_XWHITEOUTS;
	layer->root->flags |= LAM_LDIR_XWHITEOUTS;
	rc = lam_temp_file(core, layer, 0600, &temp);
	if (rc < 0)
		return rc;
	rc = lam_temp_setxattr(&temp, lam_private_name(core, "whiteout", key), "y", 1);
	if (rc == 0)
		rc = lam_temp_publish(core, &temp, dir, name, false);
	lam_temp_end(&temp);
	return rc;
}

/* A device whiteout at (fd, name). */
static int device_whiteout(struct lam_core *core, struct lam_layer *layer, int fd, const char *name)
{
	int work = lam_ldir_fd(core, layer->work), rc;

	if (work < 0)
		return work;
	if (layer->abilities & LAM_UP_WHLINK) {
		if (!layer->whiteout_made)
			layer->whiteout_made = mknodat(work, SHARED, S_IFCHR, 0) == 0 || errno == EEXIST;
		rc = lam_link_at(work, SHARED, fd, name);
		if (rc == 0 || rc == -EEXIST)
			return rc;
		if (rc == -EMLINK) { /* as many names as an inode can have: begin another */
			lam_unlink_at(work, SHARED, 0);
			layer->whiteout_made = false;
		} else if (rc != -ENOENT) {
			layer->abilities &= ~LAM_UP_WHLINK;
		}
	}
	return mknodat(fd, name, S_IFCHR, 0) < 0 ? -errno : 0;
}

int lam_whiteout_at(struct lam_core *core, struct lam_ldir *dir, const char *name)
{
	int fd;

	if (!(dir->layer->abilities & LAM_UP_MKNOD))
		return xattr_whiteout(core, dir, name);
	fd = lam_ldir_fd(core, dir);
	return fd < 0 ? fd : device_whiteout(core, dir->layer, fd, name);
}

static int no_object(void *arg, const struct lam_scan_entry *entry)
{
	(void)arg;
	return entry->whiteout || strncmp(entry->name, ".wh.", 4) == 0 ? 0 : -ENOTEMPTY;
}

/* A last look before a directory goes with all that is in it: -ENOTEMPTY if it holds more than whiteouts. */
static int check_empty(struct lam_core *core, struct lam_ldir *dir, const char *name)
{
	struct lam_ldir *child = lam_ldir_child(dir, name);
	int rc = child ? lam_ldir_marks(core, child) : -ENOMEM;

	if (rc == 0)
		rc = lam_layer_scan(core, child, no_object, NULL);
	lam_ldir_put(core, child);
	return rc;
}

int lam_whiteout_over(struct lam_core *core, struct lam_ldir *dir, const char *name, bool is_dir)
{
	struct lam_layer *layer = dir->layer;
	char temp[24];
	int work, fd, rc;

	rc = is_dir ? check_empty(core, dir, name) : 0;
	if (rc < 0)
		return rc;
	work = lam_ldir_fd(core, layer->work);
	if (work < 0)
		return work;
	lam_temp_name(layer, temp);
	if (layer->abilities & LAM_UP_MKNOD) {
		rc = device_whiteout(core, layer, work, temp);
	} else {
		rc = xattr_whiteout(core, layer->work, temp);
	}
	fd = rc < 0 ? rc : lam_ldir_fd(core, dir);
	if (fd < 0)
		return fd;
	if (!(layer->abilities & LAM_UP_MKNOD)) {
		rc = lam_ldir_marks(core, dir);
		if (rc == 0 && !(dir->flags & (LAM_LDIR_XWHITEOUTS | LAM_LDIR_OPAQUE)))
			rc = lam_private_set(core, dir, ".", "opaque", "x", 1);
		dir->flags |= rc == 0 ? LAM_LDIR_XWHITEOUTS : 0;
	}
	if (rc == 0)
		rc = lam_rename_at(work, temp, fd, name, is_dir ? RENAME_EXCHANGE : 0);
	if (rc < 0) {
		lam_unlink_at(work, temp, 0);
		return rc;
	}
	if (is_dir) /* what it held are whiteouts; a failure leaves a stray for the next mount */
		lam_remove_tree(work, temp, 0);
	return 0;
}

int lam_remove_dir(struct lam_core *core, struct lam_ldir *dir, const char *name)
{
	char temp[24];
	int work, fd, rc;

	fd = lam_ldir_fd(core, dir);
	if (fd < 0)
		return fd;
	rc = lam_unlink_at(fd, name, AT_REMOVEDIR);
	if (rc != -ENOTEMPTY && rc != -EEXIST)
		return rc;
	rc = check_empty(core, dir, name);
	if (rc < 0)
		return rc;
	work = lam_ldir_fd(core, dir->layer->work);
	if (work < 0)
		return work;
	lam_temp_name(dir->layer, temp);
	rc = lam_rename_at(fd, name, work, temp, RENAME_NOREPLACE);
	if (rc == 0)
		lam_remove_tree(work, temp, 0);
	return rc;
}

int lam_opaque_set(struct lam_core *core, const struct lam_layer *layer, int dirfd, const char *name)
{
	char key[LAM_KEY_MAX], path[LAM_NAME_MAX + 16];
	int fd;

	if (layer->abilities & LAM_UP_XATTR)
		return lam_setxattr_at(dirfd, name, lam_private_name(core, "opaque", key), "y", 1, 0);
	snprintf(path, sizeof(path), "%s/.wh..wh..opq", name);
	fd = lam_openat(dirfd, path, O_CREAT | O_WRONLY, 0600);
	if (fd < 0)
		return fd;
	lam_close(&fd);
	return 0;
}

struct clear {
	int fd;
};

static int clear_one(void *arg, const struct lam_scan_entry *entry)
{
	struct clear *clear = arg;

	return entry->whiteout || strncmp(entry->name, ".wh.", 4) == 0
		       ? lam_unlink_at(clear->fd, entry->name, 0)
		       : 0;
}

int lam_whiteouts_clear(struct lam_core *core, struct lam_ldir *dir)
{
	struct clear clear = { .fd = lam_ldir_fd(core, dir) };
	int rc;

	if (clear.fd < 0)
		return clear.fd;
	rc = lam_opaque_set(core, dir->layer, clear.fd, ".");
	if (rc < 0)
		return rc;
	dir->flags |= LAM_LDIR_OPAQUE;
	return lam_layer_scan(core, dir, clear_one, &clear);
}

int lam_mark_file_remove(struct lam_core *core, struct lam_ldir *dir, const char *name)
{
	char mark[LAM_NAME_MAX + 8];
	int fd = lam_ldir_fd(core, dir);

	if (fd < 0)
		return fd;
	snprintf(mark, sizeof(mark), ".wh.%s", name);
	return lam_unlink_at(fd, mark, 0);
}
