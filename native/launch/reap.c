/* SPDX-License-Identifier: MIT */
#include "reap.h"

#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Wait for all that ended; true when 'child' did, with its status as a shell gives it. */
static bool collect(pid_t child, int *status)
{
	bool ended = false;
	int how;

	for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
		if (pid != child)
			continue;
		*status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
		ended = true;
	}
	return ended;
}

void lam_reap(int channel)
{
	sigset_t all, old;
	pid_t child;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	child = fork();
	if (child < 0)
		lam_fail(LAM_FAILED, errno, "fork");
	if (child == 0) {
		setpgid(0, 0);
		tcsetpgrp(STDIN_FILENO, getpgrp()); /* where it is a terminal; SIGTTOU is blocked */
		sigprocmask(SIG_SETMASK, &old, NULL);
		return;
	}
	prctl(PR_SET_NAME, "lamina-init");
	close(channel);
	lam_report_end();
	close_range(3, ~0u, 0); /* the monitor's are nothing for /proc/1/fd to show */
	for (;;) {
		int status = 0, sig = sigwaitinfo(&all, NULL);

		if (sig == SIGCHLD && collect(child, &status))
			_exit(status);
		if (sig > 0 && sig != SIGCHLD && sig != SIGTTIN && sig != SIGTTOU)
			kill(-child, sig);
	}
}
