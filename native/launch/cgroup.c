/* SPDX-License-Identifier: MIT */
#include "cgroup.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REMOVAL_TRIES 20 /* a process that has ended may count for a moment */

void lam_cgroup_join(const struct lam_plan *plan, pid_t pid)
{
	const struct lam_record *record = NULL;
	char number[16];

	snprintf(number, sizeof(number), "%d\n", (int)pid);
	while ((record = lam_plan_next(plan, LAM_OP_CGROUP, record)) != NULL) {
		int fd = open(record->arg[0], O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, number, strlen(number)) < 0)
			lam_fail(LAM_FAILED, errno, "join the cgroup %s", record->arg[0]);
		close(fd);
	}
}

/* "oom_kill N" of memory.events (version 2) or memory.oom_control (version 1). */
static bool was_short_of_memory(const char *path)
{
	static const char *const files[] = { "memory.events", "memory.oom_control" };
	int group = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool killed = false;

	for (int i = 0; i < 2 && group >= 0; i++) {
		int fd = openat(group, files[i], O_RDONLY | O_CLOEXEC);
		char text[512], *at;
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		at = strstr(text, "oom_kill ");
		killed |= at && strtoul(at + strlen("oom_kill "), NULL, 10) > 0;
		if (fd >= 0)
			close(fd);
	}
	if (group >= 0)
		close(group);
	return killed;
}

bool lam_cgroup_leave(const struct lam_plan *plan)
{
	const struct timespec step = { .tv_nsec = 5000000 };
	const struct lam_record *record = NULL;
	bool killed = false;

	while ((record = lam_plan_next(plan, LAM_OP_CGROUP, record)) != NULL) {
		const char *end = strrchr(record->arg[0], '/');
		char path[PATH_MAX];

		if (!end || (size_t)(end - record->arg[0]) >= sizeof(path))
			continue;
		memcpy(path, record->arg[0], (size_t)(end - record->arg[0]));
		path[end - record->arg[0]] = '\0';
		killed |= was_short_of_memory(path);
		for (int i = 0; i < REMOVAL_TRIES && rmdir(path) < 0 && errno == EBUSY; i++)
			nanosleep(&step, NULL);
	}
	return killed;
}
