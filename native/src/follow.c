/* SPDX-License-Identifier: MIT */
/* follow - see follow.h */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "follow.h"

#define SAMPLE_EVERY 256       /* a look into /proc costs as much as three requests */
#define PROBATION 16	       /* requests in SCHED_OTHER before a first decision */
#define PATIENCE 128	       /* ... before the next one */
#define CHECK_EVERY 64	       /* the keeper sees long waits sooner */
#define CALM_LIMIT_NS 20000    /* waited a request of probation, on average */
#define WAIT_LIMIT_NS 50000    /* the same while following; undisturbed it is under 5,000 */
#define QUIET_SECONDS 5	       /* after starving, where the thread can turn back */
#define QUIET_SECONDS_BOUND 30 /* where it cannot */
#define STAT_PROCESSOR 39      /* proc(5), /proc/pid/stat */

static int64_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Returns the length read as text, or -1. */
static ssize_t read_text(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = 0;
	return n;
}

/* The CPU where a thread last ran, or -1. */
static int cpu_of(uint32_t pid)
{
	char path[32], text[1024];
	char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read_text(fd, text, sizeof(text));
	close(fd);
	at = n > 0 ? strrchr(text, ')') : NULL; /* the command's name may hold anything */
	for (int field = 2; at && field < STAT_PROCESSOR; field++)
		at = strchr(at + 1, ' ');
	return at ? atoi(at + 1) : -1;
}

/* Nanoseconds that this thread was runnable but did not run. */
static uint64_t waited_ns(const struct lam_follow *follow)
{
	char text[128];
	char *second;

	if (read_text(follow->schedstat_fd, text, sizeof(text)) <= 0)
		return follow->waited_ns;
	second = strchr(text, ' ');
	return second ? strtoull(second, NULL, 10) : follow->waited_ns;
}

/* Threads that run or wait for a CPU, on the whole machine: with us alone it is 1. */
static long runnable(const struct lam_follow *follow)
{
	char text[128];
	char *at = text;

	if (read_text(follow->loadavg_fd, text, sizeof(text)) <= 0)
		return 0;
	for (int field = 0; at && field < 3; field++)
		at = strchr(at + 1, ' ');
	return at ? strtol(at, NULL, 10) : 0;
}

static void *try_return(void *unused)
{
	struct sched_param param = { .sched_priority = 0 };

	(void)unused;
	if (sched_setscheduler(0, SCHED_IDLE, &param) < 0 || sched_setscheduler(0, SCHED_OTHER, &param) < 0)
		return NULL;
	return "yes";
}

bool lam_follow_can_return(void)
{
	void *answer = NULL;
	pthread_t thread;

	if (pthread_create(&thread, NULL, try_return, NULL))
		return false;
	pthread_join(thread, &answer);
	return answer;
}

void lam_follow_begin(struct lam_follow *follow, struct lam_watch *watch, bool wanted, int64_t quiet_until)
{
	*follow = (struct lam_follow){
		.watch = watch,
		.schedstat_fd = -1,
		.loadavg_fd = -1,
		.cpu = -1,
		.quiet_until = quiet_until,
		.until_check = PROBATION,
		.window = PROBATION,
	};
	if (!wanted || sched_getaffinity(0, sizeof(follow->allowed), &follow->allowed) < 0 ||
	    CPU_COUNT(&follow->allowed) < 2)
		return;
	follow->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	follow->loadavg_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	follow->wanted = follow->schedstat_fd >= 0 && follow->loadavg_fd >= 0; /* else there is no guard */
	follow->waited_ns = follow->wanted ? waited_ns(follow) : 0;
}

void lam_follow_end(struct lam_follow *follow)
{
	atomic_store(&follow->watch->tid, 0);
	if (follow->schedstat_fd >= 0)
		close(follow->schedstat_fd);
	if (follow->loadavg_fd >= 0)
		close(follow->loadavg_fd);
	follow->schedstat_fd = -1;
	follow->loadavg_fd = -1;
}

/* What this thread waited for a CPU since the last look. */
static uint64_t waited_since(struct lam_follow *follow)
{
	uint64_t before = follow->waited_ns;

	follow->waited_ns = waited_ns(follow);
	return follow->waited_ns - before;
}

static void start_following(struct lam_follow *follow)
{
	struct sched_param param = { .sched_priority = 0 };

	if (sched_setscheduler(0, SCHED_IDLE, &param) < 0) {
		follow->wanted = false;
		return;
	}
	follow->follows = true;
	follow->until_check = CHECK_EVERY;
	waited_since(follow);
	atomic_store(&follow->watch->rescued, false);
	atomic_store(&follow->watch->tid, gettid());
}

static void move_to(struct lam_follow *follow, int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == follow->cpu || !CPU_ISSET(cpu, &follow->allowed))
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return;
	follow->cpu = cpu;
	if (!follow->follows)
		start_following(follow);
}

/* True if that is not allowed. */
static bool stop_following(struct lam_follow *follow)
{
	struct sched_param param = { .sched_priority = 0 };
	bool bound = sched_setscheduler(0, SCHED_OTHER, &param) < 0;

	atomic_store(&follow->watch->tid, 0);
	sched_setaffinity(0, sizeof(follow->allowed), &follow->allowed);
	follow->follows = false;
	follow->cpu = -1;
	follow->window = follow->until_check = PATIENCE;
	follow->quiet_until = now_seconds() + (bound ? QUIET_SECONDS_BOUND : QUIET_SECONDS);
	return bound;
}

static bool starves(struct lam_follow *follow)
{
	if (atomic_load_explicit(&follow->watch->rescued, memory_order_relaxed))
		return true;
	if (--follow->until_check)
		return false;
	follow->until_check = CHECK_EVERY;
	return waited_since(follow) > (uint64_t)WAIT_LIMIT_NS * CHECK_EVERY;
}

/* May this thread follow?  Half the CPUs busy without us is too many: this thread would sit beside one of them. */
static bool looks_calm(struct lam_follow *follow)
{
	bool waits = waited_since(follow) > (uint64_t)CALM_LIMIT_NS * follow->window;

	follow->window = follow->until_check = PATIENCE;
	return !waits && now_seconds() >= follow->quiet_until &&
	       runnable(follow) <= CPU_COUNT(&follow->allowed) / 2;
}

static void sample(struct lam_follow *follow, uint32_t pid)
{
	follow->until_sample = SAMPLE_EVERY;
	if (pid == 0)
		return;
	follow->known[pid % LAM_FOLLOW_KNOWN] = pid;
	move_to(follow, cpu_of(pid));
}

bool lam_follow_request(struct lam_follow *follow, uint32_t pid)
{
	if (!follow->wanted)
		return false;
	if (follow->follows && starves(follow))
		return stop_following(follow);
	if (!follow->follows) {
		if (--follow->until_check || !looks_calm(follow))
			return false;
		follow->until_sample = 0;
	}
	if (follow->until_sample == 0 || follow->known[pid % LAM_FOLLOW_KNOWN] != pid)
		sample(follow, pid);
	else
		follow->until_sample--;
	return false;
}
