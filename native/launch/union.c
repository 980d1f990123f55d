/* SPDX-License-Identifier: MIT */
#include "union.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const OPTIONS[] = { "lowerdir", "upperdir", "workdir" };

static int set(int context, const char *key, const char *value)
{
	long rc = syscall(SYS_fsconfig, context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value,
			  0);

	return rc < 0 ? -errno : 0;
}

static int open_directory(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A detached mount, or a negative errno. */
static int make(const struct lam_record *record)
{
	int context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC), fd[3] = { -1, -1, -1 }, err;
	char path[32];

	err = context < 0 ? -errno : set(context, "source", "lamina");
	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		fd[i] = open_directory(record->arg[i]);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[i]);
		err = fd[i] < 0 ? fd[i] : set(context, OPTIONS[i], path);
	}
	if (err == 0 && lam_record_is(record, 4, "userxattr"))
		err = set(context, "userxattr", NULL);
	if (err == 0 && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		err = -errno;
	if (err == 0) {
		err = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
		err = err < 0 ? -errno : err;
	}
	for (unsigned int i = 0; i < 3; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
	}
	if (context >= 0)
		close(context);
	return err;
}

void lam_union_mount(const struct lam_plan *plan)
{
	const struct lam_record *record = lam_plan_first(plan, LAM_OP_UNION);
	int tree, target;

	if (!record)
		return;
	if (record->count < 4)
		lam_fail(LAM_FAILED, EINVAL, "union");
	tree = make(record);
	if (tree < 0)
		lam_lack("union", -tree, "mount kernel overlayfs");
	target = open_directory(record->arg[3]);
	if (target < 0 || syscall(SYS_move_mount, tree, "", target, "",
				  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		lam_lack("union", target < 0 ? -target : errno, "mount kernel overlayfs on %s",
			 record->arg[3]);
	close(target);
	close(tree);
}
