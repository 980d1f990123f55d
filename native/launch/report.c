/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One process, one report: the only state that every function may need. */
static int report_fd = -1;
static bool only_failures;

void lam_report_to(int fd)
{
	report_fd = fd;
}

void lam_report_failures_to(int fd)
{
	report_fd = fd;
	only_failures = true;
}

static void say(const char *text, size_t length)
{
	ssize_t n = write(report_fd, text, length);

	(void)n; /* nobody listens any more */
}

void lam_report_ready(pid_t pid)
{
	char text[32];

	if (only_failures)
		return;
	say(text, (size_t)snprintf(text, sizeof(text), "ready %d\n", (int)pid));
	lam_report_end();
}

void lam_report_end(void)
{
	close(report_fd);
	report_fd = -1;
}

static _Noreturn void end(int status, const char *rung, int err, const char *format, va_list list)
	__attribute__((format(printf, 4, 0)));

static _Noreturn void end(int status, const char *rung, int err, const char *format, va_list list)
{
	char text[1024];
	const int room = (int)sizeof(text) - 1; /* for the end of line */
	int n = only_failures
			? 0
			: snprintf(text, (size_t)room, "%d%s%s ", status, rung ? ":" : "", rung ? rung : "");

	n += vsnprintf(text + n, (size_t)(room - n), format, list);
	if (n >= room)
		n = room - 1;
	if (err)
		n += snprintf(text + n, (size_t)(room - n), ": %s", strerror(err));
	if (n >= room)
		n = room - 1;
	for (int i = 0; i < n; i++) {
		if (text[i] == '\n')
			text[i] = ' ';
	}
	text[n++] = '\n';
	say(text, (size_t)n);
	_exit(status);
}

void lam_fail(int status, int err, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	end(status, NULL, err, format, list);
}

void lam_lack(const char *rung, int err, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	end(LAM_FAILED, rung, err, format, list);
}
