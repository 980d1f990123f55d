/* SPDX-License-Identifier: MIT */
#include <lamina/upper.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <lamina/copyup.h>
#include <lamina/layer.h>
#include <lamina/sys.h>
#include <lamina/xattr.h>

#define PROBE "#probe"

int lam_fail(struct lam_why *why, int err, const char *what, const char *path)
{
	snprintf(why->text, why->size, "%s: %s%s%s", path, what, err ? ": " : "", err ? strerror(-err) : "");
	return err ? err : -EINVAL;
}

/* One mount at a time: the lock goes with the process, however it ends. */
static int lock_dir(int dirfd, int *lock)
{
	*lock = lam_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (*lock < 0)
		return *lock;
	return flock(*lock, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int make_dir(int dirfd, const char *name)
{
	int rc = lam_mkdir_at(dirfd, name, 0700);

	return rc == -EEXIST ? 0 : rc;
}

/* Can nameless files be made and named, and do they come out as asked for (no default ACL, no mapped ids)? */
static uint32_t probe_tmpfile(const struct lam_core *core, int work)
{
	int fd = lam_openat(work, ".", O_TMPFILE | O_RDWR, 0777), rc;
	uint32_t found = 0;
	struct statx st;

	if (fd < 0)
		return 0;
	if (lam_stat_at(fd, "", &st) == 0 && (st.stx_mode & 07777) == 0777 && st.stx_uid == core->euid &&
	    st.stx_gid == core->egid)
		found = LAM_UP_EXACT;
	rc = lam_link_fd(fd, core->proc_fd, work, PROBE);
	lam_close(&fd);
	lam_unlink_at(work, PROBE, 0);
	return rc < 0 ? 0 : found | LAM_UP_TMPFILE;
}

static bool probe_mknod(int work)
{
	bool works = mknodat(work, PROBE, S_IFCHR, 0) == 0;

	lam_unlink_at(work, PROBE, 0);
	return works;
}

static bool probe_xattr(struct lam_core *core, int work)
{
	char key[LAM_KEY_MAX];

	lam_private_name(core, "probe", key);
	if (lam_setxattr_at(work, ".", key, "y", 1, 0) < 0)
		return false;
	lam_removexattr_at(work, ".", key);
	return true;
}

static void probe(struct lam_core *core, struct lam_layer *layer, int work)
{
	struct statfs fs = { 0 };
	struct statx st;

	layer->dev = lam_stat_at(work, "", &st) == 0 ? lam_dev(&st) : 0;
	layer->abilities = LAM_UP_RENAME_WH; /* until it fails */
	layer->abilities |= probe_tmpfile(core, work);
	if (probe_mknod(work))
		layer->abilities |= LAM_UP_MKNOD | LAM_UP_WHLINK;
	if (probe_xattr(core, work))
		layer->abilities |= LAM_UP_XATTR;
	if (!(layer->abilities & LAM_UP_MKNOD))
		layer->abilities &= ~(uint32_t)LAM_UP_RENAME_WH;
	layer->slow_sync = fstatfs(work, &fs) < 0 || fs.f_type != TMPFS_MAGIC;
	layer->counts_extents = layer->slow_sync && fs.f_type == XFS_SUPER_MAGIC;
}

/* The directories below workdir, as kernel overlayfs has them. */
static int open_workdirs(struct lam_core *core, struct lam_layer *layer, int workdir, const char *path,
			 struct lam_why *why)
{
	int fd, rc;

	rc = make_dir(workdir, "work");
	fd = rc < 0 ? rc : lam_openat(workdir, "work", O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return lam_fail(why, fd, "cannot make its directory 'work'", path);
	layer->work = lam_ldir_root(layer, fd);
	if (!layer->work)
		return lam_fail(why, -ENOMEM, "no memory", path);
	/* Kernel overlayfs makes it with mode 0, which only a capability gets through. */
	lam_chmod_at(workdir, "work", 0700);
	if (faccessat(fd, "incompat/volatile", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return lam_fail(
			why, -EINVAL,
			"was used by a volatile mount, its upper may have lost writes in a crash; remove "
			"work/incompat/volatile in it to use it all the same",
			path);
	rc = lam_remove_entries(fd, NULL, 0);
	if (rc < 0)
		return lam_fail(why, rc, "cannot be cleaned", path);
	if (core->fsync == LAM_FSYNC_VOLATILE &&
	    (make_dir(fd, "incompat") < 0 || make_dir(layer->work->fd, "incompat/volatile") < 0))
		return lam_fail(why, -errno, "cannot be marked volatile", path);
	probe(core, layer, fd);
	if (core->flags & LAM_CFG_INDEX && layer->abilities & LAM_UP_XATTR) {
		rc = make_dir(workdir, "index");
		fd = rc < 0 ? rc : lam_openat(workdir, "index", O_PATH | O_DIRECTORY, 0);
		layer->index_dir = fd < 0 ? NULL : lam_ldir_root(layer, fd);
	}
	/* Copies go to the top: without an index there they break hard links, whose names are no longer one object. */
	if (layer->index == 0 && !layer->index_dir)
		core->flags &= ~(uint32_t)LAM_CFG_INDEX;
	return 0;
}

int lam_upper_open(struct lam_core *core, struct lam_layer *layer, const char *upper, const char *workdir,
		   struct lam_why *why)
{
	struct statx a, b;
	int fd, rc;

	layer->lock_fd[0] = layer->lock_fd[1] = -1;
	fd = open(workdir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return lam_fail(why, -errno, "cannot open workdir", workdir);
	rc = lam_stat_at(layer->root->fd, "", &a);
	if (rc == 0)
		rc = lam_stat_at(fd, "", &b);
	if (rc < 0)
		rc = lam_fail(why, rc, "cannot stat", workdir);
	else if (lam_dev(&a) != lam_dev(&b))
		rc = lam_fail(why, -EXDEV, "workdir and upperdir must be on the same file system", workdir);
	else if (a.stx_ino == b.stx_ino)
		rc = lam_fail(why, -EINVAL, "workdir and upperdir must be different directories", workdir);
	if (rc == 0 && (rc = lock_dir(layer->root->fd, &layer->lock_fd[0])) < 0)
		rc = lam_fail(why, rc == -EWOULDBLOCK ? -EBUSY : rc, "upperdir is in use by another mount",
			      upper);
	if (rc == 0 && (rc = lock_dir(fd, &layer->lock_fd[1])) < 0)
		rc = lam_fail(why, rc == -EWOULDBLOCK ? -EBUSY : rc, "workdir is in use by another mount",
			      workdir);
	if (rc == 0)
		rc = open_workdirs(core, layer, fd, workdir, why);
	lam_close(&fd);
	return rc;
}

void lam_upper_close(struct lam_core *core, struct lam_layer *layer)
{
	int work = layer->work ? layer->work->fd : -1;

	if (work >= 0)
		lam_remove_entries(work, "incompat", 0);
	lam_ldir_put(core, layer->work);
	lam_ldir_put(core, layer->index_dir);
	lam_close(&layer->lock_fd[0]);
	lam_close(&layer->lock_fd[1]);
}
