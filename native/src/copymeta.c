/* SPDX-License-Identifier: MIT */
/* copymeta - owner, mode, xattrs and times of a copy-up */
#include <lamina/copyup.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lamina/at.h>
#include <lamina/layer.h>
#include <lamina/owner.h>
#include <lamina/xattr.h>

#define VALUE_MAX 65536 /* XATTR_SIZE_MAX */

/* Which names go along: users' own, not this overlay's marks on a former upper. */
static bool goes_along(const struct lam_core *core, const char *key)
{
	enum lam_key kind = lam_private_key(core, key);

	if (core->flags & LAM_CFG_NOACL && strncmp(key, "system.posix_acl_", 17) == 0)
		return false;
	/* An owner that only the lower's xattr says is the copy's own: lam_copy_owner(). */
	return kind == LAM_KEY_NONE ||
	       (kind == LAM_KEY_OVERRIDE && (lam_override_used(core) || !lam_override_believed(core)));
}

/* May an xattr stay behind where the upper's file system does not know its kind?  As kernel overlayfs decides. */
static bool must_go_along(const char *key)
{
	return strncmp(key, "system.posix_acl_", 17) == 0 || strncmp(key, "security.", 9) == 0;
}

static int copy_one(struct lam_core *core, const struct lam_at *at, const char *key, struct lam_temp *temp)
{
	char buf[512], *value = buf;
	ssize_t size = lam_at_getxattr(core, at, key, buf, sizeof(buf));
	int rc;

	if (size == -ERANGE) {
		value = malloc(VALUE_MAX);
		if (!value)
			return -ENOMEM;
		size = lam_at_getxattr(core, at, key, value, VALUE_MAX);
	}
	rc = size < 0 ? (int)size : lam_temp_setxattr(temp, key, value, (size_t)size);
	if (value != buf)
		free(value);
	if (rc == -ENODATA || ((rc == -EOPNOTSUPP || rc == -EPERM) && !must_go_along(key)))
		rc = 0;
	return rc;
}

static int copy_xattrs(struct lam_core *core, const struct lam_at *at, struct lam_temp *temp)
{
	struct lam_xattr_names names;
	const char *key = NULL;
	int rc;

	rc = lam_xattr_names_at(core, at, &names);
	if (rc < 0)
		return rc == -EOPNOTSUPP ? 0 : rc;
	while (rc == 0 && (key = lam_xattr_next(&names, key)))
		if (goes_along(core, key))
			rc = copy_one(core, at, key, temp);
	lam_xattr_names_free(&names);
	return rc;
}

void lam_copy_owner(struct lam_core *core, const struct lam_at *at, struct statx *st)
{
	uint16_t type = st->stx_mode & S_IFMT;

	if (lam_override_used(core))
		return;
	lam_override_read(core, at, st);
	st->stx_mode = (uint16_t)(type | (st->stx_mode & 07777));
}

static void times_of(const struct statx *st, struct timespec times[2])
{
	times[0] = (struct timespec){ .tv_sec = st->stx_atime.tv_sec, .tv_nsec = st->stx_atime.tv_nsec };
	times[1] = (struct timespec){ .tv_sec = st->stx_mtime.tv_sec, .tv_nsec = st->stx_mtime.tv_nsec };
}

int lam_times_save(struct lam_core *core, struct lam_ldir *dir, struct lam_times *times)
{
	struct statx st;
	int rc = lam_layer_stat(core, dir, ".", &st);

	if (rc == 0)
		times_of(&st, times->at);
	return rc;
}

void lam_times_restore(struct lam_core *core, struct lam_ldir *dir, const struct lam_times *times)
{
	struct lam_at at = { .dir = dir, .name = ".", .fd = -1 };

	lam_at_utimens(core, &at, times->at); /* as far as possible: the copy itself has succeeded */
}

int lam_copy_meta(struct lam_core *core, const struct lam_at *at, const struct statx *st,
		  struct lam_temp *temp, bool touched)
{
	struct timespec times[2];
	int rc = 0;

	if (st->stx_uid != core->euid || st->stx_gid != core->egid)
		rc = lam_temp_chown(temp, st->stx_uid, st->stx_gid);
	/* Where all owners are shown as one anyway, a store with one uid cannot and need not keep them. */
	if ((rc == -EPERM || rc == -EINVAL) &&
	    (lam_override_used(core) ||
	     core->flags & (LAM_CFG_SQUASH_TO_ROOT | LAM_CFG_SQUASH_TO_UID | LAM_CFG_SQUASH_TO_GID)))
		rc = 0;
	/* The mode after the xattrs: an owner may set user.* only while it lets him write. */
	if (rc == 0)
		rc = copy_xattrs(core, at, temp);
	if (rc == 0 && !S_ISLNK(st->stx_mode))
		rc = lam_temp_chmod(temp, st->stx_mode & 07777);
	times_of(st, times);
	if (touched)
		times[1].tv_nsec = UTIME_NOW;
	if (rc == 0)
		rc = lam_temp_utimens(temp, times);
	return rc;
}
