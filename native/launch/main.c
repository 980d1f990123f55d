/* SPDX-License-Identifier: MIT */
/*
 * lamina-launch - carry out a plan (plan.h): start a container, or a process in one
 *
 *   lamina-launch PLAN REPORT      two descriptors, by number
 *
 * Stays as the container's monitor and ends with its exit status.
 */
#include "monitor.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/*
 * Run from a sealed copy of ourselves: a container that reaches /proc/PID/exe of a process of
 * ours finds nothing that it could change.
 */
static int run_sealed(char **argv)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy, seals;
	struct stat st;
	char path[32];
	off_t at = 0;

	if (self < 0 || fstat(self, &st) < 0)
		return -errno;
	seals = fcntl(self, F_GET_SEALS);
	if (seals >= 0 && (seals & SEALS) == SEALS) {
		close(self);
		return 0; /* we are the copy */
	}
	copy = memfd_create("lamina-launch", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return -errno;
	while (at < st.st_size) {
		if (sendfile(copy, self, &at, (size_t)(st.st_size - at)) <= 0)
			return -EIO;
	}
	if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", copy);
	execv(path, argv);
	return -errno;
}

/* What whoever started us left open is for none of those whom we start. */
static void keep_descriptors(void)
{
	long most = sysconf(_SC_OPEN_MAX);

	if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = STDERR_FILENO + 1; fd < most; fd++) /* before Linux 5.11 */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct lam_plan plan;
	int err, plan_fd;

	if (argc != 3) {
		fputs("lamina-launch is started by lamina, with a plan\n", stderr);
		return LAM_FAILED;
	}
	plan_fd = atoi(argv[1]);
	lam_report_to(atoi(argv[2]));
	err = run_sealed(argv);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "run from a sealed copy");
	keep_descriptors();
	err = lam_plan_read(&plan, plan_fd);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "read the plan");
	close(plan_fd);
	if (setsid() < 0 && errno != EPERM)
		lam_fail(LAM_FAILED, errno, "session");
	return lam_monitor_run(&plan);
}
