/* SPDX-License-Identifier: MIT */
/* verbs_ioctl - the inode flag calls (chattr, lsattr, project ids) */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include <lamina/at.h>
#include <lamina/copyup.h>
#include <lamina/handle.h>
#include <lamina/layer.h>
#include <lamina/sys.h>
#include <lamina/verbs.h>

static bool known(uint32_t cmd, size_t size, bool *changes)
{
	*changes = cmd == FS_IOC_SETFLAGS || cmd == FS_IOC_FSSETXATTR;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC_SETFLAGS:
		return size >= sizeof(unsigned int);
	case FS_IOC_FSGETXATTR:
	case FS_IOC_FSSETXATTR:
		return size >= sizeof(struct fsxattr);
	default:
		return false;
	}
}

/* Nothing on an image has flags; so it says, since who wants to set some reads them first. */
static bool on_image(struct lam_core *core, struct lam_node *node)
{
	struct lam_at at;

	return lam_at_top(core, node, &at) == 0 && at.fd < 0 && at.dir->layer->image &&
	       (lam_is_dir(node) || S_ISREG(node->type));
}

static int open_object(struct lam_core *core, struct lam_node *node)
{
	struct lam_at at;
	int fd, rc = lam_at_top(core, node, &at);

	if (rc < 0)
		return rc;
	if (!lam_is_dir(node))
		return S_ISREG(node->type) ? lam_at_open(core, &at, O_RDONLY) : -ENOTTY;
	if (at.fd >= 0)
		return lam_openat(at.fd, ".", O_RDONLY | O_DIRECTORY, 0);
	fd = lam_ldir_look(core, at.dir);
	return fd < 0 ? fd : lam_openat(fd, ".", O_RDONLY | O_DIRECTORY, 0);
}

int lam_ioctl(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
	      uint32_t cmd, void *arg, size_t size)
{
	union {
		int flags;
		struct fsxattr fsx;
	} room = { 0 };
	size_t used = cmd == FS_IOC_GETFLAGS || cmd == FS_IOC_SETFLAGS ? sizeof(room.flags)
								       : sizeof(room.fsx);
	struct lam_node *node;
	bool changes;
	int fd, rc;

	(void)fh;
	if (!known(cmd, size, &changes))
		return -ENOTTY;
	rc = lam_enter(core, nodeid, &node);
	if (rc < 0)
		return rc;
	if (changes)
		rc = lam_may_write(core);
	if (rc == 0 && changes) /* immutable or append-only metadata must not have its data below */
		rc = lam_copyup(core, caller, node, lam_is_dir(node) ? LAM_COPY_META : LAM_COPY_DATA);
	if (rc == 0 && !changes && on_image(core, node)) {
		memset(arg, 0, used);
		lam_leave(core, node);
		return 0;
	}
	fd = rc < 0 ? rc : open_object(core, node);
	rc = fd < 0 ? fd : 0;
	if (rc == 0) {
		memcpy(&room, arg, used);
		rc = ioctl(fd, cmd, &room) < 0 ? -errno : 0;
		memcpy(arg, &room, used);
	}
	if (rc == 0 && changes && !lam_is_dir(node))
		lam_file_uncache(core, node); /* what may be written is asked at each open */
	lam_close(&fd);
	lam_leave(core, node);
	return rc;
}
