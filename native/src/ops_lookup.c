/* SPDX-License-Identifier: MIT */
/* ops_lookup - names to nodes, and back when the kernel forgets them */
#include <errno.h>

#include "backing.h"
#include "ops.h"
#include "prime.h"

int lam_op_lookup(struct lam_req *req)
{
	struct lam_timeout negative = req->srv->negative_timeout;
	struct fuse_entry_out none = { .entry_valid = negative.sec, .entry_valid_nsec = negative.nsec };
	struct lam_entry entry;
	const char *name;
	int err = lam_req_name(req, &name);

	if (err)
		return err;
	if (lam_prime_pending(req->srv) && lam_prime_is(req, name))
		return lam_prime_reply(req);
	err = lam_lookup(req->core, &req->caller, req->nodeid, name, &entry);
	if (err == -ENOENT && (negative.sec || negative.nsec)) {
		lam_reply(req, &none, sizeof(none));
		return 0;
	}
	if (err)
		return err;
	lam_reply_entry(req, &entry);
	return 0;
}

static void forget(struct lam_req *req, uint64_t nodeid, uint64_t nlookup)
{
	if (nlookup == 0)
		return;
	lam_backing_forget(req->srv->backing, nodeid, nlookup);
	lam_forget(req->core, lam_backing_real(nodeid), nlookup);
}

int lam_op_forget(struct lam_req *req)
{
	const struct fuse_forget_in *in = req->in;

	forget(req, req->head->nodeid, in->nlookup);
	return 0;
}

int lam_op_batch_forget(struct lam_req *req)
{
	const struct fuse_batch_forget_in *in = req->in;
	const struct fuse_forget_one *one = (const void *)req->rest;
	size_t had = req->left / sizeof(*one), count = in->count < had ? in->count : had;

	for (size_t i = 0; i < count; i++)
		forget(req, one[i].nodeid, one[i].nlookup);
	return 0;
}
