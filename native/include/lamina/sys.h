/* SPDX-License-Identifier: MIT */
/*
 * sys - system calls on (directory descriptor, name), never following a link in 'name'
 *
 * 'name' is one component, "." for the directory itself, or "" where stated.  All return 0 or
 * a positive result, or a negative errno; EINTR is retried.  Extended attributes use
 * getxattrat(2) and its kin (Linux 6.13) or /proc/self/fd/N/NAME where those are missing.
 */
#ifndef LAMINA_SYS_H
#define LAMINA_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

void lam_close(int *fd); /* idempotent; sets *fd to -1 and keeps errno */
int lam_openat(int dirfd, const char *name, int flags, mode_t mode);
/* A path of several components below 'dirfd': openat2(2) RESOLVE_BENEATH, no links. */
int lam_openat_beneath(int dirfd, const char *path, int flags);
int lam_stat_at(int dirfd, const char *name, struct statx *st); /* name "" is dirfd itself */
int lam_chmod_at(int dirfd, const char *name, mode_t mode);
int lam_mkdir_at(int dirfd, const char *name, mode_t mode);
int lam_unlink_at(int dirfd, const char *name, int flags);
int lam_rename_at(int olddir, const char *oldname, int newdir, const char *newname, unsigned int flags);
int lam_link_at(int olddir, const char *oldname, int newdir, const char *newname);
/* Give an open (O_TMPFILE or O_PATH) descriptor a name; 'proc_fd' is /proc/self/fd. */
int lam_link_fd(int fd, int proc_fd, int newdir, const char *newname);
ssize_t lam_getxattr_at(int dirfd, const char *name, const char *key, void *value, size_t size);
ssize_t lam_listxattr_at(int dirfd, const char *name, char *list, size_t size);
int lam_setxattr_at(int dirfd, const char *name, const char *key, const void *value, size_t size, int flags);
int lam_removexattr_at(int dirfd, const char *name, const char *key);
/* "/proc/self/fd/N": the path of an open or O_PATH descriptor, for calls that know no other way. */
struct lam_fd_path {
	char text[32];
};
const char *lam_fd_path(struct lam_fd_path *path, int fd);
/* Write 'number' as decimal text; returns the text (for /proc/self/fd). */
const char *lam_decimal(char buf[12], unsigned int number);

static inline uint64_t lam_dev(const struct statx *st)
{
	return (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
}

static inline bool lam_is_whiteout(const struct statx *st)
{
	return S_ISCHR(st->stx_mode) && st->stx_rdev_major == 0 && st->stx_rdev_minor == 0;
}

#endif
