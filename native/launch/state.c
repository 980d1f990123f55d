/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int put(int directory, const char *name, const char *text)
{
	char temporary[32];
	size_t length = strlen(text);
	int fd, err = 0;

	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != (ssize_t)length)
		err = -EIO;
	close(fd);
	if (err == 0 && renameat(directory, temporary, directory, name) < 0)
		err = -errno;
	return err;
}

/* Field 22 of /proc/PID/stat (proc(5)); the name before it may hold anything but is in (). */
static unsigned long long start_time(pid_t pid)
{
	char path[32], text[1024], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

int lam_state_running(int directory, pid_t pid)
{
	char text[64];

	snprintf(text, sizeof(text), "%d %llu\n", (int)pid, start_time(pid));
	return put(directory, "pid", text);
}

int lam_state_ended(int directory, int status)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", status);
	return put(directory, "exit", text);
}
