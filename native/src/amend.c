/* SPDX-License-Identifier: MIT */
/* amend - see amend.h */
#include <fcntl.h>

#include "amend.h"

bool lam_amend_must_stay(const struct lam_req *req)
{
	const struct fuse_open_in *open = req->in;
	const struct fuse_write_in *write = req->in;
	const struct fuse_setattr_in *setattr = req->in;
	const struct fuse_setxattr_in *setxattr = req->in;

	switch (req->head->opcode) {
	case FUSE_OPEN:
		return (open->flags & O_TRUNC) && (open->open_flags & FUSE_OPEN_KILL_SUIDGID);
	case FUSE_WRITE:
		return write->write_flags & FUSE_WRITE_KILL_SUIDGID;
	case FUSE_SETATTR:
		return setattr->valid & FATTR_KILL_SUIDGID;
	case FUSE_SETXATTR:
		return req->srv->session.setxattr_ext &&
		       req->left >= sizeof(*setxattr) - FUSE_COMPAT_SETXATTR_IN_SIZE &&
		       setxattr->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
	default:
		return false;
	}
}

enum lam_shape lam_amend_shape(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_CREATE:
		return LAM_SHAPE_ENTRY;
	case FUSE_READDIRPLUS:
		return LAM_SHAPE_LISTING;
	default:
		return LAM_SHAPE_OTHER;
	}
}

/* A node that is gone meanwhile keeps what libfuse said of it. */
static void amend_entry(const struct lam_server *srv, struct fuse_entry_out *entry)
{
	struct lam_timeout timeout;
	struct lam_attr attr;

	if (entry->nodeid == 0 || lam_getattr(srv->core, entry->nodeid, 0, &attr) < 0)
		return;
	timeout = lam_attr_timeout(srv, &attr);
	entry->attr_valid = timeout.sec;
	entry->attr_valid_nsec = timeout.nsec;
	lam_fill_attr(&attr, &entry->attr);
}

static bool is_dots(const struct fuse_direntplus *one)
{
	return one->name[0] == '.' && (one->namelen == 1 || (one->namelen == 2 && one->name[1] == '.'));
}

static void amend_listing(const struct lam_server *srv, unsigned char *data, size_t size)
{
	size_t at = 0, length;

	while (size - at >= sizeof(struct fuse_direntplus)) {
		struct fuse_direntplus *one = (void *)(data + at);

		length = FUSE_DIRENT_ALIGN(sizeof(*one) + one->namelen);
		if (length > size - at)
			return;
		if (is_dots(one)) {
			one->entry_out.nodeid = 0; /* no lookup was taken */
		} else {
			amend_entry(srv, &one->entry_out);
			one->ino = one->entry_out.attr.ino;
		}
		at += length;
	}
}

void lam_amend_reply(const struct lam_server *srv, enum lam_shape shape, void *data, size_t size)
{
	if (shape == LAM_SHAPE_ENTRY && size >= sizeof(struct fuse_entry_out))
		amend_entry(srv, data);
	if (shape == LAM_SHAPE_LISTING)
		amend_listing(srv, data, size);
}
