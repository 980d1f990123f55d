/* SPDX-License-Identifier: MIT */
/*
 * server - the life of the fast path: open, start, wait, stop
 *
 * Threads: the hot thread and the keeper from lam_server_start() to lam_server_stop(), pool
 * threads as needed.  Order of the end: the keeper (nobody starts threads any more), the hot
 * thread's requests, the pool (what is queued is still done), the hot thread itself, which over
 * io_uring carries the pool's replies.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backing.h"
#include "dispatch.h"
#include "keeper.h"
#include "pool.h"
#include "serve.h"
#include "slow.h"
#include "uring.h"

#define TIMEOUT_MAX 1e9 /* seconds, some thirty years: more overflows the kernel's jiffies */
#define PAGE 4096u

void lam_server_raise(struct lam_server *srv, enum lam_event event)
{
	uint64_t one = 1;

	atomic_fetch_or(&srv->events, 1u << event);
	if (write(srv->event_fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: the counter is full, so the waiter wakes anyway */
}

static struct lam_timeout timeout_of(double seconds)
{
	uint64_t whole;

	if (!(seconds > 0)) /* a NaN, too */
		return (struct lam_timeout){ .sec = 0 };
	if (seconds > TIMEOUT_MAX)
		seconds = TIMEOUT_MAX;
	whole = (uint64_t)seconds;
	return (struct lam_timeout){ .sec = whole, .nsec = (uint32_t)((seconds - (double)whole) * 1e9) };
}

static int configure(struct lam_server *srv, const struct lam_server_config *config)
{
	struct stat st;

	srv->fd = config->fuse_fd;
	srv->splices = fstat(srv->fd, &st) == 0 && S_ISCHR(st.st_mode) && config->io_uring != LAM_ON;
	srv->config = *config;
	srv->config.forward = NULL;
	if (srv->config.max_write == 0 || srv->config.max_write > LAM_MAX_WRITE_DEFAULT)
		srv->config.max_write = LAM_MAX_WRITE_DEFAULT;
	srv->config.max_write = (srv->config.max_write + PAGE - 1) / PAGE * PAGE;
	if (srv->config.pool_threads == 0)
		srv->config.pool_threads = LAM_POOL_DEFAULT;
	srv->entry_timeout = timeout_of(config->entry_timeout);
	srv->attr_timeout = timeout_of(config->attr_timeout);
	srv->negative_timeout = timeout_of(config->negative_timeout);
	return config->forward ? lam_op_parse(config->forward, &srv->forward) : 0;
}

static int open_signals(struct lam_server *srv)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	err = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (err)
		return -err;
	srv->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return srv->signal_fd < 0 ? -errno : 0;
}

static int open_parts(struct lam_server *srv)
{
	srv->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (srv->event_fd < 0)
		return -errno;
	errno = ENOMEM;
	srv->pool = lam_pool_new(srv, srv->config.pool_threads);
	srv->backing = lam_backing_new(srv->fd);
	if (!srv->pool || !srv->backing)
		return -ENOMEM;
	srv->slow = lam_slow_new(srv);
	if (!srv->slow)
		return -errno;
	if (srv->config.io_uring == LAM_ON) {
		srv->uring = lam_uring_new();
		if (!srv->uring)
			return -errno;
	}
	srv->keeper = lam_keeper_new(srv);
	return srv->keeper ? 0 : -errno;
}

int lam_server_open(struct lam_core *core, const struct lam_server_config *config, struct lam_server **out)
{
	struct lam_server *srv = calloc(1, sizeof(*srv));
	int err;

	if (!srv)
		return -ENOMEM;
	srv->core = core;
	srv->event_fd = -1;
	srv->signal_fd = -1;
	err = configure(srv, config);
	if (!err)
		err = open_parts(srv);
	if (!err)
		err = open_signals(srv);
	if (err) {
		lam_server_free(srv);
		return err;
	}
	*out = srv;
	return 0;
}

int lam_server_start(struct lam_server *srv)
{
	int err = srv->started ? -EALREADY : lam_keeper_start(srv->keeper);

	if (!err)
		srv->started = true;
	return err;
}

int lam_server_uring(struct lam_server *srv)
{
	return srv->uring ? lam_uring_settled(srv->uring) : -ENOSYS;
}

/* The end stays reported, whoever asks again. */
static int take_event(struct lam_server *srv, int *detail)
{
	uint32_t events = atomic_load(&srv->events);

	*detail = 0;
	if (events & (1u << LAM_EVENT_FAILED)) {
		*detail = atomic_load(&srv->failure);
		return LAM_EVENT_FAILED;
	}
	if (events & (1u << LAM_EVENT_UNMOUNTED))
		return LAM_EVENT_UNMOUNTED;
	if (events & (1u << LAM_EVENT_SLOW_WANTED)) {
		atomic_fetch_and(&srv->events, ~(1u << LAM_EVENT_SLOW_WANTED));
		return LAM_EVENT_SLOW_WANTED;
	}
	return 0;
}

int lam_server_wait(struct lam_server *srv, int *detail)
{
	struct pollfd fds[2] = {
		{ .fd = srv->signal_fd, .events = POLLIN },
		{ .fd = srv->event_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	uint64_t count;
	int event;

	for (;;) {
		event = take_event(srv, detail);
		if (event)
			return event;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (read(srv->signal_fd, &info, sizeof(info)) == sizeof(info)) {
			*detail = (int)info.ssi_signo;
			return LAM_EVENT_SIGNAL;
		}
		if (read(srv->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

int lam_server_slow_fd(const struct lam_server *srv)
{
	return lam_slow_peer_fd(srv->slow);
}

void lam_server_slow_failed(struct lam_server *srv)
{
	lam_slow_give_up(srv->slow);
}

void lam_server_stop(struct lam_server *srv)
{
	if (!srv->started)
		return;
	atomic_store(&srv->stopping, true);
	lam_keeper_stop(srv->keeper);
	lam_pool_stop(srv->pool);
	lam_keeper_dismiss(srv->keeper);
	srv->started = false;
}

void lam_server_free(struct lam_server *srv)
{
	if (!srv)
		return;
	lam_server_stop(srv);
	lam_keeper_free(srv->keeper);
	lam_uring_free(srv->uring);
	lam_slow_free(srv->slow);
	lam_backing_free(srv->backing);
	lam_pool_free(srv->pool);
	if (srv->event_fd >= 0)
		close(srv->event_fd);
	if (srv->signal_fd >= 0)
		close(srv->signal_fd);
	free(srv);
}

void lam_server_stats(struct lam_server *srv, struct lam_server_stats *out)
{
	out->requests = atomic_load_explicit(&srv->requests, memory_order_relaxed);
	out->forwarded = atomic_load_explicit(&srv->forwarded, memory_order_relaxed);
	out->pooled = atomic_load_explicit(&srv->pooled, memory_order_relaxed);
	for (size_t i = 0; i < FUSE_OPCODES; i++)
		out->by_opcode[i] = atomic_load_explicit(&srv->by_opcode[i], memory_order_relaxed);
}
