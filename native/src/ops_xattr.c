/* SPDX-License-Identifier: MIT */
/*
 * ops_xattr - extended attributes
 *
 * Names that are control requests ("user.lamina.") come here only when the slow path is not
 * to be had: there is nothing to get then, and nothing can be set.  Without xattrs (ENOSYS) the
 * kernel asks once and never again, before a first write for security.capability neither.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "ops.h"
#include "slow.h"

/* A size of 0 asks how long the answer would be. */
static int answer(struct lam_req *req, uint32_t size, ssize_t n)
{
	struct fuse_getxattr_out out = { .size = (uint32_t)n };

	if (n < 0)
		return (int)n;
	if (size == 0)
		lam_reply(req, &out, sizeof(out));
	else
		lam_reply(req, req->worker->out, (size_t)n);
	return 0;
}

int lam_op_getxattr(struct lam_req *req)
{
	const struct fuse_getxattr_in *in = req->in;
	size_t room = in->size < req->worker->out_size ? in->size : req->worker->out_size;
	const char *name;
	int err = lam_req_string(req, &name);

	if (lam_core_noxattr(req->core))
		return -ENOSYS;
	if (err)
		return err;
	if (lam_slow_is_control(name))
		return -ENODATA;
	return answer(req, in->size, lam_getxattr(req->core, req->nodeid, name, req->worker->out, room));
}

int lam_op_listxattr(struct lam_req *req)
{
	const struct fuse_getxattr_in *in = req->in;
	size_t room = in->size < req->worker->out_size ? in->size : req->worker->out_size;

	if (lam_core_noxattr(req->core))
		return -ENOSYS;
	return answer(req, in->size,
		      lam_listxattr(req->core, &req->caller, req->nodeid, (char *)req->worker->out, room));
}

int lam_op_setxattr(struct lam_req *req)
{
	const struct fuse_setxattr_in *in = req->in;
	bool kill_sgid = false;
	const char *name;
	int err;

	if (lam_core_noxattr(req->core))
		return -ENOSYS;
	if (req->srv->session.setxattr_ext) {
		size_t more = sizeof(*in) - FUSE_COMPAT_SETXATTR_IN_SIZE;

		if (req->left < more)
			return -EIO;
		kill_sgid = in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
		req->rest += more;
		req->left -= more;
	}
	err = lam_req_string(req, &name);
	if (err)
		return err;
	if (in->size > req->left)
		return -EIO;
	if (lam_slow_is_control(name))
		return -ENOTSUP;
	err = lam_setxattr(req->core, &req->caller, req->nodeid, name, req->rest, in->size, (int)in->flags,
			   kill_sgid);
	if (err)
		return err;
	lam_reply(req, NULL, 0);
	return 0;
}

int lam_op_removexattr(struct lam_req *req)
{
	const char *name;
	int err = lam_req_string(req, &name);

	if (lam_core_noxattr(req->core))
		return -ENOSYS;
	if (!err)
		err = lam_removexattr(req->core, &req->caller, req->nodeid, name);
	if (err)
		return err;
	lam_reply(req, NULL, 0);
	return 0;
}
