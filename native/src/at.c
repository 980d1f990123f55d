/* SPDX-License-Identifier: MIT */
#include <lamina/at.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lamina/layer.h>
#include <lamina/sys.h>

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

static int at_place(const struct lam_node *node, const struct lam_place *place, struct lam_at *at)
{
	at->dir = place->dir;
	at->name = place->name ? place->name : node->dent ? node->dent->name : NULL;
	return at->name ? 0 : -ESTALE;
}

int lam_at_top(struct lam_core *core, struct lam_node *node, struct lam_at *at)
{
	(void)core;
	at->fd = node->fd;
	if (node->fd >= 0)
		return 0;
	if (lam_is_dir(node)) {
		if (node->d.nparts == 0)
			return -ESTALE;
		at->dir = node->d.parts[0];
		at->name = ".";
		return 0;
	}
	if (node->f.upper.dir)
		return at_place(node, &node->f.upper, at);
	return node->f.lower.dir ? at_place(node, &node->f.lower, at) : -ESTALE;
}

int lam_at_data(struct lam_core *core, struct lam_node *node, struct lam_at *at)
{
	if (!(node->flags & LAM_NODE_METACOPY))
		return lam_at_top(core, node, at);
	at->fd = -1;
	return node->f.lower.dir ? at_place(node, &node->f.lower, at) : -EIO;
}

int lam_at_stat(struct lam_core *core, const struct lam_at *at, struct statx *st)
{
	return at->fd >= 0 ? lam_stat_at(at->fd, "", st) : lam_layer_stat(core, at->dir, at->name, st);
}

int lam_at_chmod(struct lam_core *core, const struct lam_at *at, mode_t mode)
{
	struct lam_fd_path path;
	const char *name = at->name;
	int fd;

	if (at->fd >= 0)
		return result(chmod(lam_fd_path(&path, at->fd), mode));
	fd = lam_ldir_look_at(core, at->dir, &name);
	return fd < 0 ? fd : lam_chmod_at(fd, name, mode);
}

int lam_at_chown(struct lam_core *core, const struct lam_at *at, uid_t uid, gid_t gid)
{
	const char *name = at->name;
	int fd;

	if (at->fd >= 0)
		return result(fchownat(at->fd, "", uid, gid, AT_EMPTY_PATH));
	fd = lam_ldir_look_at(core, at->dir, &name);
	return fd < 0 ? fd : result(fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW));
}

int lam_at_utimens(struct lam_core *core, const struct lam_at *at, const struct timespec times[2])
{
	struct lam_fd_path path;
	const char *name = at->name;
	int fd;

	if (at->fd >= 0)
		return result(utimensat(AT_FDCWD, lam_fd_path(&path, at->fd), times, 0));
	fd = lam_ldir_at(core, at->dir, &name);
	return fd < 0 ? fd : result(utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW));
}

/* What was a regular file when it was looked up may be another thing by now, on a layer that others change. */
static int only_regular(int fd, struct statx *st)
{
	int rc = fd < 0 ? fd : lam_stat_at(fd, "", st);

	if (rc == 0 && !S_ISREG(st->stx_mode))
		rc = -ESTALE;
	if (rc < 0)
		lam_close(&fd);
	return rc < 0 ? rc : fd;
}

static int open_below(struct lam_core *core, const struct lam_at *at)
{
	struct lam_contents found;
	int rc = at->dir->layer->ops->open_data(core, at->dir, at->name, &found);

	return rc < 0 ? rc : found.fd;
}

static int open_once(struct lam_core *core, const struct lam_at *at, int flags, struct statx *st)
{
	char number[12];
	int fd;

	if (at->fd >= 0) /* through the magic link: the object has no name */
		fd = result(
			openat(core->proc_fd, lam_decimal(number, (unsigned int)at->fd), flags | O_CLOEXEC));
	else if (at->dir->layer->image)
		return flags == O_RDONLY ? -ENOTTY : -EROFS;
	else if (flags == O_RDONLY)
		fd = open_below(core, at);
	else if ((fd = lam_ldir_look(core, at->dir)) >= 0)
		fd = lam_openat(fd, at->name, flags | O_NONBLOCK, 0);
	return only_regular(fd, st);
}

static int open_stat(struct lam_core *core, const struct lam_at *at, int flags, struct statx *opened)
{
	struct statx st;
	int fd, rc;

	fd = open_once(core, at, flags, opened);
	if (fd != -EACCES || (at->fd < 0 && !at->dir->layer->upper))
		return fd;
	/*
	 * The kernel has let the user open the file (it was created with this mode by the same
	 * open, say), and the file is ours: take the right for the moment of opening.
	 */
	if (lam_at_stat(core, at, &st) < 0 || st.stx_uid != core->euid)
		return fd;
	rc = lam_at_chmod(core, at, (st.stx_mode & 07777) | S_IRUSR | S_IWUSR);
	if (rc < 0)
		return fd;
	fd = open_once(core, at, flags, opened);
	rc = lam_at_chmod(core, at, st.stx_mode & 07777);
	if (rc < 0)
		lam_close(&fd);
	return rc < 0 ? rc : fd;
}

int lam_at_open(struct lam_core *core, const struct lam_at *at, int flags)
{
	struct statx st;

	return open_stat(core, at, flags, &st);
}

int lam_at_contents(struct lam_core *core, const struct lam_at *at, int flags, struct lam_contents *out,
		    struct statx *st)
{
	struct statx own;
	int rc;

	if (at->fd < 0 && at->dir->layer->image && flags == O_RDONLY) {
		rc = st ? lam_at_stat(core, at, st) : 0;
		return rc < 0 ? rc : at->dir->layer->ops->open_data(core, at->dir, at->name, out);
	}
	*out = (struct lam_contents){ .fd = open_stat(core, at, flags, st ? st : &own) };
	return out->fd < 0 ? out->fd : 0;
}

ssize_t lam_at_readlink(struct lam_core *core, const struct lam_at *at, char *buf, size_t size)
{
	ssize_t length;

	if (at->fd < 0)
		return at->dir->layer->ops->readlink(core, at->dir, at->name, buf, size);
	length = readlinkat(at->fd, "", buf, size);
	return length < 0 ? -errno : length;
}

ssize_t lam_at_getxattr(struct lam_core *core, const struct lam_at *at, const char *key, void *value,
			size_t size)
{
	struct lam_fd_path path;
	ssize_t length;

	if (at->fd < 0)
		return lam_layer_getxattr(core, at->dir, at->name, key, value, size);
	length = fgetxattr(at->fd, key, value, size);
	if (length < 0 && errno == EBADF) /* O_PATH */
		length = getxattr(lam_fd_path(&path, at->fd), key, value, size);
	return length < 0 ? -errno : length;
}

ssize_t lam_at_listxattr(struct lam_core *core, const struct lam_at *at, char *list, size_t size)
{
	struct lam_fd_path path;
	ssize_t length;

	if (at->fd < 0)
		return lam_layer_listxattr(core, at->dir, at->name, list, size);
	length = flistxattr(at->fd, list, size);
	if (length < 0 && errno == EBADF)
		length = listxattr(lam_fd_path(&path, at->fd), list, size);
	return length < 0 ? -errno : length;
}

int lam_at_setxattr(struct lam_core *core, const struct lam_at *at, const char *key, const void *value,
		    size_t size, int flags)
{
	struct lam_fd_path path;
	const char *name = at->name;
	int fd;

	if (at->fd >= 0)
		return result(setxattr(lam_fd_path(&path, at->fd), key, value, size, flags));
	fd = lam_ldir_look_at(core, at->dir, &name);
	return fd < 0 ? fd : lam_setxattr_at(fd, name, key, value, size, flags);
}

int lam_at_removexattr(struct lam_core *core, const struct lam_at *at, const char *key)
{
	struct lam_fd_path path;
	const char *name = at->name;
	int fd;

	if (at->fd >= 0)
		return result(removexattr(lam_fd_path(&path, at->fd), key));
	fd = lam_ldir_look_at(core, at->dir, &name);
	return fd < 0 ? fd : lam_removexattr_at(fd, name, key);
}
