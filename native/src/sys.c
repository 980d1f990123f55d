/* SPDX-License-Identifier: MIT */
#include <lamina/sys.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Newer than the build host's headers may be; numbers are the same on all architectures but alpha. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif

#define ABILITY_UNKNOWN 0
#define ABILITY_YES 1
#define ABILITY_NO 2

/* What this kernel lacks is found out once; the answer is the same for every thread. */
static atomic_int have_xattrat;

struct xattr_args {
	uint64_t value;
	uint32_t size;
	uint32_t flags;
};

#define RETRY(call)                                  \
	({                                           \
		long rc_;                            \
		do {                                 \
			rc_ = (call);                \
		} while (rc_ < 0 && errno == EINTR); \
		rc_ < 0 ? -(long)errno : rc_;        \
	})

void lam_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int lam_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return (int)RETRY(openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode));
}

int lam_openat_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)RETRY(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

int lam_stat_at(int dirfd, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);

	return (int)RETRY(statx(dirfd, name, flags, STATX_BASIC_STATS | STATX_BTIME, st));
}

int lam_chmod_at(int dirfd, const char *name, mode_t mode)
{
	struct lam_fd_path path;
	int rc, fd;

	rc = (int)RETRY(syscall(SYS_fchmodat2, dirfd, name, mode, AT_SYMLINK_NOFOLLOW));
	if (rc != -ENOSYS)
		return rc;
	fd = lam_openat(dirfd, name, O_PATH, 0);
	if (fd < 0)
		return fd;
	rc = (int)RETRY(chmod(lam_fd_path(&path, fd), mode));
	lam_close(&fd);
	return rc;
}

int lam_mkdir_at(int dirfd, const char *name, mode_t mode)
{
	return (int)RETRY(mkdirat(dirfd, name, mode));
}

int lam_unlink_at(int dirfd, const char *name, int flags)
{
	return (int)RETRY(unlinkat(dirfd, name, flags));
}

int lam_rename_at(int olddir, const char *oldname, int newdir, const char *newname, unsigned int flags)
{
	return (int)RETRY(renameat2(olddir, oldname, newdir, newname, flags));
}

int lam_link_at(int olddir, const char *oldname, int newdir, const char *newname)
{
	return (int)RETRY(linkat(olddir, oldname, newdir, newname, 0));
}

int lam_link_fd(int fd, int proc_fd, int newdir, const char *newname)
{
	char number[12];
	int rc;

	/* Allowed to the opener since Linux 6.10, with CAP_DAC_READ_SEARCH before. */
	rc = (int)RETRY(linkat(fd, "", newdir, newname, AT_EMPTY_PATH));
	if (rc != -ENOENT && rc != -EPERM)
		return rc;
	return (int)RETRY(
		linkat(proc_fd, lam_decimal(number, (unsigned int)fd), newdir, newname, AT_SYMLINK_FOLLOW));
}

const char *lam_fd_path(struct lam_fd_path *path, int fd)
{
	snprintf(path->text, sizeof(path->text), "/proc/self/fd/%d", fd);
	return path->text;
}

const char *lam_decimal(char buf[12], unsigned int number)
{
	char *p = buf + 11;

	*p = '\0';
	do {
		*--p = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return p;
}

/* "/proc/self/fd/N/NAME": one component below a descriptor, for the calls without a dirfd. */
struct proc_path {
	char text[32 + 256];
};

static const char *proc_path(struct proc_path *path, int dirfd, const char *name)
{
	snprintf(path->text, sizeof(path->text), "/proc/self/fd/%d/%s", dirfd, name);
	return path->text;
}

/* Decide once whether the *xattrat calls exist: an old kernel says ENOSYS, some sandboxes EPERM. */
static bool xattrat_works(int dirfd)
{
	struct xattr_args args = { 0 };
	int state = atomic_load_explicit(&have_xattrat, memory_order_relaxed);

	if (state == ABILITY_UNKNOWN) {
		long rc = RETRY(syscall(SYS_getxattrat, dirfd, ".", AT_SYMLINK_NOFOLLOW, "user.lamina.probe",
					&args, sizeof(args)));
		state = rc == -ENOSYS || rc == -EPERM || rc == -EINVAL ? ABILITY_NO : ABILITY_YES;
		atomic_store_explicit(&have_xattrat, state, memory_order_relaxed);
	}
	return state == ABILITY_YES;
}

ssize_t lam_getxattr_at(int dirfd, const char *name, const char *key, void *value, size_t size)
{
	struct xattr_args args = { .value = (uint64_t)(uintptr_t)value, .size = (uint32_t)size };
	struct proc_path path;

	if (xattrat_works(dirfd))
		return RETRY(
			syscall(SYS_getxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, key, &args, sizeof(args)));
	return RETRY(lgetxattr(proc_path(&path, dirfd, name), key, value, size));
}

ssize_t lam_listxattr_at(int dirfd, const char *name, char *list, size_t size)
{
	struct proc_path path;

	if (xattrat_works(dirfd))
		return RETRY(syscall(SYS_listxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, list, size));
	return RETRY(llistxattr(proc_path(&path, dirfd, name), list, size));
}

int lam_setxattr_at(int dirfd, const char *name, const char *key, const void *value, size_t size, int flags)
{
	struct xattr_args args = { .value = (uint64_t)(uintptr_t)value,
				   .size = (uint32_t)size,
				   .flags = (uint32_t)flags };
	struct proc_path path;

	if (xattrat_works(dirfd))
		return (int)RETRY(
			syscall(SYS_setxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, key, &args, sizeof(args)));
	return (int)RETRY(lsetxattr(proc_path(&path, dirfd, name), key, value, size, flags));
}

int lam_removexattr_at(int dirfd, const char *name, const char *key)
{
	struct proc_path path;

	if (xattrat_works(dirfd))
		return (int)RETRY(syscall(SYS_removexattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, key));
	return (int)RETRY(lremovexattr(proc_path(&path, dirfd, name), key));
}
