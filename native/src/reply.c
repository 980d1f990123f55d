/* SPDX-License-Identifier: MIT */
/*
 * reply - names out of requests, the core's values into replies
 *
 * Invariant: whoever hands a reference to the kernel (lookup count, handle) takes it back if
 * the kernel refuses the reply, which it does once the request was aborted.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "backing.h"
#include "channel.h"
#include "serve.h"
#include "uring.h"

int lam_req_string(struct lam_req *req, const char **text)
{
	const void *end = memchr(req->rest, 0, req->left);
	size_t size;

	if (!end)
		return -EIO;
	size = (size_t)((const unsigned char *)end - req->rest) + 1;
	*text = (const char *)req->rest;
	req->rest += size;
	req->left -= size;
	return 0;
}

int lam_req_name(struct lam_req *req, const char **name)
{
	int err = lam_req_string(req, name);
	size_t len;

	if (err)
		return err;
	len = strlen(*name);
	if (len > LAM_NAME_MAX)
		return -ENAMETOOLONG;
	if (len == 0 || memchr(*name, '/', len) || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return -EINVAL;
	return 0;
}

int lam_answer(struct lam_server *srv, uint64_t unique, int error, const void *data, size_t size)
{
	if (srv->uring && lam_uring_reply(srv->uring, unique, error, data, size))
		return 0;
	return lam_channel_reply(srv->fd, unique, error, data, size);
}

int lam_reply(const struct lam_req *req, const void *data, size_t size)
{
	return lam_answer(req->srv, req->head->unique, 0, data, size);
}

void lam_fill_attr(const struct lam_attr *attr, struct fuse_attr *out)
{
	*out = (struct fuse_attr){
		.ino = attr->ino,
		.size = attr->size,
		.blocks = attr->blocks,
		.atime = (uint64_t)attr->atime,
		.mtime = (uint64_t)attr->mtime,
		.ctime = (uint64_t)attr->ctime,
		.atimensec = attr->atimensec,
		.mtimensec = attr->mtimensec,
		.ctimensec = attr->ctimensec,
		.mode = attr->mode,
		.nlink = attr->nlink,
		.uid = attr->uid,
		.gid = attr->gid,
		.rdev = attr->rdev,
		.blksize = attr->blksize,
	};
}

/*
 * Writes clear setuid and setgid past the kernel's copy of the mode: in passthrough past us as well
 * (backing.h), else here (HANDLE_KILLPRIV_V2).  So the kernel must ask again before it trusts those
 * bits, at every use.
 */
struct lam_timeout lam_attr_timeout(const struct lam_server *srv, const struct lam_attr *attr)
{
	if (S_ISREG(attr->mode) && (attr->mode & (S_ISUID | S_ISGID)))
		return (struct lam_timeout){ .sec = 0 };
	return srv->attr_timeout;
}

/* The lookup is the kernel's from here on; the alias is counted for it. */
void lam_fill_entry(const struct lam_server *srv, const struct lam_entry *entry, struct fuse_entry_out *out)
{
	struct lam_timeout attr_timeout = lam_attr_timeout(srv, &entry->attr);

	out->nodeid = lam_backing_visible(srv->backing, entry->nodeid);
	out->generation = entry->generation;
	out->entry_valid = srv->entry_timeout.sec;
	out->entry_valid_nsec = srv->entry_timeout.nsec;
	out->attr_valid = attr_timeout.sec;
	out->attr_valid_nsec = attr_timeout.nsec;
	lam_fill_attr(&entry->attr, &out->attr);
}

int lam_reply_entry(const struct lam_req *req, const struct lam_entry *entry)
{
	struct fuse_entry_out out;
	int err;

	lam_fill_entry(req->srv, entry, &out);
	err = lam_reply(req, &out, sizeof(out));
	if (err) {
		lam_backing_forget(req->srv->backing, out.nodeid, 1);
		lam_forget(req->core, entry->nodeid, 1);
	}
	return err;
}

int lam_reply_attr(const struct lam_req *req, const struct lam_attr *attr)
{
	struct lam_timeout timeout = lam_attr_timeout(req->srv, attr);
	struct fuse_attr_out out = { .attr_valid = timeout.sec, .attr_valid_nsec = timeout.nsec };

	lam_fill_attr(attr, &out.attr);
	return lam_reply(req, &out, sizeof(out));
}
