/* SPDX-License-Identifier: MIT */
/* layer_dir - the layer kind "directory": any directory of the host */
#include <lamina/layer.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lamina/inomap.h>
#include <lamina/sys.h>

#define SCAN_BUFFER 32768

static int dir_stat(struct lam_core *core, struct lam_ldir *dir, const char *name, struct statx *st)
{
	int fd = lam_ldir_look_at(core, dir, &name);

	return fd < 0 ? fd : lam_stat_at(fd, name, st);
}

/* The kernel's struct linux_dirent64. */
struct raw_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* Ask what getdents64 left open: the type on file systems that do not tell, and what a device or empty file is. */
static int classify(struct lam_core *core, struct lam_ldir *dir, struct lam_scan_entry *entry)
{
	struct statx st;
	int rc;

	if (entry->type != DT_UNKNOWN && entry->type != DT_CHR &&
	    !(dir->flags & LAM_LDIR_XWHITEOUTS && entry->type == DT_REG))
		return 0;
	rc = dir_stat(core, dir, entry->name, &st);
	if (rc < 0)
		return rc;
	entry->type = (uint8_t)IFTODT(st.stx_mode);
	entry->whiteout = lam_layer_whiteout(core, dir, entry->name, &st);
	return 0;
}

static int scan_block(struct lam_core *core, struct lam_ldir *dir, const char *block, long length,
		      lam_scan_fn fn, void *arg)
{
	long at = 0;
	int rc;

	while (at < length) {
		const struct raw_dirent *raw = (const struct raw_dirent *)(block + at);
		struct lam_scan_entry entry = { .name = raw->name, .type = raw->type };

		at += raw->reclen;
		entry.namelen = (uint32_t)strlen(raw->name);
		if (entry.name[0] == '.' &&
		    (entry.namelen == 1 || (entry.namelen == 2 && entry.name[1] == '.')))
			continue;
		rc = classify(core, dir, &entry);
		if (rc == -ENOENT) /* went away meanwhile */
			continue;
		if (rc == 0)
			rc = fn(arg, &entry);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int dir_scan(struct lam_core *core, struct lam_ldir *dir, lam_scan_fn fn, void *arg)
{
	char *block;
	long length;
	bool own;
	int fd, rc;

	fd = lam_ldir_list(core, dir, &own);
	if (fd < 0)
		return fd;
	block = malloc(SCAN_BUFFER);
	rc = block ? 0 : -ENOMEM;
	while (rc == 0) {
		length = syscall(SYS_getdents64, fd, block, SCAN_BUFFER);
		if (length == 0)
			break;
		if (length < 0)
			rc = -errno;
		else
			rc = scan_block(core, dir, block, length, fn, arg);
	}
	free(block);
	if (own)
		lam_close(&fd);
	return rc;
}

static ssize_t dir_readlink(struct lam_core *core, struct lam_ldir *dir, const char *name, char *buf,
			    size_t size)
{
	int fd = lam_ldir_look(core, dir);
	ssize_t length;

	if (fd < 0)
		return fd;
	length = readlinkat(fd, name, buf, size);
	return length < 0 ? -errno : length;
}

static ssize_t dir_getxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *key,
			    void *value, size_t size)
{
	int fd = lam_ldir_look_at(core, dir, &name);

	return fd < 0 ? fd : lam_getxattr_at(fd, name, key, value, size);
}

static ssize_t dir_listxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, char *list,
			     size_t size)
{
	int fd = lam_ldir_look_at(core, dir, &name);

	return fd < 0 ? fd : lam_listxattr_at(fd, name, list, size);
}

static int dir_open_data(struct lam_core *core, struct lam_ldir *dir, const char *name,
			 struct lam_contents *out)
{
	int fd = lam_ldir_look(core, dir), data;

	if (fd < 0)
		return fd;
	/* Not to be held up by a pipe that has taken the file's place. */
	data = lam_openat(fd, name, O_RDONLY | O_NONBLOCK | O_NOATIME, 0);
	if (data == -EPERM)
		data = lam_openat(fd, name, O_RDONLY | O_NONBLOCK, 0);
	*out = (struct lam_contents){ .fd = data };
	return data < 0 ? data : 0;
}

static int dir_handle(struct lam_core *core, struct lam_ldir *dir, const char *name, uint64_t dev,
		      struct lam_fh *fh)
{
	int fd = lam_ldir_look(core, dir);

	return fd < 0 ? fd : lam_fh_encode(core, fd, name, dev, fh);
}

static int dir_find(struct lam_core *core, const struct lam_layer *layer, const struct lam_fh *fh,
		    struct statx *st)
{
	int fd = lam_fh_open(fh, layer->root->fd), rc;

	(void)core;
	if (fd < 0)
		return fd;
	rc = lam_stat_at(fd, "", st);
	lam_close(&fd);
	return rc;
}

static int dir_statfs(const struct lam_layer *layer, struct statvfs *out)
{
	return fstatvfs(layer->root->fd, out) < 0 ? -errno : 0;
}

const struct lam_layer_ops lam_layer_dir_ops = {
	.stat = dir_stat,
	.scan = dir_scan,
	.readlink = dir_readlink,
	.getxattr = dir_getxattr,
	.listxattr = dir_listxattr,
	.open_data = dir_open_data,
	.handle = dir_handle,
	.find = dir_find,
	.statfs = dir_statfs,
};
