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
#include <lamina/sys.h>
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

/* 'new_owner': whoever gets the file does not get its capabilities. */
static int copy_xattrs(struct lam_core *core, const struct lam_at *at, struct lam_temp *temp, bool new_owner)
{
	struct lam_xattr_names names;
	const char *key = NULL;
	int rc;

	rc = lam_xattr_names_at(core, at, &names);
	if (rc < 0)
		return rc == -EOPNOTSUPP ? 0 : rc;
	while (rc == 0 && (key = lam_xattr_next(&names, key))) {
		if (!goes_along(core, key) || (new_owner && strcmp(key, "security.capability") == 0))
			continue;
		if (strncmp(key, "system.posix_acl_", 17) == 0)
			temp->mode = LAM_MODE_UNKNOWN; /* an ACL changes it */
		rc = copy_one(core, at, key, temp);
	}
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

static struct timespec timespec_of(const struct statx_timestamp *time)
{
	return (struct timespec){ .tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec };
}

/* Many copies go to one directory: what its mtime was put back to last is true until something changes it. */
int lam_mtime_save(struct lam_core *core, struct lam_ldir *dir, struct timespec *mtime)
{
	struct statx st;
	int rc = 0;

	*mtime = dir->mtime;
	if (!(dir->flags & LAM_LDIR_MTIME)) {
		rc = lam_layer_stat(core, dir, ".", &st);
		if (rc == 0)
			*mtime = timespec_of(&st.stx_mtime);
	}
	return rc;
}

void lam_mtime_restore(struct lam_core *core, struct lam_ldir *dir, const struct timespec *mtime)
{
	struct lam_at at = { .dir = dir, .name = ".", .fd = -1 };
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *mtime };

	/* As far as possible: the copy itself has succeeded. */
	if (lam_at_utimens(core, &at, times) < 0)
		return;
	dir->mtime = *mtime;
	dir->flags |= LAM_LDIR_MTIME;
}

#define SET_OWNER (LAM_SET_UID | LAM_SET_GID)
#define SET_TIMES (LAM_SET_ATIME | LAM_SET_MTIME | LAM_SET_ATIME_NOW | LAM_SET_MTIME_NOW)
#define SQUASH (LAM_CFG_SQUASH_TO_ROOT | LAM_CFG_SQUASH_TO_UID | LAM_CFG_SQUASH_TO_GID)

static struct timespec time_of(uint32_t valid, uint32_t set, uint32_t now, int64_t sec, uint32_t nsec)
{
	if (valid & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (valid & set)
		return (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
	return (struct timespec){ .tv_nsec = UTIME_OMIT };
}

void lam_set_times(const struct lam_setattr *set, struct timespec times[2])
{
	times[0] = time_of(set->valid, LAM_SET_ATIME, LAM_SET_ATIME_NOW, set->atime, set->atimensec);
	times[1] = time_of(set->valid, LAM_SET_MTIME, LAM_SET_MTIME_NOW, set->mtime, set->mtimensec);
}

/* What a change of owner takes away is left to the file system where there is something to take. */
bool lam_copy_can_set(const struct lam_core *core, const struct statx *st, const struct lam_setattr *set)
{
	uint32_t can = LAM_SET_MODE | SET_OWNER | SET_TIMES;

	if (set->valid & SET_OWNER) {
		can |= LAM_SET_KILL_SUIDGID;
		if (st->stx_mode & (S_ISUID | S_ISGID))
			return false;
	}
	return !(set->valid & ~can) && !lam_override_used(core) && !(core->flags & SQUASH);
}

/*
 * Whose a new object is: ours where the upper makes them as asked for; on others the file system has its own mind
 * about it (grpid, set-group-ID on workdir, squashed ids).
 */
static bool belongs_to(const struct lam_core *core, const struct lam_temp *temp, uint32_t uid, uint32_t gid)
{
	struct statx st;
	int rc;

	if (temp->layer->abilities & LAM_UP_EXACT)
		return uid == core->euid && gid == core->egid;
	rc = temp->fd >= 0 ? lam_stat_at(temp->fd, "", &st) : lam_stat_at(temp->dirfd, temp->name, &st);
	return rc == 0 && st.stx_uid == uid && st.stx_gid == gid;
}

int lam_copy_meta(struct lam_core *core, const struct lam_at *at, const struct statx *st,
		  struct lam_temp *temp, bool touched, const struct lam_setattr *set)
{
	uint32_t valid = set ? set->valid : 0;
	uint32_t uid = valid & LAM_SET_UID ? lam_uid_in(core, set->uid) : st->stx_uid;
	uint32_t gid = valid & LAM_SET_GID ? lam_gid_in(core, set->gid) : st->stx_gid;
	mode_t mode = (valid & LAM_SET_MODE ? set->mode : st->stx_mode) & 07777;
	struct timespec times[2], other[2];
	int rc = 0;

	if (!belongs_to(core, temp, uid, gid))
		rc = lam_temp_chown(temp, uid, gid);
	/* Where all owners are shown as one anyway, a store with one uid cannot and need not keep them. */
	if ((rc == -EPERM || rc == -EINVAL) && (lam_override_used(core) || core->flags & SQUASH))
		rc = 0;
	/* The mode after the xattrs: an owner may set user.* only while it lets him write. */
	if (rc == 0)
		rc = copy_xattrs(core, at, temp, valid & SET_OWNER);
	if (rc == 0 && !S_ISLNK(st->stx_mode) && mode != temp->mode)
		rc = lam_temp_chmod(temp, mode);
	times[0] = timespec_of(&st->stx_atime);
	times[1] = timespec_of(&st->stx_mtime);
	if (touched)
		times[1].tv_nsec = UTIME_NOW;
	if (valid & SET_TIMES) {
		lam_set_times(set, other);
		for (int i = 0; i < 2; i++)
			if (other[i].tv_nsec != UTIME_OMIT)
				times[i] = other[i];
	}
	if (rc == 0)
		rc = lam_temp_utimens(temp, times);
	return rc;
}
