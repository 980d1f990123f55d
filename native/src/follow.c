/* SPDX-License-Identifier: MIT */
/* follow - see follow.h */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "follow.h"

#define SAMPLE_EVERY 256     /* a look into /proc costs as much as three requests */
#define CHECK_EVERY 4	     /* beside a CPU hog each of them may take milliseconds */
#define WAIT_LIMIT_NS 200000 /* a request, on average between two checks; undisturbed it is under 5,000 */
#define QUIET_SECONDS 30
#define STAT_PROCESSOR 39 /* proc(5), /proc/pid/stat */

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

void lam_follow_begin(struct lam_follow *follow, bool wanted, int64_t quiet_until)
{
	*follow = (struct lam_follow){ .schedstat_fd = -1, .cpu = -1, .quiet_until = quiet_until };
	if (!wanted || sched_getaffinity(0, sizeof(follow->allowed), &follow->allowed) < 0 ||
	    CPU_COUNT(&follow->allowed) < 2)
		return;
	follow->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	follow->wanted = follow->schedstat_fd >= 0; /* no following without the guard */
}

void lam_follow_end(struct lam_follow *follow)
{
	if (follow->schedstat_fd >= 0)
		close(follow->schedstat_fd);
	follow->schedstat_fd = -1;
}

static void move_to(struct lam_follow *follow, int cpu)
{
	struct sched_param param = { .sched_priority = 0 };
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == follow->cpu || !CPU_ISSET(cpu, &follow->allowed))
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return;
	follow->cpu = cpu;
	if (!follow->follows && sched_setscheduler(0, SCHED_IDLE, &param) == 0) {
		follow->follows = true;
		follow->until_check = CHECK_EVERY;
		follow->waited_ns = waited_ns(follow);
	}
}

static bool starves(struct lam_follow *follow)
{
	uint64_t before = follow->waited_ns;

	follow->until_check = CHECK_EVERY;
	follow->waited_ns = waited_ns(follow);
	return follow->waited_ns - before > (uint64_t)WAIT_LIMIT_NS * CHECK_EVERY;
}

static void sample(struct lam_follow *follow, uint32_t pid)
{
	follow->until_sample = SAMPLE_EVERY;
	if (pid == 0)
		return;
	follow->known[pid % LAM_FOLLOW_KNOWN] = pid;
	if (follow->follows || now_seconds() >= follow->quiet_until)
		move_to(follow, cpu_of(pid));
}

bool lam_follow_request(struct lam_follow *follow, uint32_t pid)
{
	if (!follow->wanted)
		return false;
	if (follow->follows && --follow->until_check == 0 && starves(follow)) {
		follow->quiet_until = now_seconds() + QUIET_SECONDS;
		return true;
	}
	if (follow->until_sample == 0 || follow->known[pid % LAM_FOLLOW_KNOWN] != pid)
		sample(follow, pid);
	else
		follow->until_sample--;
	return false;
}
