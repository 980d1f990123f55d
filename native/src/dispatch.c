/* SPDX-License-Identifier: MIT */
/* dispatch - see dispatch.h */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "amend.h"
#include "backing.h"
#include "channel.h"
#include "dispatch.h"
#include "ops.h"
#include "pool.h"
#include "slow.h"

#define OTHER_OPCODES (FUSE_OPCODES - 1) /* where statistics count what is beyond the table */

#define POOL LAM_OP_POOL
#define SILENT LAM_OP_SILENT
#define SLOW LAM_OP_SLOW
#define CONTROL (LAM_OP_SLOW | LAM_OP_CONTROL)
#define HANDLE (LAM_OP_SLOW | LAM_OP_HANDLE)

static const struct lam_op ops[FUSE_OPCODES] = {
	[FUSE_LOOKUP] = { "lookup", lam_op_lookup, 0, SLOW },
	[FUSE_FORGET] = { "forget", lam_op_forget, sizeof(struct fuse_forget_in), SILENT },
	[FUSE_GETATTR] = { "getattr", lam_op_getattr, sizeof(struct fuse_getattr_in), SLOW },
	[FUSE_SETATTR] = { "setattr", lam_op_setattr, sizeof(struct fuse_setattr_in), SLOW },
	[FUSE_READLINK] = { "readlink", lam_op_readlink, 0, SLOW },
	[FUSE_SYMLINK] = { "symlink", lam_op_symlink, 0, SLOW },
	[FUSE_MKNOD] = { "mknod", lam_op_mknod, sizeof(struct fuse_mknod_in), SLOW },
	[FUSE_MKDIR] = { "mkdir", lam_op_mkdir, sizeof(struct fuse_mkdir_in), SLOW },
	[FUSE_UNLINK] = { "unlink", lam_op_unlink, 0, SLOW },
	[FUSE_RMDIR] = { "rmdir", lam_op_rmdir, 0, SLOW },
	[FUSE_RENAME] = { "rename", lam_op_rename, sizeof(struct fuse_rename_in), SLOW },
	[FUSE_LINK] = { "link", lam_op_link, sizeof(struct fuse_link_in), SLOW },
	[FUSE_OPEN] = { "open", lam_op_open, sizeof(struct fuse_open_in), SLOW },
	[FUSE_READ] = { "read", lam_op_read, sizeof(struct fuse_read_in), HANDLE },
	[FUSE_WRITE] = { "write", lam_op_write, sizeof(struct fuse_write_in), HANDLE },
	[FUSE_STATFS] = { "statfs", lam_op_statfs, 0, SLOW },
	[FUSE_RELEASE] = { "release", lam_op_release, sizeof(struct fuse_release_in), HANDLE },
	[FUSE_FSYNC] = { "fsync", lam_op_fsync, sizeof(struct fuse_fsync_in), HANDLE | POOL },
	[FUSE_SETXATTR] = { "setxattr", lam_op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, CONTROL },
	[FUSE_GETXATTR] = { "getxattr", lam_op_getxattr, sizeof(struct fuse_getxattr_in), CONTROL },
	[FUSE_LISTXATTR] = { "listxattr", lam_op_listxattr, sizeof(struct fuse_getxattr_in), SLOW },
	[FUSE_REMOVEXATTR] = { "removexattr", lam_op_removexattr, 0, SLOW },
	[FUSE_FLUSH] = { "flush", lam_op_flush, sizeof(uint64_t), HANDLE },
	[FUSE_INIT] = { "init", lam_op_init, FUSE_COMPAT_INIT_IN_SIZE, 0 },
	[FUSE_OPENDIR] = { "opendir", NULL, 0, SLOW },
	[FUSE_READDIR] = { "readdir", lam_op_readdir, sizeof(struct fuse_read_in), SLOW },
	[FUSE_RELEASEDIR] = { "releasedir", lam_op_releasedir, 0, SLOW },
	[FUSE_FSYNCDIR] = { "fsyncdir", lam_op_fsync, sizeof(struct fuse_fsync_in), SLOW | POOL },
	[FUSE_ACCESS] = { "access", NULL, 0, SLOW },
	[FUSE_CREATE] = { "create", lam_op_create, sizeof(struct fuse_create_in), SLOW },
	[FUSE_INTERRUPT] = { "interrupt", NULL, 0, 0 }, /* ENOSYS: the kernel sends no more of them */
	[FUSE_DESTROY] = { "destroy", lam_op_destroy, 0, 0 },
	[FUSE_IOCTL] = { "ioctl", lam_op_ioctl, sizeof(struct fuse_ioctl_in), 0 },
	[FUSE_NOTIFY_REPLY] = { "notify_reply", NULL, 0, SILENT },
	[FUSE_BATCH_FORGET] = { "batch_forget", lam_op_batch_forget, sizeof(struct fuse_batch_forget_in),
				SILENT },
	[FUSE_FALLOCATE] = { "fallocate", lam_op_fallocate, sizeof(struct fuse_fallocate_in), POOL },
	[FUSE_READDIRPLUS] = { "readdirplus", lam_op_readdirplus, sizeof(struct fuse_read_in), SLOW },
	[FUSE_RENAME2] = { "rename2", lam_op_rename2, sizeof(struct fuse_rename2_in), SLOW },
	[FUSE_LSEEK] = { "lseek", lam_op_lseek, sizeof(struct fuse_lseek_in), 0 },
	[FUSE_COPY_FILE_RANGE] = { "copy_file_range", lam_op_copy_file_range,
				   sizeof(struct fuse_copy_file_range_in), 0 },
	[FUSE_SYNCFS] = { "syncfs", lam_op_syncfs, 0, POOL },
	[FUSE_TMPFILE] = { "tmpfile", lam_op_tmpfile, sizeof(struct fuse_create_in), 0 },
	[FUSE_STATX] = { "statx", lam_op_statx, sizeof(struct fuse_statx_in), 0 },
	[FUSE_COPY_FILE_RANGE_64] = { "copy_file_range_64", lam_op_copy_file_range_64,
				      sizeof(struct fuse_copy_file_range_in), 0 },
};

const struct lam_op *lam_op(uint32_t opcode)
{
	return &ops[opcode < FUSE_OPCODES ? opcode : OTHER_OPCODES];
}

/* ---- forward= ---- */

#define BIT(opcode) (1ull << (opcode))

/* pyfuse3's handlers get a handle and nothing else: who reads must have opened. */
static uint64_t with_openers(uint64_t bits)
{
	uint64_t file = BIT(FUSE_OPEN) | BIT(FUSE_CREATE) | BIT(FUSE_RELEASE);
	uint64_t dir = BIT(FUSE_OPENDIR) | BIT(FUSE_RELEASEDIR);

	if (bits & (file | BIT(FUSE_READ) | BIT(FUSE_WRITE) | BIT(FUSE_FLUSH) | BIT(FUSE_FSYNC)))
		bits |= file;
	if (bits & (dir | BIT(FUSE_READDIR) | BIT(FUSE_READDIRPLUS) | BIT(FUSE_FSYNCDIR)))
		bits |= dir;
	return bits;
}

static uint64_t bits_of(const char *name, size_t len)
{
	bool all = len == 3 && !memcmp(name, "all", 3);
	uint64_t bits = 0;

	for (uint32_t i = 0; i < FUSE_OPCODES; i++) {
		if (!ops[i].name || !(ops[i].flags & LAM_OP_SLOW))
			continue;
		if (all || (strlen(ops[i].name) == len && !memcmp(ops[i].name, name, len)))
			bits |= BIT(i);
	}
	return bits;
}

int lam_op_parse(const char *names, uint64_t *bits)
{
	*bits = 0;
	while (*names) {
		size_t len = strcspn(names, ",");
		uint64_t found = bits_of(names, len);

		if (len && !found)
			return -EINVAL;
		*bits |= found;
		names += len;
		names += *names == ',';
	}
	*bits = with_openers(*bits);
	return 0;
}

/* ---- a request ---- */

static bool asks_control(const struct lam_req *req)
{
	size_t skip = 0;

	if (lam_core_noxattr(req->core))
		return false;
	if (req->head->opcode == FUSE_SETXATTR && req->srv->session.setxattr_ext)
		skip = sizeof(struct fuse_setxattr_in) - FUSE_COMPAT_SETXATTR_IN_SIZE;
	if (req->left <= skip || !memchr(req->rest + skip, 0, req->left - skip))
		return false;
	return lam_slow_is_control((const char *)req->rest + skip);
}

static bool is_for_slow(const struct lam_req *req, const struct lam_op *op)
{
	struct lam_slow *slow = req->srv->slow;

	if (!(op->flags & LAM_OP_SLOW) || lam_slow_failed(slow))
		return false;
	if ((op->flags & LAM_OP_CONTROL) && asks_control(req))
		return lam_slow_fits(slow, req);
	if (!(req->srv->forward & BIT(req->head->opcode)) || !lam_slow_fits(slow, req))
		return false;
	if (lam_amend_must_stay(req))
		return false;
	return !(op->flags & LAM_OP_HANDLE) || !lam_slow_owns_handle(slow, *(const uint64_t *)req->in);
}

static int to_pool(struct lam_worker *worker)
{
	struct lam_buf *buf = lam_buf_take(&worker->in);

	if (!buf)
		return -ENOMEM;
	atomic_fetch_add_explicit(&worker->srv->pooled, 1, memory_order_relaxed);
	lam_pool_submit(worker->srv->pool, buf);
	return 0;
}

/* 0 if answered or handed on. */
static int handle(struct lam_req *req, const struct lam_op *op)
{
	struct lam_worker *worker = req->worker;
	int err = -EPIPE;

	if (is_for_slow(req, op))
		err = lam_slow_send(req->srv->slow, req);
	if (err == 0)
		atomic_fetch_add_explicit(&req->srv->forwarded, 1, memory_order_relaxed);
	if (err == 0)
		return 0;
	if (err != -LAM_EAGAIN && (worker->may_block || !(op->flags & LAM_OP_POOL)))
		err = op->handler ? op->handler(req) : -ENOSYS;
	else
		err = -LAM_EAGAIN;
	if (err == -LAM_EAGAIN && !worker->may_block)
		err = to_pool(worker);
	return err;
}

/* Lengths, before anybody looks further. */
static int open_req(struct lam_worker *worker, struct lam_req *req, const struct lam_op *op)
{
	const struct lam_buf *buf = worker->in;
	const struct fuse_in_header *head = (const void *)buf->data;
	size_t ext = (size_t)head->total_extlen * 8, args;

	*req = (struct lam_req){
		.srv = worker->srv,
		.core = worker->srv->core,
		.worker = worker,
		.head = head,
		.nodeid = lam_backing_real(head->nodeid),
		.caller = { .uid = head->uid,
			    .gid = head->gid,
			    .pid = head->pid,
			    .flags = worker->may_block ? LAM_CALLER_MAY_BLOCK : 0 },
	};
	if (head->len != buf->len || ext > buf->len - sizeof(*head))
		return -EIO;
	args = buf->len - sizeof(*head) - ext;
	if (args < op->size)
		return -EIO;
	req->in = head + 1;
	req->rest = (const unsigned char *)(head + 1) + op->size;
	req->left = args - op->size;
	if (!worker->srv->session.ready && head->opcode != FUSE_INIT)
		return -EIO;
	return worker->out ? 0 : -ENOMEM;
}

static void count(struct lam_server *srv, uint32_t opcode)
{
	uint32_t at = opcode < OTHER_OPCODES ? opcode : OTHER_OPCODES;

	atomic_fetch_add_explicit(&srv->requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&srv->by_opcode[at], 1, memory_order_relaxed);
}

/* After the fact, when the request may belong to another thread: hence the header's copy. */
static void trace(const struct lam_worker *worker, const struct fuse_in_header *head, int err)
{
	const char *name = lam_op(head->opcode)->name;

	fprintf(stderr, "%s %s opcode %u unique %llu nodeid %llu pid %u: %d\n",
		worker->may_block ? "pool" : "hot", name ? name : "?", head->opcode,
		(unsigned long long)head->unique, (unsigned long long)head->nodeid, head->pid, err);
}

void lam_dispatch(struct lam_worker *worker)
{
	struct fuse_in_header head;
	const struct lam_op *op;
	struct lam_req req;
	int err;

	if (worker->in->len < sizeof(head))
		return; /* not even a number to answer to */
	memcpy(&head, worker->in->data, sizeof(head));
	op = lam_op(head.opcode);
	if (!worker->may_block)
		count(worker->srv, head.opcode);
	err = open_req(worker, &req, op);
	if (!err)
		err = handle(&req, op);
	if (worker->srv->config.debug)
		trace(worker, &head, err);
	if (err && !(op->flags & LAM_OP_SILENT))
		lam_answer(worker->srv, head.unique, err, NULL, 0);
}
