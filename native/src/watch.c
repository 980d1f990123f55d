/* SPDX-License-Identifier: MIT */
/* watch - see watch.h */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "follow.h"
#include "serve.h"
#include "uring.h"
#include "watch.h"

static bool read_of(pid_t tid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* Runnable: on a CPU or waiting for one. */
static bool is_runnable(pid_t tid)
{
	char text[512];
	const char *at = read_of(tid, "stat", text, sizeof(text)) ? strrchr(text, ')') : NULL;

	return at && at[1] == ' ' && at[2] == 'R';
}

/* Nanoseconds that the thread spent on a CPU. */
static uint64_t ran_ns(pid_t tid)
{
	char text[128];

	return read_of(tid, "schedstat", text, sizeof(text)) ? strtoull(text, NULL, 10) : 0;
}

static void rescue(struct lam_watch *watch, pid_t tid)
{
	struct sched_param param = { .sched_priority = 0 };
	cpu_set_t all, elsewhere;

	atomic_store(&watch->rescued, true);
	if (sched_getaffinity(0, sizeof(all), &all) < 0 ||
	    sched_getaffinity(tid, sizeof(elsewhere), &elsewhere) < 0)
		return;
	if (sched_setscheduler(tid, SCHED_OTHER, &param) == 0) {
		sched_setaffinity(tid, sizeof(all), &all);
		return;
	}
	CPU_XOR(&elsewhere, &all, &elsewhere); /* leaves only where it waits: so it moves now */
	if (CPU_COUNT(&elsewhere))
		sched_setaffinity(tid, sizeof(elsewhere), &elsewhere);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static bool has_ward(struct lam_watch *watch)
{
	return atomic_load(&watch->armed) && atomic_load(&watch->tid);
}

int lam_watch_fd(struct lam_server *srv)
{
	if (!has_ward(&srv->watch) || srv->watch.looks)
		return -1;
	return lam_uring_serves(srv->uring) ? lam_uring_stir_fd(srv->uring) : srv->fd;
}

int lam_watch_timeout(struct lam_server *srv)
{
	return has_ward(&srv->watch) && srv->watch.looks ? LAM_WATCH_MS : -1;
}

/* Whether to go on looking. */
static bool look(struct lam_server *srv, struct lam_watch *watch, pid_t tid)
{
	uint64_t requests = atomic_load_explicit(&srv->requests, memory_order_relaxed);
	bool progress = requests != watch->requests;
	uint64_t ran;

	watch->requests = requests;
	if (progress)
		return true;
	if (lam_uring_serves(srv->uring))
		lam_uring_stir(srv->uring, true); /* before the look at the thread: no request is missed */
	if (!is_runnable(tid))
		return false;
	ran = ran_ns(tid);
	if (ran == watch->ran_ns && !atomic_load(&watch->rescued))
		rescue(watch, tid);
	watch->ran_ns = ran;
	return true;
}

void lam_watch_look(struct lam_server *srv, bool pending)
{
	struct lam_watch *watch = &srv->watch;
	pid_t tid = atomic_load(&watch->tid);
	int64_t now;

	if (!has_ward(watch) || !(watch->looks || pending))
		return;
	now = now_ns();
	if (watch->looks && now >= watch->next_ns) {
		watch->looks = look(srv, watch, tid);
		watch->next_ns = now + LAM_WATCH_MS * 1000000ll;
	} else if (!watch->looks) {
		if (lam_uring_serves(srv->uring))
			lam_uring_stir(srv->uring, false);
		watch->looks = true;
		watch->next_ns = now + LAM_WATCH_MS * 1000000ll;
		watch->requests = atomic_load_explicit(&srv->requests, memory_order_relaxed);
		watch->ran_ns = ran_ns(tid);
	}
}
