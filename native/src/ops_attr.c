/* SPDX-License-Identifier: MIT */
/* ops_attr - what is known of a node, and the file system's own numbers */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ops.h"

#define IOCTL_MAX 64 /* struct fsxattr, the largest that the core knows, has 28 bytes */

int lam_op_getattr(struct lam_req *req)
{
	const struct fuse_getattr_in *in = req->in;
	uint64_t fh = in->getattr_flags & FUSE_GETATTR_FH ? in->fh : 0;
	struct lam_attr attr;
	int err = lam_getattr(req->core, req->nodeid, fh, &attr);

	if (err)
		return err;
	lam_reply_attr(req, &attr);
	return 0;
}

static struct fuse_sx_time sx_time(int64_t sec, uint32_t nsec)
{
	return (struct fuse_sx_time){ .tv_sec = sec, .tv_nsec = nsec };
}

static void fill_statx(const struct lam_statx *from, struct fuse_statx *to)
{
	const struct lam_attr *attr = &from->attr;

	*to = (struct fuse_statx){
		.mask = STATX_BASIC_STATS | (from->has_btime ? STATX_BTIME : 0),
		.blksize = attr->blksize,
		.attributes = from->attributes,
		.attributes_mask = from->attributes_mask,
		.nlink = attr->nlink,
		.uid = attr->uid,
		.gid = attr->gid,
		.mode = (uint16_t)attr->mode,
		.ino = attr->ino,
		.size = attr->size,
		.blocks = attr->blocks,
		.atime = sx_time(attr->atime, attr->atimensec),
		.mtime = sx_time(attr->mtime, attr->mtimensec),
		.ctime = sx_time(attr->ctime, attr->ctimensec),
		.btime = sx_time(from->btime, from->btimensec),
		.rdev_major = (attr->rdev >> 8) & 0xfff, /* new_encode_dev() */
		.rdev_minor = (attr->rdev & 0xff) | ((attr->rdev >> 12) & 0xfff00),
	};
}

int lam_op_statx(struct lam_req *req)
{
	const struct fuse_statx_in *in = req->in;
	uint64_t fh = in->getattr_flags & FUSE_GETATTR_FH ? in->fh : 0;
	struct fuse_statx_out out = { .flags = 0 };
	struct lam_timeout timeout;
	struct lam_statx statx;
	int err = lam_statx(req->core, req->nodeid, fh, &statx);

	if (err)
		return err;
	timeout = lam_attr_timeout(req->srv, &statx.attr);
	out.attr_valid = timeout.sec;
	out.attr_valid_nsec = timeout.nsec;
	fill_statx(&statx, &out.stat);
	lam_reply(req, &out, sizeof(out));
	return 0;
}

/* FATTR_CTIME is left out: the core's layers set ctime themselves. */
static uint32_t set_bits(uint32_t valid)
{
	static const struct {
		uint32_t wire, core;
	} bits[] = {
		{ FATTR_MODE, LAM_SET_MODE },
		{ FATTR_UID, LAM_SET_UID },
		{ FATTR_GID, LAM_SET_GID },
		{ FATTR_SIZE, LAM_SET_SIZE },
		{ FATTR_ATIME, LAM_SET_ATIME },
		{ FATTR_MTIME, LAM_SET_MTIME },
		{ FATTR_ATIME_NOW, LAM_SET_ATIME_NOW },
		{ FATTR_MTIME_NOW, LAM_SET_MTIME_NOW },
		{ FATTR_KILL_SUIDGID, LAM_SET_KILL_SUIDGID },
	};
	uint32_t out = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (valid & bits[i].wire)
			out |= bits[i].core;
	return out;
}

int lam_op_setattr(struct lam_req *req)
{
	const struct fuse_setattr_in *in = req->in;
	uint64_t fh = in->valid & FATTR_FH ? in->fh : 0;
	struct lam_setattr set = {
		.valid = set_bits(in->valid),
		.mode = in->mode,
		.uid = in->uid,
		.gid = in->gid,
		.size = in->size,
		.atime = (int64_t)in->atime,
		.mtime = (int64_t)in->mtime,
		.atimensec = in->atimensec,
		.mtimensec = in->mtimensec,
	};
	struct lam_attr attr;
	int err = lam_setattr(req->core, &req->caller, req->nodeid, fh, &set, &attr);

	if (err)
		return err;
	lam_reply_attr(req, &attr);
	return 0;
}

int lam_op_statfs(struct lam_req *req)
{
	struct fuse_kstatfs out;
	struct statvfs st;
	int err = lam_statfs(req->core, req->nodeid, &st);

	if (err)
		return err;
	out = (struct fuse_kstatfs){
		.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.bsize = (uint32_t)st.f_bsize,
		.namelen = (uint32_t)st.f_namemax,
		.frsize = (uint32_t)st.f_frsize,
	};
	lam_reply(req, &out, sizeof(out));
	return 0;
}

/* The kernel has copied the argument in, and takes as many bytes back as it asked for. */
int lam_op_ioctl(struct lam_req *req)
{
	const struct fuse_ioctl_in *in = req->in;
	struct {
		struct fuse_ioctl_out head;
		unsigned char arg[IOCTL_MAX];
	} out = { .head = { .result = 0 } };
	size_t size = in->in_size > in->out_size ? in->in_size : in->out_size;
	int err;

	if (size > IOCTL_MAX)
		return -ENOTTY;
	if (in->in_size > req->left)
		return -EIO;
	memcpy(out.arg, req->rest, in->in_size);
	err = lam_ioctl(req->core, &req->caller, req->nodeid, in->fh, in->cmd, out.arg, size);
	if (err < 0)
		return err;
	lam_reply(req, &out, sizeof(out.head) + in->out_size);
	return 0;
}
