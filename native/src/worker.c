/* SPDX-License-Identifier: MIT */
/* worker - see worker.h */
#include <errno.h>

#include "channel.h"
#include "dispatch.h"
#include "keeper.h"
#include "follow.h"
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

static void serve(struct lam_server *srv, struct lam_worker *worker)
{
	struct lam_follow follow;
	bool starves = false;
	int err = 0;

	lam_follow_begin(&follow, &srv->watch, srv->config.follow != LAM_OFF, atomic_load(&srv->quiet_until));
	while (!starves && !atomic_load_explicit(&srv->stopping, memory_order_relaxed)) {
		err = lam_channel_read(srv->fd, worker->in);
		if (err == -EINTR)
			continue;
		if (err)
			break;
		starves = lam_follow_request(&follow, ((const struct fuse_in_header *)worker->in->data)->pid);
		if (lam_watch_wants_arming(&srv->watch))
			lam_keeper_want(srv->keeper, LAM_KEEP_WATCH);
		lam_dispatch(worker);
	}
	lam_follow_end(&follow);
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
	return NULL;
}
