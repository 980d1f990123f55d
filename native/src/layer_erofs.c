/* SPDX-License-Identifier: MIT */
/* layer_erofs - see layer_erofs.h; opening is image_open.c */
#include <errno.h>
#include <dirent.h>
#include <string.h>
#include <sys/statvfs.h>

#include <lamina/inomap.h>
#include <lamina/layer.h>

#include "image.h"

#define READ_MAX (1u << 20) /* what wants more than one read request is no reader of small files */
#define MIN_BLKSIZE 4096    /* st_blksize: programs read in pieces of it */

/* A result is worth nothing if what it was made of had gone. */
static ssize_t sound(const struct lam_image *image, ssize_t rc)
{
	return lam_mapping_lost(&image->map) ? -EIO : rc;
}

/* Look up 'dir' in its parent, whose number is known.  A directory inside itself would have no end. */
static int number_dir(const struct lam_image *image, struct lam_ldir *dir)
{
	struct lam_erofs_inode parent;
	uint64_t nid;
	int rc = lam_erofs_inode(&image->fs, dir->parent->object - 1, &parent);

	if (rc == 0)
		rc = lam_erofs_lookup(&image->fs, &parent, dir->name, &nid);
	for (const struct lam_ldir *up = dir->parent; rc == 0 && up; up = up->parent)
		if (up->object == nid + 1)
			rc = -ELOOP;
	if (rc == 0)
		dir->object = nid + 1;
	return rc;
}

static int dir_inode(struct lam_ldir *dir, struct lam_erofs_inode *out)
{
	const struct lam_image *image = dir->layer->image;

	while (!dir->object) {
		struct lam_ldir *top = dir;
		int rc;

		while (!top->parent->object)
			top = top->parent;
		rc = number_dir(image, top);
		if (rc < 0)
			return rc;
	}
	return lam_erofs_inode(&image->fs, dir->object - 1, out);
}

static int find_inode(struct lam_ldir *dir, const char *name, struct lam_erofs_inode *out)
{
	const struct lam_erofs *fs = &dir->layer->image->fs;
	uint64_t nid;
	int rc = dir_inode(dir, out);

	if (rc < 0 || strcmp(name, ".") == 0)
		return rc;
	rc = lam_erofs_lookup(fs, out, name, &nid);
	return rc < 0 ? rc : lam_erofs_inode(fs, nid, out);
}

static void fill_statx(const struct lam_image *image, const struct lam_erofs_inode *inode, struct statx *st)
{
	uint32_t block = 1u << image->fs.block_bits;

	*st = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = block < MIN_BLKSIZE ? MIN_BLKSIZE : block,
		.stx_nlink = inode->nlink,
		.stx_uid = inode->uid,
		.stx_gid = inode->gid,
		.stx_mode = inode->mode,
		.stx_ino = inode->nid,
		.stx_size = inode->size,
		.stx_blocks = ((inode->size + block - 1) & ~(uint64_t)(block - 1)) >> 9,
		.stx_rdev_major = inode->rdev >> 8 & 0xfff,
		.stx_rdev_minor = (inode->rdev & 0xff) | (inode->rdev >> 12 & 0xfff00),
		.stx_dev_major = (uint32_t)(image->dev >> 32),
		.stx_dev_minor = (uint32_t)image->dev,
	};
	st->stx_mtime.tv_sec = inode->mtime;
	st->stx_mtime.tv_nsec = inode->mtime_nsec < 1000000000 ? inode->mtime_nsec : 0;
	st->stx_atime = st->stx_ctime = st->stx_mtime;
}

static int image_stat(struct lam_core *core, struct lam_ldir *dir, const char *name, struct statx *st)
{
	struct lam_erofs_inode inode;
	int rc = find_inode(dir, name, &inode);

	(void)core;
	if (rc == 0)
		fill_statx(dir->layer->image, &inode, st);
	return (int)sound(dir->layer->image, rc);
}

struct scan {
	struct lam_core *core;
	struct lam_ldir *dir;
	lam_scan_fn fn;
	void *arg;
};

static int show(void *arg, const struct lam_erofs_dirent *found)
{
	struct scan *scan = arg;
	struct lam_image *image = scan->dir->layer->image;
	struct lam_scan_entry entry = { .name = found->name, .namelen = found->namelen, .type = found->type };
	struct lam_erofs_inode inode;
	struct statx st;
	int rc;

	if (entry.type == DT_UNKNOWN || entry.type == DT_CHR ||
	    (scan->dir->flags & LAM_LDIR_XWHITEOUTS && entry.type == DT_REG)) {
		rc = lam_erofs_inode(&image->fs, found->nid, &inode);
		if (rc < 0)
			return rc;
		fill_statx(image, &inode, &st);
		entry.type = (uint8_t)IFTODT(st.stx_mode);
		entry.whiteout = lam_layer_whiteout(scan->core, scan->dir, entry.name, &st);
	}
	return scan->fn(scan->arg, &entry);
}

static int image_scan(struct lam_core *core, struct lam_ldir *dir, lam_scan_fn fn, void *arg)
{
	struct scan scan = { .core = core, .dir = dir, .fn = fn, .arg = arg };
	struct lam_erofs_inode inode;
	int rc = dir_inode(dir, &inode);

	if (rc == 0)
		rc = lam_erofs_scan(&dir->layer->image->fs, &inode, show, &scan);
	return (int)sound(dir->layer->image, rc);
}

static ssize_t image_readlink(struct lam_core *core, struct lam_ldir *dir, const char *name, char *buf,
			      size_t size)
{
	struct lam_erofs_inode inode;
	ssize_t rc = find_inode(dir, name, &inode);

	(void)core;
	if (rc == 0)
		rc = lam_erofs_readlink(&dir->layer->image->fs, &inode, buf, size);
	return sound(dir->layer->image, rc);
}

static ssize_t image_getxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *key,
			      void *value, size_t size)
{
	struct lam_erofs_inode inode;
	ssize_t rc = find_inode(dir, name, &inode);

	(void)core;
	if (rc == 0)
		rc = lam_erofs_getxattr(&dir->layer->image->fs, &inode, key, value, size);
	return sound(dir->layer->image, rc);
}

static ssize_t image_listxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, char *list,
			       size_t size)
{
	struct lam_erofs_inode inode;
	ssize_t rc = find_inode(dir, name, &inode);

	(void)core;
	if (rc == 0)
		rc = lam_erofs_listxattr(&dir->layer->image->fs, &inode, list, size);
	return sound(dir->layer->image, rc);
}

static int image_open_data(struct lam_core *core, struct lam_ldir *dir, const char *name,
			   struct lam_contents *out)
{
	struct lam_erofs_inode inode;
	int rc = find_inode(dir, name, &inode);

	(void)core;
	if (rc == 0 && !S_ISREG(inode.mode))
		rc = -ESTALE;
	if (rc == 0)
		*out = (struct lam_contents){ .fd = -1, .image = dir->layer, .object = inode.nid };
	return (int)sound(dir->layer->image, rc);
}

static int image_extent(const struct lam_layer *layer, uint64_t object, uint64_t offset, uint64_t want,
			struct lam_extent *out)
{
	const struct lam_image *image = layer->image;
	struct lam_erofs_extent piece;
	struct lam_erofs_inode inode;
	int rc = lam_erofs_inode(&image->fs, object, &inode);

	if (rc == 0)
		rc = lam_erofs_extent(&image->fs, &inode, offset, want, &piece);
	if (rc == 0)
		*out = (struct lam_extent){
			.fd = piece.hole     ? -1
			      : piece.device ? image->device_fds[piece.device - 1]
					     : image->fd,
			.offset = piece.offset,
			.length = piece.length,
		};
	if (rc == 0 && !piece.hole && piece.device && want <= READ_MAX)
		lam_readahead(&image->device_reads[piece.device - 1], out->fd, piece.offset, piece.length);
	return (int)sound(image, rc);
}

static int image_handle(struct lam_core *core, struct lam_ldir *dir, const char *name, uint64_t dev,
			struct lam_fh *fh)
{
	struct lam_erofs_inode inode;
	int rc = find_inode(dir, name, &inode);

	(void)core;
	(void)dev;
	if (rc == 0)
		lam_fh_of_image(dir->layer->image->fs.uuid, inode.nid, fh);
	return (int)sound(dir->layer->image, rc);
}

static int image_find(struct lam_core *core, const struct lam_layer *layer, const struct lam_fh *fh,
		      struct statx *st)
{
	struct lam_erofs_inode inode;
	uint64_t nid;
	int rc;

	(void)core;
	if (!lam_fh_on_image(fh, layer->image->fs.uuid, &nid))
		return -ESTALE;
	rc = lam_erofs_inode(&layer->image->fs, nid, &inode);
	if (rc == 0)
		fill_statx(layer->image, &inode, st);
	return (int)sound(layer->image, rc);
}

static int image_statfs(const struct lam_layer *layer, struct statvfs *out)
{
	const struct lam_erofs *fs = &layer->image->fs;

	*out = (struct statvfs){
		.f_bsize = 1ul << fs->block_bits,
		.f_frsize = 1ul << fs->block_bits,
		.f_blocks = fs->blocks,
		.f_files = fs->inodes,
	};
	for (uint32_t i = 0; i < fs->ndevices; i++)
		out->f_blocks += fs->devices[i].size >> fs->block_bits;
	return 0;
}

bool lam_layer_no_acl(const struct lam_layer *layer)
{
	return layer->image && layer->image->fs.no_acl;
}

static void image_close(struct lam_layer *layer)
{
	lam_image_free(layer->image);
	layer->image = NULL;
}

const struct lam_layer_ops lam_layer_erofs_ops = {
	.stat = image_stat,
	.scan = image_scan,
	.readlink = image_readlink,
	.getxattr = image_getxattr,
	.listxattr = image_listxattr,
	.open_data = image_open_data,
	.handle = image_handle,
	.find = image_find,
	.extent = image_extent,
	.statfs = image_statfs,
	.close = image_close,
};
