/* SPDX-License-Identifier: MIT */
/* ops_link - names come, go and change their place */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "backing.h"
#include "ops.h"

static int made(struct lam_req *req, int err, const struct lam_entry *entry)
{
	if (err)
		return err;
	lam_reply_entry(req, entry);
	return 0;
}

static int done(struct lam_req *req, int err)
{
	if (err)
		return err;
	lam_reply(req, NULL, 0);
	return 0;
}

int lam_op_readlink(struct lam_req *req)
{
	size_t room = req->worker->out_size < PATH_MAX ? req->worker->out_size : PATH_MAX;
	ssize_t n = lam_readlink(req->core, req->nodeid, (char *)req->worker->out, room);

	if (n < 0)
		return (int)n;
	lam_reply(req, req->worker->out, (size_t)n);
	return 0;
}

int lam_op_symlink(struct lam_req *req)
{
	struct lam_entry entry;
	const char *name, *target;
	int err = lam_req_name(req, &name);

	if (!err)
		err = lam_req_string(req, &target);
	if (!err)
		err = lam_symlink(req->core, &req->caller, req->nodeid, name, target, &entry);
	return made(req, err, &entry);
}

int lam_op_mknod(struct lam_req *req)
{
	const struct fuse_mknod_in *in = req->in;
	struct lam_entry entry;
	const char *name;
	int err = lam_req_name(req, &name);

	req->caller.umask = in->umask;
	if (!err)
		err = lam_mknod(req->core, &req->caller, req->nodeid, name, in->mode, in->rdev, &entry);
	return made(req, err, &entry);
}

int lam_op_mkdir(struct lam_req *req)
{
	const struct fuse_mkdir_in *in = req->in;
	struct lam_entry entry;
	const char *name;
	int err = lam_req_name(req, &name);

	req->caller.umask = in->umask;
	if (!err)
		err = lam_mkdir(req->core, &req->caller, req->nodeid, name, in->mode, &entry);
	return made(req, err, &entry);
}

int lam_op_unlink(struct lam_req *req)
{
	const char *name;
	int err = lam_req_name(req, &name);

	if (!err)
		err = lam_unlink(req->core, &req->caller, req->nodeid, name);
	return done(req, err);
}

int lam_op_rmdir(struct lam_req *req)
{
	const char *name;
	int err = lam_req_name(req, &name);

	if (!err)
		err = lam_rmdir(req->core, &req->caller, req->nodeid, name);
	return done(req, err);
}

static int rename_to(struct lam_req *req, uint64_t newdir, uint32_t flags)
{
	const char *oldname, *newname;
	int err = lam_req_name(req, &oldname);

	if (!err)
		err = lam_req_name(req, &newname);
	if (!err)
		err = lam_rename(req->core, &req->caller, req->nodeid, oldname, lam_backing_real(newdir),
				 newname, flags);
	return done(req, err);
}

int lam_op_rename(struct lam_req *req)
{
	const struct fuse_rename_in *in = req->in;

	return rename_to(req, in->newdir, 0);
}

int lam_op_rename2(struct lam_req *req)
{
	const struct fuse_rename2_in *in = req->in;

	return rename_to(req, in->newdir, in->flags);
}

int lam_op_link(struct lam_req *req)
{
	const struct fuse_link_in *in = req->in;
	struct lam_entry entry;
	const char *name;
	int err = lam_req_name(req, &name);

	if (!err)
		err = lam_link(req->core, &req->caller, lam_backing_real(in->oldnodeid), req->nodeid, name,
			       &entry);
	return made(req, err, &entry);
}
