/* SPDX-License-Identifier: MIT */
/* verbs_attr - getattr, statx, setattr, readlink, statfs */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <lamina/at.h>
#include <lamina/copyup.h>
#include <lamina/handle.h>
#include <lamina/layer.h>
#include <lamina/owner.h>
#include <lamina/resolve.h>
#include <lamina/sys.h>
#include <lamina/verbs.h>

static int top_stat(struct lam_core *core, struct lam_node *node, struct lam_at *at, struct statx *st)
{
	int rc = lam_at_top(core, node, at);

	return rc < 0 ? rc : lam_at_stat(core, at, st);
}

static int getattr(struct lam_core *core, struct lam_node *node, struct lam_attr *attr)
{
	struct lam_at at;
	struct statx st;
	int rc = top_stat(core, node, &at, &st);

	return rc < 0 ? rc : lam_show_attr(core, node, &st, attr);
}

int lam_getattr(struct lam_core *core, uint64_t nodeid, uint64_t fh, struct lam_attr *attr)
{
	struct lam_node *node;
	int rc = lam_enter(core, nodeid, &node);

	(void)fh;
	if (rc < 0)
		return rc;
	rc = getattr(core, node, attr);
	lam_leave(core, node);
	return rc;
}

int lam_statx(struct lam_core *core, uint64_t nodeid, uint64_t fh, struct lam_statx *out)
{
	struct lam_node *node;
	struct lam_at at;
	struct statx st;
	int rc = lam_enter(core, nodeid, &node);

	(void)fh;
	if (rc < 0)
		return rc;
	rc = top_stat(core, node, &at, &st);
	if (rc == 0)
		rc = lam_show_attr(core, node, &st, &out->attr);
	if (rc == 0) {
		out->btime = st.stx_btime.tv_sec;
		out->btimensec = st.stx_btime.tv_nsec;
		out->has_btime = !!(st.stx_mask & STATX_BTIME);
		out->attributes = st.stx_attributes;
		out->attributes_mask = st.stx_attributes_mask;
	}
	lam_leave(core, node);
	return rc;
}

/* ---- setattr ---- */

/* Who may not keep privileges has written or truncated: as the kernel does for a caller without CAP_FSETID. */
static int kill_privileges(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
			   const struct lam_at *at)
{
	mode_t mode, kept;
	struct statx st;
	int rc;

	if (node->flags & LAM_NODE_NOPRIV || !S_ISREG(node->type))
		return 0;
	rc = lam_at_stat(core, at, &st);
	if (rc < 0)
		return rc;
	if (lam_override_used(core))
		lam_override_read(core, at, &st);
	mode = kept = st.stx_mode & 07777;
	kept &= (mode_t)~S_ISUID;
	if (mode & S_ISGID && (mode & S_IXGRP || !lam_caller_in_group(caller, lam_gid_out(core, st.stx_gid))))
		kept &= (mode_t)~S_ISGID;
	if (kept != mode && lam_override_used(core))
		rc = lam_override_write(core, at, st.stx_uid, st.stx_gid, S_IFREG | kept, 0);
	else if (kept != mode)
		rc = lam_at_chmod(core, at, kept);
	if (rc == 0 && lam_at_getxattr(core, at, "security.capability", NULL, 0) >= 0)
		rc = lam_at_removexattr(core, at, "security.capability");
	if (rc == 0 && !(kept & (S_ISUID | S_ISGID)))
		node->flags |= LAM_NODE_NOPRIV;
	return rc;
}

int lam_kill_privileges(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node)
{
	struct lam_at at;
	int rc = lam_at_top(core, node, &at);

	return rc < 0 ? rc : kill_privileges(core, caller, node, &at);
}

int lam_drop_capability(struct lam_core *core, uint64_t nodeid)
{
	struct lam_node *node;
	struct lam_at at;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	if (!(node->flags & (LAM_NODE_NOPRIV | LAM_NODE_NOCAP))) {
		rc = lam_at_top(core, node, &at);
		if (rc == 0 && lam_at_getxattr(core, &at, "security.capability", NULL, 0) >= 0)
			rc = lam_at_removexattr(core, &at, "security.capability");
		if (rc == 0)
			node->flags |= LAM_NODE_NOCAP;
	}
	lam_leave(core, node);
	return rc;
}

static int truncate_fd(int fd, const struct lam_setattr *set)
{
	struct stat st;

	/* truncate(2) to the same size changes nothing, ftruncate(2) comes with a new mtime anyway. */
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == set->size)
		return 0;
	return ftruncate(fd, (off_t)set->size) < 0 ? -errno : 0;
}

static int set_size(struct lam_core *core, struct lam_node *node, uint64_t fh, const struct lam_setattr *set)
{
	struct lam_handle *handle = lam_handle_find(core, fh);
	struct lam_file *file;
	int rc;

	if (handle && handle->file->writable && !handle->file->on_lower) {
		file = handle->file;
		file->refs++;
	} else {
		rc = lam_node_file(core, node, true, &file);
		if (rc < 0)
			return rc;
	}
	rc = truncate_fd(file->fd, set);
	lam_file_put(core, file);
	return rc;
}

/* Owner and mode beside the inode, where the store cannot hold them. */
static int set_override(struct lam_core *core, const struct lam_at *at, const struct lam_setattr *set)
{
	struct statx st;
	uint32_t uid, gid;
	mode_t mode;
	int rc = lam_at_stat(core, at, &st);

	if (rc < 0)
		return rc;
	lam_override_read(core, at, &st);
	uid = set->valid & LAM_SET_UID ? lam_uid_in(core, set->uid) : st.stx_uid;
	gid = set->valid & LAM_SET_GID ? lam_gid_in(core, set->gid) : st.stx_gid;
	mode = st.stx_mode;
	if (set->valid & LAM_SET_MODE)
		mode = (mode & S_IFMT) | (set->mode & 07777);
	else if (!S_ISDIR(mode)) /* a change of owner takes privileges */
		mode &= (mode_t) ~(S_ISUID | (mode & S_IXGRP ? S_ISGID : 0));
	return lam_override_write(core, at, uid, gid, mode,
				  (uint32_t)makedev(st.stx_rdev_major, st.stx_rdev_minor));
}

static int set_owner(struct lam_core *core, const struct lam_at *at, const struct lam_setattr *set)
{
	uid_t uid = set->valid & LAM_SET_UID ? lam_uid_in(core, set->uid) : (uid_t)-1;
	gid_t gid = set->valid & LAM_SET_GID ? lam_gid_in(core, set->gid) : (gid_t)-1;
	int rc = lam_at_chown(core, at, uid, gid);

	/* All owners are shown as one: the change shows nowhere, and its failure need not either. */
	if ((rc == -EPERM || rc == -EINVAL) &&
	    core->flags & (LAM_CFG_SQUASH_TO_ROOT | LAM_CFG_SQUASH_TO_UID | LAM_CFG_SQUASH_TO_GID))
		rc = 0;
	return rc;
}

static int apply(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node, uint64_t fh,
		 const struct lam_setattr *set)
{
	const uint32_t owner = LAM_SET_UID | LAM_SET_GID;
	const uint32_t times = LAM_SET_ATIME | LAM_SET_MTIME | LAM_SET_ATIME_NOW | LAM_SET_MTIME_NOW;
	struct timespec when[2];
	struct lam_at at;
	int rc = lam_at_top(core, node, &at);

	if (rc == 0 && set->valid & LAM_SET_SIZE)
		rc = set_size(core, node, fh, set);
	/* A change of owner kills by itself; the flag comes with every one, whoever asks. */
	if (rc == 0 && set->valid & LAM_SET_KILL_SUIDGID && !(set->valid & owner && caller->uid == 0))
		rc = kill_privileges(core, caller, node, &at);
	if (rc == 0 && set->valid & (owner | LAM_SET_MODE) && lam_override_used(core)) {
		rc = set_override(core, &at, set);
	} else {
		if (rc == 0 && set->valid & owner)
			rc = set_owner(core, &at, set);
		if (rc == 0 && set->valid & LAM_SET_MODE) {
			if (node->flags & LAM_NODE_NOPRIV)
				node->flags |= LAM_NODE_NOCAP;
			node->flags &= (uint16_t)~LAM_NODE_NOPRIV;
			rc = lam_at_chmod(core, &at, set->mode & 07777);
		}
	}
	if (rc == 0 && set->valid & times) {
		lam_set_times(set, when);
		rc = lam_at_utimens(core, &at, when);
	}
	return rc;
}

static bool is_empty(struct lam_core *core, struct lam_node *node)
{
	struct lam_at at;
	struct statx st;

	return top_stat(core, node, &at, &st) == 0 && st.stx_size == 0;
}

int lam_setattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		const struct lam_setattr *set, struct lam_attr *attr)
{
	enum lam_copy how = LAM_COPY_META;
	struct lam_wish wish = { .set = set };
	struct lam_node *node;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	if (set->valid & LAM_SET_SIZE)
		how = set->size ? LAM_COPY_DATA : LAM_COPY_EMPTY;
	rc = lam_may_write(core);
	if (rc == 0 && set->valid & LAM_SET_SIZE && !S_ISREG(node->type))
		rc = lam_is_dir(node) ? -EISDIR : -EINVAL;
	if (rc == 0 && set->valid == LAM_SET_SIZE && set->size == 0 && is_empty(core, node))
		how = LAM_COPY_DATA; /* nothing changes, not even mtime */
	if (rc == 0)
		rc = lam_copyup_for(core, caller, node, how, &wish);
	if (rc == 0 && !wish.done)
		rc = apply(core, caller, node, fh, set);
	if (rc == 0 && wish.done)
		lam_show_known(core, node, &wish.st, attr);
	else if (rc == 0)
		rc = getattr(core, node, attr);
	lam_leave(core, node);
	return rc;
}

ssize_t lam_readlink(struct lam_core *core, uint64_t nodeid, char *buf, size_t size)
{
	struct lam_node *node;
	struct lam_at at;
	ssize_t length = lam_enter(core, nodeid, &node);

	if (length < 0)
		return length;
	length = S_ISLNK(node->type) ? lam_at_top(core, node, &at) : -EINVAL;
	if (length == 0)
		length = lam_at_readlink(core, &at, buf, size);
	lam_leave(core, node);
	return length;
}

int lam_statfs(struct lam_core *core, uint64_t nodeid, struct statvfs *out)
{
	struct lam_node *node;
	int rc = lam_enter(core, nodeid, &node);

	if (rc < 0)
		return rc;
	rc = core->layers[0].ops->statfs(&core->layers[0], out);
	out->f_namemax = LAM_NAME_MAX;
	lam_leave(core, node);
	return rc;
}
