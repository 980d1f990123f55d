/* SPDX-License-Identifier: MIT */
/* worker - see worker.h */
#include <errno.h>

#include "channel.h"
#include "dispatch.h"
#include "keeper.h"
#include "follow.h"
#include "uring.h"
#include "worker.h"

#define OUT_MIN (128u << 10) /* extended attributes and directory listings may be longer than max_write */

static size_t out_size(const struct lam_server *srv)
{
	return srv->config.max_write > OUT_MIN ? srv->config.max_write : OUT_MIN;
}

/* A lam_buf is as good as any for the reply: mapped, and paid for only where touched. */
void lam_worker_open(struct lam_worker *worker, struct lam_server *srv, bool may_block)
{
	struct lam_buf *out = lam_buf_new(out_size(srv));

	*worker = (struct lam_worker){ .srv = srv, .may_block = may_block };
	if (out) {
		worker->out = out->data;
		worker->out_size = out->cap;
	}
}

void lam_worker_close(struct lam_worker *worker)
{
	lam_pipe_close(&worker->pipe);
	if (worker->out)
		lam_buf_free((struct lam_buf *)(worker->out - offsetof(struct lam_buf, data)));
}

static void report(struct lam_server *srv, int err)
{
	if (err == -ENODEV) {
		lam_server_raise(srv, LAM_EVENT_UNMOUNTED);
		return;
	}
	atomic_store(&srv->failure, -err);
	lam_server_raise(srv, LAM_EVENT_FAILED);
}

static bool stops(struct lam_server *srv)
{
	return atomic_load_explicit(&srv->stopping, memory_order_relaxed);
}

/* True: this thread starves. */
static bool take(struct lam_worker *worker, struct lam_follow *follow)
{
	struct lam_server *srv = worker->srv;
	bool starves = lam_follow_request(follow, ((const struct fuse_in_header *)worker->in->data)->pid);

	if (lam_watch_wants_arming(&srv->watch))
		lam_keeper_want(srv->keeper, LAM_KEEP_WATCH);
	lam_dispatch(worker);
	return starves;
}

/* What still comes over the device beside a ring; 'error' is what the ring said. */
static int take_from_device(struct lam_worker *worker, struct lam_follow *follow, int error)
{
	int err;

	do {
		err = lam_channel_try(worker->srv->fd, worker->in);
		if (!err)
			take(worker, follow);
	} while (!err || err == -EINTR);
	return err == -EAGAIN ? error : err;
}

static int take_from_ring(struct lam_worker *worker, struct lam_follow *follow)
{
	struct lam_worker own = *worker;
	struct lam_uring_work work;
	int err = 0;

	while (!err && !stops(worker->srv) && lam_uring_next(worker->srv->uring, &work)) {
		if (!work.in) {
			err = take_from_device(worker, follow, work.error);
			own.in = worker->in; /* the pool may have taken a buffer */
			continue;
		}
		worker->in = work.in;
		if (work.out) {
			worker->out = work.out;
			worker->out_size = work.out_size;
		}
		take(worker, follow);
		*worker = own;
	}
	return err;
}

/* Never starves: it follows only where it can turn back. */
static int serve_ring(struct lam_server *srv, struct lam_worker *worker)
{
	struct lam_follow follow;
	int err = 0;

	lam_follow_begin(&follow, &srv->watch, srv->config.follow != LAM_OFF && lam_follow_can_return(), 0);
	while ((!err || err == -EINTR) && !stops(srv)) {
		err = lam_uring_wait(srv->uring);
		if (!err)
			err = take_from_ring(worker, &follow);
	}
	lam_follow_end(&follow);
	return err;
}

/* After a request: whether it was INIT, and the kernel waits for the rings. */
static bool turns_to_ring(struct lam_server *srv)
{
	int err;

	if (!srv->uring || lam_uring_serves(srv->uring) || !(srv->session.flags & FUSE_OVER_IO_URING))
		return false;
	err = lam_uring_register(srv->uring);
	lam_uring_settle(srv->uring, err);
	srv->session.flags &= err ? ~FUSE_OVER_IO_URING : ~0ull;
	return !err;
}

static void serve(struct lam_server *srv, struct lam_worker *worker)
{
	struct lam_follow follow;
	bool starves = false, ring = false;
	int err = 0;

	lam_follow_begin(&follow, &srv->watch, srv->config.follow != LAM_OFF, atomic_load(&srv->quiet_until));
	while (!starves && !ring && !stops(srv)) {
		err = lam_channel_read(srv->fd, worker->in);
		if (err == -EINTR)
			continue;
		if (err)
			break;
		starves = take(worker, &follow);
		ring = turns_to_ring(srv);
	}
	lam_follow_end(&follow);
	if (ring)
		err = serve_ring(srv, worker);
	atomic_store(&srv->quiet_until, follow.quiet_until);
	if (starves)
		lam_keeper_want(srv->keeper, LAM_KEEP_HOT);
	else if (err && err != -EINTR)
		report(srv, err);
}

void *lam_worker_hot(void *server)
{
	struct lam_server *srv = server;
	struct lam_worker worker;

	lam_worker_open(&worker, srv, false);
	worker.in = lam_buf_new(srv->config.max_write + LAM_HEADER_ROOM);
	if (worker.in && worker.out)
		serve(srv, &worker);
	else
		report(srv, -ENOMEM);
	lam_buf_free(worker.in);
	lam_worker_close(&worker);
	if (srv->uring)
		lam_uring_settle(srv->uring, -ECANCELED);
	return NULL;
}
