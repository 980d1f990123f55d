/* SPDX-License-Identifier: MIT */
#include "fill.h"

#include "place.h"
#include "refuse.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int attach(int tree, int target)
{
	const unsigned int flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
	int err = syscall(SYS_move_mount, tree, "", target, "", flags) < 0 ? -errno : 0;

	close(tree);
	close(target);
	return err;
}

/* Hand one mount option to the file system context. */
static int configure(int context, char *option)
{
	char *value = strchr(option, '=');
	long rc;

	if (value)
		*value++ = '\0';
	rc = syscall(SYS_fsconfig, context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value,
		     0);
	return rc < 0 ? -errno : 0;
}

static int make(const struct lam_record *record)
{
	const char *type = record->arg[0], *source = record->arg[1];
	char *options = strdup(record->count > 4 ? record->arg[4] : ""), *save = NULL;
	int tree = -ENOMEM, context = -1;

	if (!options)
		goto out;
	context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	if (context < 0) {
		tree = -errno;
		goto out;
	}
	tree = source[0] && syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", source, 0) < 0
		       ? -errno
		       : 0;
	for (char *option = strtok_r(options, ",", &save); option && tree == 0;
	     option = strtok_r(NULL, ",", &save))
		tree = configure(context, option);
	if (tree == 0 && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		tree = -errno;
	if (tree == 0) {
		unsigned int attributes = (unsigned int)lam_record_number(record, 3, 0);

		tree = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
		if (tree < 0)
			tree = -errno;
	}
out:
	if (context >= 0)
		close(context);
	free(options);
	return tree;
}

static void mount_new(const struct lam_record *record, int root)
{
	int tree = make(record), target, err;

	if (tree < 0)
		lam_fail(LAM_FAILED, -tree, "mount %s on %s", record->arg[0], record->arg[2]);
	lam_refuse_link(root, record->arg[2]);
	target = lam_place_directory(root, record->arg[2]);
	if (target < 0)
		lam_fail(LAM_FAILED, -target, "mount point %s", record->arg[2]);
	lam_refuse_inside_proc(tree, target, record->arg[2]);
	err = attach(tree, target);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "mount %s on %s", record->arg[0], record->arg[2]);
}

static int clone_tree(int dir, const char *path, bool recursive)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	int tree = (int)syscall(SYS_open_tree, dir, path, flags | (recursive ? AT_RECURSIVE : 0));

	return tree < 0 ? -errno : tree;
}

static int set_attributes(int tree, uint64_t attributes, uint64_t propagation, bool recursive)
{
	struct mount_attr attr = { .attr_set = attributes, .propagation = propagation };
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	if (!attributes && !propagation)
		return 0;
	return syscall(SYS_mount_setattr, tree, "", flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* The kind of the source decides what the mount point is made as. */
static int target_for(int tree, int root, const char *path)
{
	struct stat st;

	if (fstat(tree, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? lam_place_directory(root, path) : lam_place_file(root, path);
}

/* What is below a directory, links resolved within it: others may write there. */
static int clone_below(const char *top, const char *path, bool recursive)
{
	int dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, tree;

	if (dir < 0)
		return -errno;
	fd = lam_place_open_as(dir, path, O_PATH);
	close(dir);
	if (fd < 0)
		return fd;
	tree = clone_tree(fd, "", recursive);
	close(fd);
	return tree;
}

static void bind_path(const struct lam_record *record, int root)
{
	const char *source = record->arg[0], *path = record->arg[1];
	bool recursive = lam_record_is(record, 3, "rec");
	const char *below = record->count > 5 ? record->arg[5] : "";
	int tree, target, err;

	tree = *below ? clone_below(source, below, recursive) : clone_tree(AT_FDCWD, source, recursive);
	if (tree < 0)
		lam_fail(LAM_FAILED, -tree, "bind mount of %s%s%s", source, *below ? "/" : "", below);
	err = set_attributes(tree, lam_record_number(record, 2, 0), lam_record_number(record, 4, 0),
			     recursive);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "bind mount of %s: its flags", source);
	lam_refuse_link(root, path);
	target = target_for(tree, root, path);
	if (target < 0)
		lam_fail(LAM_FAILED, -target, "mount point %s", path);
	lam_refuse_inside_proc(tree, target, path);
	err = attach(tree, target);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "bind mount of %s on %s", source, path);
}

static void make_node(const struct lam_record *record, int root)
{
	mode_t mode = (mode_t)lam_record_number(record, 1, 8);
	dev_t device = makedev((unsigned int)lam_record_number(record, 2, 10),
			       (unsigned int)lam_record_number(record, 3, 10));
	const char *name;
	int parent = lam_place_parent(root, record->arg[0], &name);

	if (parent < 0)
		lam_fail(LAM_FAILED, -parent, "device %s", record->arg[0]);
	if ((mknodat(parent, name, mode, device) < 0 && errno != EEXIST) ||
	    fchmodat(parent, name, mode & 07777, 0) < 0)
		lam_fail(LAM_FAILED, errno, "device %s", record->arg[0]);
	close(parent);
}

static void make_link(const struct lam_record *record, int root)
{
	const char *name;
	int parent = lam_place_parent(root, record->arg[1], &name);

	if (parent < 0 || (symlinkat(record->arg[0], parent, name) < 0 && errno != EEXIST))
		lam_fail(LAM_FAILED, parent < 0 ? -parent : errno, "link %s", record->arg[1]);
	close(parent);
}

/* Hide what is there: a directory under an empty one, anything else under /dev/null. */
static void mask(const struct lam_record *record, int root)
{
	const struct lam_record empty = {
		.count = 5, .arg = { "tmpfs", "tmpfs", "", "0xf", "size=4k,mode=0555" }
	}; /* ro, nosuid, nodev, noexec */
	int target = lam_place_open(root, record->arg[0]), tree, err;
	struct stat st;

	if (target == -ENOENT || target == -ENOTDIR || target == -EACCES)
		return; /* nothing to hide */
	if (target < 0 || fstat(target, &st) < 0)
		lam_fail(LAM_FAILED, target < 0 ? -target : errno, "mask %s", record->arg[0]);
	tree = S_ISDIR(st.st_mode) ? make(&empty) : clone_tree(AT_FDCWD, "/dev/null", false);
	err = tree < 0 ? tree : attach(tree, target);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "mask %s", record->arg[0]);
}

static void make_readonly(const struct lam_record *record, int root)
{
	int target = lam_place_open(root, record->arg[0]), tree, err;

	if (target == -ENOENT || target == -ENOTDIR)
		return;
	tree = target < 0 ? target : clone_tree(target, "", true);
	if (tree < 0)
		lam_fail(LAM_FAILED, -tree, "make %s read-only", record->arg[0]);
	err = set_attributes(tree, MOUNT_ATTR_RDONLY, 0, true);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "make %s read-only", record->arg[0]);
	err = attach(tree, target);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "make %s read-only", record->arg[0]);
}

/* Through the container's own /proc, before it is made read-only. */
static void set_parameter(const struct lam_record *record, int root)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "proc/sys/%s", record->arg[0]);
	fd = lam_place_open_as(root, path, O_WRONLY);
	if (fd < 0 || write(fd, record->arg[1], record->length[1]) != (ssize_t)record->length[1])
		lam_fail(LAM_FAILED, fd < 0 ? -fd : errno, "kernel parameter %s", record->arg[0]);
	close(fd);
}

/* A link at the target is replaced, never written through: it may be the image's way to lead astray. */
static void copy_file(const struct lam_record *record, int root)
{
	int source = open(record->arg[0], O_RDONLY | O_CLOEXEC), parent, target = -1;
	const char *name;
	struct stat st;
	ssize_t n = 0;

	if (source < 0 || fstat(source, &st) < 0)
		lam_fail(LAM_FAILED, errno, "copy %s", record->arg[0]);
	parent = lam_place_parent(root, record->arg[1], &name);
	if (parent < 0)
		lam_fail(LAM_FAILED, -parent, "copy to %s", record->arg[1]);
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		target = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (target < 0)
		lam_fail(LAM_FAILED, errno, "copy to %s", record->arg[1]);
	for (off_t at = 0; at < st.st_size; at += n) {
		n = sendfile(target, source, NULL, (size_t)(st.st_size - at));
		if (n <= 0)
			lam_fail(LAM_FAILED, n < 0 ? errno : EIO, "copy to %s", record->arg[1]);
	}
	close(target);
	close(parent);
	close(source);
}

void lam_fill(const struct lam_plan *plan, int root)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct lam_record *record = &plan->records[i];

		switch (record->op) {
		case LAM_OP_MOUNT:
			mount_new(record, root);
			break;
		case LAM_OP_BIND:
			bind_path(record, root);
			break;
		case LAM_OP_NODE:
			make_node(record, root);
			break;
		case LAM_OP_SYMLINK:
			make_link(record, root);
			break;
		case LAM_OP_SYSCTL:
			set_parameter(record, root);
			break;
		case LAM_OP_MASK:
			mask(record, root);
			break;
		case LAM_OP_READONLY:
			make_readonly(record, root);
			break;
		case LAM_OP_COPY:
			copy_file(record, root);
			break;
		default:
			break;
		}
	}
}

int lam_root_open(const struct lam_plan *plan)
{
	const struct lam_record *record = lam_plan_first(plan, LAM_OP_ROOT);
	int tree, target, err;

	if (!record)
		return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (lam_record_is(record, 1, "chroot") || lam_record_is(record, 1, "aside")) {
		target = open(record->arg[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (target < 0)
			lam_fail(LAM_FAILED, errno, "root %s", record->arg[0]);
		return target;
	}
	tree = clone_tree(AT_FDCWD, record->arg[0], true);
	if (tree < 0)
		lam_fail(LAM_FAILED, -tree, "root %s", record->arg[0]);
	err = set_attributes(tree, lam_record_number(record, 3, 0), 0, false);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "root %s: its flags", record->arg[0]);
	target = open(record->arg[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	err = target < 0 ? -errno : attach(dup(tree), target);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "root %s", record->arg[0]);
	return tree;
}

void lam_root_enter(const struct lam_plan *plan, int root)
{
	const struct lam_record *record = lam_plan_first(plan, LAM_OP_ROOT);

	if (!record || lam_record_is(record, 1, "aside"))
		return;
	if (fchdir(root) < 0)
		lam_fail(LAM_FAILED, errno, "root %s", record->arg[0]);
	if (lam_record_is(record, 1, "chroot")) {
		if (chroot(".") < 0 || chdir("/") < 0)
			lam_fail(LAM_FAILED, errno, "chroot to %s", record->arg[0]);
		return;
	}
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		lam_fail(LAM_FAILED, errno, "pivot_root to %s", record->arg[0]);
	/* the old root lies over the new one now */
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		lam_fail(LAM_FAILED, errno, "leave the old root");
	if (lam_record_is(record, 2, "ro")) {
		int err, fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

		err = fd < 0 ? -errno : set_attributes(fd, MOUNT_ATTR_RDONLY, 0, false);
		if (err < 0)
			lam_fail(LAM_FAILED, -err, "make the root read-only");
		close(fd);
	}
}
