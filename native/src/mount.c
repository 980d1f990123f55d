/* SPDX-License-Identifier: MIT */
/* mount - see mount.h; this is the way without a helper */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/mount.h>

#include "mount_helper.h"

#define FUSE_DEVICE "/dev/fuse"

int lam_mount_why(char *why, size_t why_size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (why && why_size)
		vsnprintf(why, why_size, format, args);
	va_end(args);
	return err;
}

/* An O_PATH descriptor of the mount point. */
static int open_dir(const char *dir, char *why, size_t size)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
		return lam_mount_why(why, size, -ENOENT, "mount point %s does not exist", dir);
	case ENOTDIR:
		return lam_mount_why(why, size, -ENOTDIR, "mount point %s is not a directory", dir);
	case ENOTCONN:
		return lam_mount_why(
			why, size, -ENOTCONN,
			"mount point %s still holds the mount of a server that died: unmount it first", dir);
	default:
		return lam_mount_why(why, size, -errno, "mount point %s: %s", dir, strerror(errno));
	}
}

static int open_device(char *why, size_t size)
{
	int fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return lam_mount_why(why, size, -errno,
				     FUSE_DEVICE ": not there; is the fuse module loaded?");
	case EPERM:
	case EACCES:
		return lam_mount_why(why, size, -EACCES, FUSE_DEVICE ": this user may not open it");
	default:
		return lam_mount_why(why, size, -errno, FUSE_DEVICE ": %s", strerror(errno));
	}
}

/* The options as mount(2) wants them; the caller frees.  NULL: no memory. */
static char *all_options(int fuse_fd, mode_t mode, const char *more)
{
	char *text;
	int n = asprintf(&text, "fd=%d,rootmode=%o,user_id=%u,group_id=%u%s%s", fuse_fd, mode & S_IFMT,
			 getuid(), getgid(), more && *more ? "," : "", more ? more : "");

	return n < 0 ? NULL : text;
}

static int refused(const char *dir, const char *options, int err, char *why, size_t size)
{
	switch (err) {
	case EPERM:
		return lam_mount_why(why, size, -EPERM, "mount point %s: this user may not mount here", dir);
	case ENODEV:
		return lam_mount_why(why, size, -ENODEV, "the kernel has no FUSE");
	case EINVAL:
		return lam_mount_why(why, size, -EINVAL, "the kernel refuses these mount options: %s",
				     options);
	default:
		return lam_mount_why(why, size, -err, "mount point %s: %s", dir, strerror(err));
	}
}

/* Where /proc is not mounted there is only the name. */
static int mount_at(int dirfd, const char *dir, const char *source, unsigned long flags, const char *options)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	if (mount(source, path, LAM_MOUNT_TYPE, flags, options) == 0)
		return 0;
	if (errno == ENOENT && access("/proc/self/fd", F_OK) < 0 &&
	    mount(source, dir, LAM_MOUNT_TYPE, flags, options) == 0)
		return 0;
	return errno;
}

int lam_mount_direct(const char *dir, const char *source, unsigned long flags, const char *options, char *why,
		     size_t why_size)
{
	int err, fuse_fd = -1, dirfd = open_dir(dir, why, why_size);
	char *all = NULL;
	struct stat st;

	if (dirfd < 0)
		return dirfd;
	fuse_fd = open_device(why, why_size);
	if (fuse_fd < 0) {
		err = fuse_fd;
		goto out;
	}
	if (fstat(dirfd, &st) < 0) {
		err = lam_mount_why(why, why_size, -errno, "mount point %s: %s", dir, strerror(errno));
		goto out;
	}
	all = all_options(fuse_fd, st.st_mode, options);
	if (!all) {
		err = lam_mount_why(why, why_size, -ENOMEM, "out of memory");
		goto out;
	}
	err = mount_at(dirfd, dir, source, flags, all);
	if (err)
		err = refused(dir, options ? options : "", err, why, why_size);
out:
	free(all);
	close(dirfd);
	if (err && fuse_fd >= 0)
		close(fuse_fd);
	return err ? err : fuse_fd;
}

int lam_unmount(const char *dir, int lazy)
{
	if (umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return lam_unmount_helper(dir, lazy);
}
