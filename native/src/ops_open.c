/* SPDX-License-Identifier: MIT */
/*
 * ops_open - open files
 *
 * Theory.  Three ways, settled at INIT: stateless (OPEN is not implemented, the kernel stops
 * asking, fh is 0 everywhere), handles (page cache in the kernel, data through us), and
 * passthrough (handles, and data past us; backing.h).
 *
 * Direct creation.  Without the writeback cache each write(2) is a WRITE anyway, and a page that
 * was not written in full is read again.  So what is created for writing alone goes past the page
 * cache (FOPEN_DIRECT_IO): one copy less, and no GETXATTR of security.capability before the first
 * write.  The kernel keeps pages that others read or mapped coherent; what it leaves to us is to
 * take that attribute away, should the file have got one since (lam_op_write()).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "backing.h"
#include "ops.h"
#include "slow.h"

#define CORE_FLAGS (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC)

/*
 * What the core's descriptor needs.  The rest was the path walk's, or is the kernel's business:
 * O_DIRECT would force our buffers' alignment on it.  With the writeback cache the kernel reads
 * pages of files open for writing only, and knows where the end is.
 */
static uint32_t core_flags(const struct lam_req *req, uint32_t flags)
{
	flags &= CORE_FLAGS;
	if (req->srv->session.writeback) {
		if ((flags & O_ACCMODE) == O_WRONLY)
			flags = (flags & ~(uint32_t)O_ACCMODE) | O_RDWR;
		flags &= ~(uint32_t)O_APPEND;
	}
	return flags;
}

/* What is written to a setuid file past the server would leave the bit. */
static int is_setid(struct lam_req *req, uint64_t nodeid, bool *setid)
{
	struct lam_attr attr;
	int err = lam_getattr(req->core, lam_backing_real(nodeid), 0, &attr);

	*setid = !err && (attr.mode & (S_ISUID | S_ISGID));
	return err;
}

static int settle_data(struct lam_req *req, uint64_t nodeid, const struct lam_data *data,
		       struct fuse_open_out *out)
{
	struct lam_server *srv = req->srv;
	bool lower = data->flags & LAM_DATA_IMMUTABLE, setid = false, suitable;
	int err = 0;

	if (!lower)
		err = is_setid(req, nodeid, &setid);
	/* Readers of a lower file have to see what is written after its copy-up. */
	suitable = data->fd >= 0 && (lower ? srv->passthrough_lower : !setid);
	if (!err)
		err = lam_backing_open(srv->backing, nodeid, data, suitable, out);
	/* Pages from before a time in passthrough may be out of date. */
	if (!err && !lower)
		out->open_flags &= ~(uint32_t)FOPEN_KEEP_CACHE;
	return err;
}

/* How the kernel is to use the handle; on failure the handle is gone. */
static int settle(struct lam_req *req, uint64_t nodeid, uint32_t flags, struct fuse_open_out *out)
{
	uint32_t purpose = (flags & O_ACCMODE) == O_RDONLY ? LAM_FOR_READ : LAM_FOR_WRITE;
	struct lam_server *srv = req->srv;
	struct lam_data data;
	int err;

	out->open_flags = FOPEN_KEEP_CACHE;
	if (!atomic_load(&srv->passthrough))
		return 0;
	err = lam_data_get(req->core, &req->caller, lam_backing_real(nodeid), out->fh, purpose, &data);
	if (!err) {
		err = settle_data(req, nodeid, &data, out);
		lam_data_put(req->core, &data);
	}
	if (err == -EPERM) {
		atomic_store(&srv->passthrough, false);
		err = 0;
	}
	if (err)
		lam_release(req->core, out->fh);
	return err;
}

static void undo(struct lam_req *req, uint64_t nodeid, uint64_t fh)
{
	if (!fh)
		return;
	lam_backing_close(req->srv->backing, nodeid);
	lam_slow_disown_handle(req->srv->slow, fh);
	lam_release(req->core, fh);
}

/* An open that truncates is a write: setuid and setgid go if the caller may not keep them. */
static int kill_suidgid(struct lam_req *req, uint64_t fh)
{
	struct lam_setattr set = { .valid = LAM_SET_KILL_SUIDGID };
	struct lam_attr attr;

	return lam_setattr(req->core, &req->caller, req->nodeid, fh, &set, &attr);
}

/*
 * Direct reads (direct_read=): what was opened this way goes on seeing what is written after a
 * copy-up, since each read comes here.  Programs and libraries are mapped: they stay in the cache.
 */
static bool is_direct_read(struct lam_req *req, uint32_t flags, uint64_t fh)
{
	const struct lam_server *srv = req->srv;
	struct lam_data data;
	struct lam_attr attr;
	bool lower;

	if (!srv->config.direct_read || (flags & O_ACCMODE) != O_RDONLY ||
	    !(srv->session.flags & FUSE_DIRECT_IO_ALLOW_MMAP))
		return false;
	if (lam_getattr(req->core, req->nodeid, fh, &attr) || attr.size < srv->config.direct_read ||
	    attr.mode & (S_IXUSR | S_IXGRP | S_IXOTH))
		return false;
	if (lam_data_get(req->core, &req->caller, req->nodeid, fh, LAM_FOR_READ, &data))
		return false;
	lower = data.flags & LAM_DATA_IMMUTABLE;
	lam_data_put(req->core, &data);
	return lower;
}

int lam_op_open(struct lam_req *req)
{
	const struct fuse_open_in *in = req->in;
	uint32_t flags = core_flags(req, in->flags);
	struct fuse_open_out out = { .fh = 0 };
	int err;

	if (req->srv->session.stateless)
		return -ENOSYS;
	err = lam_open(req->core, &req->caller, req->nodeid, flags, &out.fh);
	if (err)
		return err;
	if ((flags & O_TRUNC) && (in->open_flags & FUSE_OPEN_KILL_SUIDGID))
		err = kill_suidgid(req, out.fh);
	if (err) {
		lam_release(req->core, out.fh);
		return err;
	}
	err = settle(req, req->head->nodeid, flags, &out);
	if (err)
		return err;
	if (out.open_flags == FOPEN_KEEP_CACHE && is_direct_read(req, flags, out.fh))
		out.open_flags = FOPEN_DIRECT_IO;
	lam_slow_own_handle(req->srv->slow, out.fh);
	if (lam_reply(req, &out, sizeof(out)))
		undo(req, req->head->nodeid, out.fh);
	return 0;
}

static bool is_direct(const struct lam_req *req, uint32_t flags, uint32_t mode)
{
	return req->srv->session.direct_create && (flags & O_ACCMODE) == O_WRONLY &&
	       !(mode & (S_ISUID | S_ISGID));
}

static int reply_created(struct lam_req *req, const struct lam_entry *entry, uint32_t flags, uint64_t fh)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { .open = { .fh = fh, .open_flags = FOPEN_KEEP_CACHE } };
	int err = 0;

	lam_fill_entry(req->srv, entry, &out.entry);
	if (fh)
		err = settle(req, out.entry.nodeid, flags, &out.open);
	else if (is_direct(req, flags, entry->attr.mode))
		out.open = (struct fuse_open_out){ .fh = LAM_DIRECT_FH, .open_flags = FOPEN_DIRECT_IO };
	if (!err && lam_reply(req, &out, sizeof(out)))
		undo(req, out.entry.nodeid, fh);
	else if (!err)
		return 0;
	lam_backing_forget(req->srv->backing, out.entry.nodeid, 1);
	lam_forget(req->core, entry->nodeid, 1);
	return err;
}

/*
 * The kernel found no such name and holds the directory, so a name that exists came from
 * elsewhere.  ESTALE makes the kernel look again and open it with all its checks.
 */
int lam_op_create(struct lam_req *req)
{
	const struct fuse_create_in *in = req->in;
	uint32_t flags = core_flags(req, in->flags);
	struct lam_entry entry;
	const char *name;
	uint64_t fh = 0;
	int err = lam_req_name(req, &name);

	if (err)
		return err;
	req->caller.umask = in->umask;
	err = lam_create(req->core, &req->caller, req->nodeid, name, in->mode, flags, &entry,
			 req->srv->session.stateless ? NULL : &fh);
	if (err == -EEXIST && !(in->flags & O_EXCL))
		return -ESTALE;
	if (err)
		return err;
	return reply_created(req, &entry, flags, fh);
}

int lam_op_tmpfile(struct lam_req *req)
{
	const struct fuse_create_in *in = req->in;
	uint32_t flags = core_flags(req, in->flags);
	struct lam_entry entry;
	uint64_t fh = 0;
	int err;

	req->caller.umask = in->umask;
	err = lam_tmpfile(req->core, &req->caller, req->nodeid, in->mode, flags, &entry,
			  req->srv->session.stateless ? NULL : &fh);
	if (err)
		return err;
	if (fh)
		lam_slow_own_handle(req->srv->slow, fh);
	return reply_created(req, &entry, flags, fh);
}

/* Nothing waits here for a flush.  Where the slow path has them the kernel must go on sending. */
int lam_op_flush(struct lam_req *req)
{
	if (!(req->srv->forward & (1ull << FUSE_FLUSH)))
		return -ENOSYS;
	lam_reply(req, NULL, 0);
	return 0;
}

int lam_op_release(struct lam_req *req)
{
	const struct fuse_release_in *in = req->in;

	if (in->fh) {
		lam_backing_close(req->srv->backing, req->head->nodeid);
		lam_slow_disown_handle(req->srv->slow, in->fh);
		lam_release(req->core, in->fh);
	}
	lam_reply(req, NULL, 0);
	return 0;
}

int lam_op_releasedir(struct lam_req *req)
{
	lam_reply(req, NULL, 0);
	return 0;
}
