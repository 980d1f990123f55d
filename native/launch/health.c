/* SPDX-License-Identifier: MIT */
#include "health.h"

#include "log.h"
#include "report.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* What a process that joins gets of what the container's program got. */
static bool is_shared(unsigned int op)
{
	switch (op) {
	case LAM_OP_CGROUP:
	case LAM_OP_RLIMIT:
	case LAM_OP_OOM_SCORE:
	case LAM_OP_CWD:
	case LAM_OP_IDS:
	case LAM_OP_GROUP:
	case LAM_OP_CAPABILITIES:
	case LAM_OP_NO_NEW_PRIVS:
	case LAM_OP_SECCOMP:
	case LAM_OP_ENV:
	case LAM_OP_USER:
	case LAM_OP_ALONE:
		return true;
	default:
		return false;
	}
}

/* The strings stay the container's plan's. */
static int derive(struct lam_plan *probe, const struct lam_plan *plan, pid_t init)
{
	const struct lam_record *namespaces = lam_plan_first(plan, LAM_OP_WHOLE);
	struct lam_record *to = calloc(plan->count + 2, sizeof(*to));

	probe->raw = malloc(16);
	if (!to || !probe->raw)
		return -ENOMEM;
	snprintf(probe->raw, 16, "%d", (int)init);
	probe->records = to;
	*to++ = (struct lam_record){ .op = LAM_OP_STDIO };
	*to++ = (struct lam_record){ .op = LAM_OP_JOIN,
				     .count = 2,
				     .arg = { probe->raw, namespaces ? namespaces->arg[0] : "0" } };
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->records[i].op == LAM_OP_PROBE || is_shared(plan->records[i].op))
			*to++ = plan->records[i];
		if (plan->records[i].op == LAM_OP_PROBE)
			to[-1].op = LAM_OP_ARG;
	}
	probe->count = (size_t)(to - probe->records);
	return 0;
}

static size_t stamp(char *text, const struct timespec *time)
{
	struct tm tm;
	size_t used;

	gmtime_r(&time->tv_sec, &tm);
	used = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	return used + (size_t)sprintf(text + used, ".%09ldZ", time->tv_nsec);
}

/* One entry of "Log" into 'text', which has room for it. */
static size_t describe(char *text, const struct lam_health_result *result)
{
	char *at = text + sprintf(text, "{\"Start\":\"");

	at += stamp(at, &result->began);
	at += sprintf(at, "\",\"End\":\"");
	at += stamp(at, &result->ended);
	at += sprintf(at, "\",\"ExitCode\":%d,\"Output\":\"", result->status);
	at += lam_log_escape(at, result->output, result->size);
	return (size_t)(at + sprintf(at, "\"}") - text);
}

/* As much as fits; a full disk loses the record, not the container. */
static void note(const struct lam_health *health)
{
	static const char *const words[] = { "starting", "healthy", "unhealthy" };
	static char
		text[LAM_HEALTH_RESULTS * (LAM_HEALTH_OUTPUT * 6 + 256) + 256]; /* pages used when needed */
	unsigned int last = health->count, i = last > LAM_HEALTH_RESULTS ? last - LAM_HEALTH_RESULTS : 0;
	char *at = text;

	at += sprintf(at, "{\"Status\":\"%s\",\"FailingStreak\":%llu,\"Log\":[", words[health->status],
		      (unsigned long long)health->failing);
	for (const char *comma = ""; i < last; i++, comma = ",") {
		at += sprintf(at, "%s", comma);
		at += describe(at, &health->results[i % LAM_HEALTH_RESULTS]);
	}
	sprintf(at, "]}\n");
	lam_state_put(health->directory, "health", text);
}

static bool is_starting(const struct lam_health *health)
{
	return health->status == LAM_STARTING && now() - health->born < health->start_period;
}

static void schedule(struct lam_health *health)
{
	health->due = now() + (is_starting(health) ? health->start_interval : health->interval);
}

int lam_health_begin(struct lam_health *health, const struct lam_plan *plan, int directory, pid_t init)
{
	const struct lam_record *times = lam_plan_first(plan, LAM_OP_HEALTH);
	int err;

	if (!times || directory < 0)
		return 0;
	err = derive(&health->plan, plan, init);
	if (err < 0)
		return err;
	health->directory = directory;
	health->init = init;
	health->output = -1;
	health->interval = (int64_t)lam_record_number(times, 0, 10);
	health->timeout = (int64_t)lam_record_number(times, 1, 10);
	health->start_period = (int64_t)lam_record_number(times, 2, 10);
	health->start_interval = (int64_t)lam_record_number(times, 3, 10);
	health->retries = lam_record_number(times, 4, 10);
	health->born = now();
	schedule(health);
	note(health);
	return 0;
}

int lam_health_wait(const struct lam_health *health)
{
	int64_t left = health->due - now();

	if (health->plan.count == 0)
		return -1;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Keep the beginning of what it says, let go of the rest. */
static void take_output(struct lam_health *health, struct lam_health_result *result)
{
	char rest[4096];

	for (int i = 0; i < 64 && health->output >= 0; i++) {
		size_t room = sizeof(result->output) - result->size;
		ssize_t n = read(health->output, room ? result->output + result->size : rest,
				 room ? room : sizeof(rest));

		if (n <= 0)
			return;
		result->size += room ? (size_t)n : 0;
	}
}

static struct lam_health_result *current(struct lam_health *health)
{
	return &health->results[health->count % LAM_HEALTH_RESULTS];
}

static bool is_paused(pid_t pid)
{
	char path[32], text[512], *at;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	return at && at[1] == ' ' && at[2] == 'T';
}

/* True in the probe. */
static bool start(struct lam_health *health)
{
	struct lam_health_result *result = current(health);
	int pair[2];

	result->size = 0;
	health->expired = false;
	clock_gettime(CLOCK_REALTIME, &result->began);
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0) {
		schedule(health);
		return false;
	}
	health->probe = fork();
	if (health->probe == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		fcntl(pair[1], F_SETFL, 0);
		dup2(null, STDIN_FILENO);
		dup2(pair[1], STDOUT_FILENO);
		dup2(pair[1], STDERR_FILENO);
		lam_report_failures_to(STDERR_FILENO);
		return true;
	}
	close(pair[1]);
	health->output = pair[0];
	health->due = now() + health->timeout;
	if (health->probe < 0) { /* no process to be had: the next may have more luck */
		health->probe = 0;
		close(health->output);
		health->output = -1;
		schedule(health);
	}
	return false;
}

bool lam_health_turn(struct lam_health *health)
{
	if (health->plan.count == 0)
		return false;
	if (health->probe)
		take_output(health, current(health));
	if (now() < health->due)
		return false;
	if (health->probe) {
		health->expired = true;
		health->due = now() + health->timeout + 1000; /* if it stays all the same, again */
		kill(health->probe, SIGKILL);
		return false;
	}
	if (is_paused(health->init)) {
		schedule(health);
		return false;
	}
	return start(health);
}

void lam_health_ended(struct lam_health *health, pid_t pid, int status)
{
	struct lam_health_result *result = current(health);
	bool counts = !is_starting(health);

	if (pid != health->probe || health->plan.count == 0)
		return;
	health->probe = 0;
	take_output(health, result);
	close(health->output);
	health->output = -1;
	clock_gettime(CLOCK_REALTIME, &result->ended);
	result->status = health->expired ? -1 : status;
	if (health->expired)
		result->size = (size_t)snprintf(result->output, sizeof(result->output),
						"Health check exceeded timeout (%lldms)",
						(long long)health->timeout);
	health->count++;
	if (result->status == 0) {
		health->failing = 0;
		health->status = LAM_HEALTHY;
	} else if (counts && ++health->failing >= health->retries) {
		health->status = LAM_UNHEALTHY;
	}
	schedule(health);
	note(health);
}
