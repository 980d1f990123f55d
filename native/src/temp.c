/* SPDX-License-Identifier: MIT */
/* temp - objects in the making, in workdir/work or without a name */
#include <lamina/copyup.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lamina/layer.h>
#include <lamina/sys.h>

static int result(long rc)
{
	return rc < 0 ? -errno : 0;
}

static int begin(struct lam_core *core, struct lam_layer *layer, struct lam_temp *temp)
{
	*temp = (struct lam_temp){ .layer = layer, .fd = -1, .mode = LAM_MODE_UNKNOWN };
	temp->dirfd = lam_ldir_fd(core, layer->work);
	return temp->dirfd < 0 ? temp->dirfd : 0;
}

void lam_temp_name(struct lam_layer *layer, char name[24])
{
	snprintf(name, 24, "#%x", layer->next_temp++);
}

int lam_temp_file(struct lam_core *core, struct lam_layer *layer, mode_t mode, struct lam_temp *temp)
{
	int rc = begin(core, layer, temp);

	if (rc < 0)
		return rc;
	if (layer->abilities & LAM_UP_TMPFILE) {
		temp->fd = lam_openat(temp->dirfd, ".", O_TMPFILE | O_RDWR, mode);
		if (layer->abilities & LAM_UP_EXACT)
			temp->mode = mode;
		return temp->fd < 0 ? temp->fd : 0;
	}
	lam_temp_name(layer, temp->name);
	temp->fd = lam_openat(temp->dirfd, temp->name, O_CREAT | O_EXCL | O_RDWR, mode);
	if (temp->fd >= 0)
		return 0;
	temp->name[0] = '\0';
	return temp->fd;
}

int lam_temp_node(struct lam_core *core, struct lam_layer *layer, mode_t mode, dev_t rdev, const char *target,
		  struct lam_temp *temp)
{
	int rc = begin(core, layer, temp);

	if (rc < 0)
		return rc;
	lam_temp_name(layer, temp->name);
	if (S_ISDIR(mode))
		rc = lam_mkdir_at(temp->dirfd, temp->name, mode & 07777);
	else if (S_ISLNK(mode))
		rc = result(symlinkat(target, temp->dirfd, temp->name));
	else
		rc = result(mknodat(temp->dirfd, temp->name, mode, rdev));
	if (rc < 0)
		temp->name[0] = '\0';
	return rc;
}

/* Moving a directory changes its "..", so an owner without capabilities must be let write for a moment. */
static int move_forced(struct lam_temp *temp, int to, const char *name, unsigned int flags)
{
	struct statx st;
	int rc = lam_rename_at(temp->dirfd, temp->name, to, name, flags);

	if (rc != -EACCES || lam_stat_at(temp->dirfd, temp->name, &st) < 0 || !S_ISDIR(st.stx_mode))
		return rc;
	if (lam_chmod_at(temp->dirfd, temp->name, (st.stx_mode & 07777) | S_IWUSR) < 0)
		return rc;
	rc = lam_rename_at(temp->dirfd, temp->name, to, name, flags);
	return rc < 0 ? rc : lam_chmod_at(to, name, st.stx_mode & 07777);
}

int lam_temp_publish(struct lam_core *core, struct lam_temp *temp, struct lam_ldir *dir, const char *name,
		     bool replace)
{
	int fd = lam_ldir_fd(core, dir), rc;

	if (fd < 0)
		return fd;
	if (!temp->name[0] && !replace)
		return lam_link_fd(temp->fd, core->proc_fd, fd, name);
	if (!temp->name[0]) { /* a nameless file cannot replace: name it first */
		lam_temp_name(temp->layer, temp->name);
		rc = lam_link_fd(temp->fd, core->proc_fd, temp->dirfd, temp->name);
		if (rc < 0) {
			temp->name[0] = '\0';
			return rc;
		}
	}
	rc = move_forced(temp, fd, name, replace ? 0 : RENAME_NOREPLACE);
	if (rc == -EINVAL &&
	    !replace) /* a file system without RENAME_NOREPLACE; the core is the only writer */
		rc = move_forced(temp, fd, name, 0);
	if (rc == 0)
		temp->name[0] = '\0';
	return rc;
}

void lam_temp_end(struct lam_temp *temp)
{
	lam_close(&temp->fd);
	if (temp->name[0] && lam_unlink_at(temp->dirfd, temp->name, 0) == -EISDIR)
		lam_remove_tree(temp->dirfd, temp->name, 0);
	temp->name[0] = '\0';
}

int lam_temp_chown(const struct lam_temp *temp, uid_t uid, gid_t gid)
{
	if (temp->fd >= 0)
		return result(fchown(temp->fd, uid, gid));
	return result(fchownat(temp->dirfd, temp->name, uid, gid, AT_SYMLINK_NOFOLLOW));
}

int lam_temp_chmod(const struct lam_temp *temp, mode_t mode)
{
	return temp->fd >= 0 ? result(fchmod(temp->fd, mode)) : lam_chmod_at(temp->dirfd, temp->name, mode);
}

int lam_temp_utimens(const struct lam_temp *temp, const struct timespec times[2])
{
	if (temp->fd >= 0)
		return result(futimens(temp->fd, times));
	return result(utimensat(temp->dirfd, temp->name, times, AT_SYMLINK_NOFOLLOW));
}

int lam_temp_setxattr(const struct lam_temp *temp, const char *key, const void *value, size_t size)
{
	if (temp->fd >= 0)
		return result(fsetxattr(temp->fd, key, value, size, 0));
	return lam_setxattr_at(temp->dirfd, temp->name, key, value, size, 0);
}

#define MAX_DEPTH 16 /* workdirs hold directories of whiteouts at most */

int lam_remove_entries(int fd, const char *keep, unsigned int depth)
{
	int copy = lam_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0), rc = 0;
	struct dirent *entry;
	DIR *dir;

	if (copy < 0)
		return copy;
	dir = fdopendir(copy);
	if (!dir) {
		lam_close(&copy);
		return -ENOMEM;
	}
	while (rc == 0 && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    (keep && strcmp(entry->d_name, keep) == 0))
			continue;
		rc = lam_unlink_at(fd, entry->d_name, 0);
		if (rc == -EISDIR || rc == -EPERM)
			rc = lam_remove_tree(fd, entry->d_name, depth + 1);
	}
	closedir(dir);
	return rc;
}

int lam_remove_tree(int dirfd, const char *name, unsigned int depth)
{
	int fd, rc;

	if (depth > MAX_DEPTH)
		return -ELOOP;
	fd = lam_openat(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -EACCES && lam_chmod_at(dirfd, name, 0700) == 0)
		fd = lam_openat(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	rc = lam_remove_entries(fd, NULL, depth);
	lam_close(&fd);
	return rc < 0 ? rc : lam_unlink_at(dirfd, name, AT_REMOVEDIR);
}
