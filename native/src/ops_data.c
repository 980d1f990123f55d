/* SPDX-License-Identifier: MIT */
/*
 * ops_data - file contents
 *
 * Reads on the hot thread take only what the page cache has and go to the pool for the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lamina/contents.h>

#include "backing.h"
#include "ops.h"

#define COPY_SMALL (64 << 10)	   /* bytes that are copied sooner than a thread is woken */
#define COPY_REPLY_MAX 0x7ffff000u /* what fits a struct fuse_write_out, a page's multiple */

/* By reference, if there is much of it. */
static bool is_lent(struct lam_req *req, const struct lam_data *data, size_t size, uint64_t offset)
{
	struct lam_worker *worker = req->worker;
	struct lam_extent piece;

	if (size < LAM_PIPE_LEAST || !req->srv->splices || !lam_data_piece(data, size, offset, &piece) ||
	    piece.length < LAM_PIPE_LEAST)
		return false;
	return lam_pipe_reply(&worker->pipe, req->srv->fd, req->head->unique, piece.fd, piece.offset,
			      piece.length, worker->may_block) == 0;
}

int lam_op_read(struct lam_req *req)
{
	const struct fuse_read_in *in = req->in;
	struct lam_worker *worker = req->worker;
	size_t size = in->size < worker->out_size ? in->size : worker->out_size;
	struct lam_data data;
	ssize_t n = 0;
	bool lent;
	int err;

	if (in->offset > INT64_MAX - size)
		return -EINVAL;
	err = lam_data_get(req->core, &req->caller, req->nodeid, in->fh, LAM_FOR_READ, &data);
	if (err)
		return err;
	lent = is_lent(req, &data, size, in->offset);
	if (!lent)
		n = lam_data_read(&data, worker->out, size, in->offset, worker->may_block);
	lam_data_put(req->core, &data);
	if (!lent && n >= 0)
		lam_reply(req, worker->out, (size_t)n);
	return n < 0 ? (int)n : 0;
}

int lam_op_write(struct lam_req *req)
{
	const struct fuse_write_in *in = req->in;
	struct fuse_write_out out = { .size = 0 };
	int err = 0;
	ssize_t n;

	if (in->size > req->left)
		return -EIO;
	n = lam_write(req->core, &req->caller, req->nodeid, in->fh, req->rest, in->size, in->offset,
		      in->write_flags & FUSE_WRITE_KILL_SUIDGID);
	if (n > 0 && in->fh == LAM_DIRECT_FH)
		err = lam_drop_capability(req->core, req->nodeid);
	if (n < 0 || err)
		return n < 0 ? (int)n : err;
	out.size = (uint32_t)n;
	lam_reply(req, &out, sizeof(out));
	return 0;
}

static int done(struct lam_req *req, int err)
{
	if (err)
		return err;
	lam_reply(req, NULL, 0);
	return 0;
}

/* Of files and of directories alike; the latter have no handle. */
int lam_op_fsync(struct lam_req *req)
{
	const struct fuse_fsync_in *in = req->in;

	return done(req, lam_fsync(req->core, req->nodeid, in->fh, in->fsync_flags & FUSE_FSYNC_FDATASYNC));
}

int lam_op_fallocate(struct lam_req *req)
{
	const struct fuse_fallocate_in *in = req->in;

	return done(req, lam_fallocate(req->core, &req->caller, req->nodeid, in->fh, (int)in->mode,
				       in->offset, in->length));
}

int lam_op_lseek(struct lam_req *req)
{
	const struct fuse_lseek_in *in = req->in;
	struct fuse_lseek_out out;
	int64_t at = lam_lseek(req->core, req->nodeid, in->fh, (int64_t)in->offset, (int)in->whence);

	if (at < 0)
		return (int)at;
	out.offset = (uint64_t)at;
	lam_reply(req, &out, sizeof(out));
	return 0;
}

/* A copy on the hot thread keeps all others waiting: a small one, or of a file that is small. */
static bool is_small(struct lam_req *req)
{
	const struct fuse_copy_file_range_in *in = req->in;
	struct lam_data data;
	struct stat st;
	bool small;

	if (in->len <= COPY_SMALL)
		return true;
	if (lam_data_get(req->core, &req->caller, req->nodeid, in->fh_in, LAM_FOR_READ, &data))
		return false;
	small = data.fd >= 0 && fstat(data.fd, &st) == 0 && st.st_size <= COPY_SMALL;
	lam_data_put(req->core, &data);
	return small;
}

static ssize_t copy_range(struct lam_req *req, uint64_t max)
{
	const struct fuse_copy_file_range_in *in = req->in;
	size_t length = in->len < max ? in->len : max;

	if (!req->worker->may_block && !is_small(req))
		return -LAM_EAGAIN;

	return lam_copy_file_range(req->core, &req->caller, req->nodeid, in->fh_in, in->off_in,
				   lam_backing_real(in->nodeid_out), in->fh_out, in->off_out, length);
}

int lam_op_copy_file_range(struct lam_req *req)
{
	struct fuse_write_out out = { .size = 0 };
	ssize_t n = copy_range(req, COPY_REPLY_MAX);

	if (n < 0)
		return (int)n;
	out.size = (uint32_t)n;
	lam_reply(req, &out, sizeof(out));
	return 0;
}

int lam_op_copy_file_range_64(struct lam_req *req)
{
	struct fuse_copy_file_range_out out;
	ssize_t n = copy_range(req, INT64_MAX);

	if (n < 0)
		return (int)n;
	out.bytes_copied = (uint64_t)n;
	lam_reply(req, &out, sizeof(out));
	return 0;
}

int lam_op_syncfs(struct lam_req *req)
{
	return done(req, lam_syncfs(req->core));
}
