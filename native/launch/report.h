/* SPDX-License-Identifier: MIT */
/*
 * report - how the launcher says what became of it
 *
 * Whoever started us reads one line from the report's descriptor: "ready PID" once the program
 * runs (its execve(2) has succeeded), or "STATUS TEXT" when it will not: 125 if it is our
 * failure, 126 if the program cannot be executed, 127 if it is not there (docker-run(1), exit
 * status).  Where it was the host that refused, STATUS is "125:RUNG", and the caller may try again
 * with less: the rungs are the kinds of namespaces, "ids" and "union".  Nothing else is ever written, to it
 * or to the standard streams.
 */
#ifndef LAMINA_LAUNCH_REPORT_H
#define LAMINA_LAUNCH_REPORT_H

#include <sys/types.h>

#define LAM_FAILED 125
#define LAM_NOT_RUN 126
#define LAM_NOT_FOUND 127

void lam_report_to(int fd);
/* The text of a failure alone is written. */
void lam_report_failures_to(int fd);
void lam_report_ready(pid_t pid);
/* Nothing more will be said by this process. */
void lam_report_end(void);

/* Report, then _exit(status); 'err' is an errno or 0.  The format makes one line. */
_Noreturn void lam_fail(int status, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with LAM_FAILED, for what the host may not give. */
_Noreturn void lam_lack(const char *rung, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
