/* SPDX-License-Identifier: MIT */
/* keeper - see keeper.h */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"
#include "pool.h"
#include "serve.h"
#include "slow.h"
#include "uring.h"
#include "watch.h"
#include "worker.h"

#define KICK_SIGNAL (SIGRTMIN + 5) /* breaks a read(2) off; nobody else's in this process */
#define KICK_INTERVAL_NS 1000000

struct lam_keeper {
	struct lam_server *srv;
	int efd;
	atomic_uint wants;
	pthread_t self;
	pthread_t hot;
	bool has_hot; /* 'hot' is to be joined */
	atomic_bool hot_runs;
};

struct lam_keeper *lam_keeper_new(struct lam_server *srv)
{
	struct lam_keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return NULL;
	keeper->srv = srv;
	keeper->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (keeper->efd < 0) {
		free(keeper);
		return NULL;
	}
	return keeper;
}

void lam_keeper_free(struct lam_keeper *keeper)
{
	if (!keeper)
		return;
	close(keeper->efd);
	free(keeper);
}

void lam_keeper_want(struct lam_keeper *keeper, uint32_t wants)
{
	uint64_t one = 1;

	atomic_fetch_or(&keeper->wants, wants);
	if (write(keeper->efd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: the counter is full, the keeper awake */
}

static void on_kick(int signal)
{
	(void)signal;
}

static void *hot_main(void *arg)
{
	struct lam_keeper *keeper = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	lam_worker_hot(keeper->srv);
	atomic_store(&keeper->hot_runs, false);
	if (keeper->srv->uring)
		lam_uring_linger(keeper->srv->uring);
	return NULL;
}

static int start_hot(struct lam_keeper *keeper)
{
	int err;

	if (keeper->has_hot)
		pthread_join(keeper->hot, NULL);
	atomic_store(&keeper->hot_runs, true);
	err = pthread_create(&keeper->hot, NULL, hot_main, keeper);
	keeper->has_hot = !err;
	if (err)
		atomic_store(&keeper->hot_runs, false);
	return -err;
}

static void succeed_hot(struct lam_keeper *keeper)
{
	int err = start_hot(keeper);

	if (err) {
		atomic_store(&keeper->srv->failure, -err);
		lam_server_raise(keeper->srv, LAM_EVENT_FAILED);
	}
}

static void *keeper_main(void *arg)
{
	struct lam_keeper *keeper = arg;
	struct lam_slow *slow = keeper->srv->slow;
	uint32_t wants = 0;
	uint64_t count;

	while (!(wants & LAM_KEEP_STOP)) {
		struct pollfd fds[3] = {
			{ .fd = keeper->efd, .events = POLLIN },
			{ .fd = lam_slow_relay_fd(slow), .events = POLLIN }, /* -1 is passed over */
			{ .fd = lam_watch_fd(keeper->srv), .events = POLLIN },
		};

		if (poll(fds, 3, lam_watch_timeout(keeper->srv)) < 0)
			continue;
		lam_watch_look(keeper->srv, fds[2].revents);
		if (fds[1].revents)
			lam_slow_relay(slow);
		if (read(keeper->efd, &count, sizeof(count)) < 0)
			continue;
		wants = atomic_exchange(&keeper->wants, 0);
		if ((wants & LAM_KEEP_HOT) && !(wants & LAM_KEEP_STOP))
			succeed_hot(keeper);
		if (wants & LAM_KEEP_POOL)
			lam_pool_spawn(keeper->srv->pool);
	}
	return NULL;
}

int lam_keeper_start(struct lam_keeper *keeper)
{
	struct sigaction kick = { .sa_handler = on_kick }; /* no SA_RESTART: read(2) is to end */
	int err;

	if (sigaction(KICK_SIGNAL, &kick, NULL) < 0)
		return -errno;
	err = start_hot(keeper);
	if (err)
		return err;
	err = pthread_create(&keeper->self, NULL, keeper_main, keeper);
	return -err;
}

/* It takes no more requests.  The signal may come between the look at 'stopping' and the read(2): repeat it. */
static void kick_hot(struct lam_keeper *keeper)
{
	struct timespec pause = { .tv_nsec = KICK_INTERVAL_NS };

	while (atomic_load(&keeper->hot_runs)) {
		pthread_kill(keeper->hot, KICK_SIGNAL);
		nanosleep(&pause, NULL);
	}
}

void lam_keeper_stop(struct lam_keeper *keeper)
{
	lam_keeper_want(keeper, LAM_KEEP_STOP);
	pthread_join(keeper->self, NULL);
	kick_hot(keeper);
}

void lam_keeper_dismiss(struct lam_keeper *keeper)
{
	if (keeper->srv->uring)
		lam_uring_dismiss(keeper->srv->uring);
	if (keeper->has_hot)
		pthread_join(keeper->hot, NULL);
	keeper->has_hot = false;
}
