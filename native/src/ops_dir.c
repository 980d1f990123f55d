/* SPDX-License-Identifier: MIT */
/*
 * ops_dir - directory listings
 *
 * The core fills through a callback that only copies.  Listings with attributes carry a lookup
 * for each entry; if the kernel refuses the reply all of them are taken back.
 */
#include <errno.h>
#include <string.h>

#include "backing.h"
#include "ops.h"

struct listing {
	const struct lam_server *srv;
	unsigned char *buf;
	size_t size;
	size_t used;
};

static size_t head_room(bool plus)
{
	return plus ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent);
}

static void put_dirent(const struct lam_dirinfo *info, unsigned char *at)
{
	struct fuse_dirent ent = {
		.ino = info->ino,
		.off = info->cookie,
		.namelen = info->namelen,
		.type = info->type,
	};

	memcpy(at, &ent, sizeof(ent));
	memcpy(at + sizeof(ent), info->name, info->namelen);
}

/* Where the next entry goes, with the padding cleared; NULL if it does not fit. */
static unsigned char *reserve(struct listing *list, size_t head, uint32_t namelen)
{
	size_t need = FUSE_DIRENT_ALIGN(head + namelen);
	unsigned char *at = list->buf + list->used;

	if (need > list->size - list->used)
		return NULL;
	memset(at + need - 8, 0, 8);
	list->used += need;
	return at;
}

static int fill(void *arg, const struct lam_dirinfo *info)
{
	unsigned char *at = reserve(arg, head_room(false), info->namelen);

	if (!at)
		return 1;
	put_dirent(info, at);
	return 0;
}

static int fill_plus(void *arg, const struct lam_dirinfo *info)
{
	struct listing *list = arg;
	unsigned char *at = reserve(list, head_room(true), info->namelen);
	struct fuse_entry_out entry = { .nodeid = 0 };

	if (!at)
		return 1;
	if (info->entry)
		lam_fill_entry(list->srv, info->entry, &entry);
	memcpy(at, &entry, sizeof(entry));
	put_dirent(info, at + sizeof(entry));
	return 0;
}

static void take_back(struct lam_req *req, const struct listing *list)
{
	size_t pos = 0;

	while (list->used - pos >= sizeof(struct fuse_direntplus)) {
		const struct fuse_direntplus *ent = (const void *)(list->buf + pos);
		uint64_t nodeid = ent->entry_out.nodeid;

		if (nodeid) {
			lam_backing_forget(req->srv->backing, nodeid, 1);
			lam_forget(req->core, lam_backing_real(nodeid), 1);
		}
		pos += FUSE_DIRENT_ALIGN(sizeof(*ent) + ent->namelen);
	}
}

static int list_dir(struct lam_req *req, bool plus)
{
	const struct fuse_read_in *in = req->in;
	struct lam_worker *worker = req->worker;
	struct listing list = {
		.srv = req->srv,
		.buf = worker->out,
		.size = in->size < worker->out_size ? in->size : worker->out_size,
	};
	int err = lam_readdir(req->core, &req->caller, req->nodeid, in->offset, plus, plus ? fill_plus : fill,
			      &list);

	if (err && plus)
		take_back(req, &list);
	if (err)
		return err;
	if (lam_reply(req, list.buf, list.used) && plus)
		take_back(req, &list);
	return 0;
}

int lam_op_readdir(struct lam_req *req)
{
	return list_dir(req, false);
}

int lam_op_readdirplus(struct lam_req *req)
{
	return list_dir(req, true);
}
