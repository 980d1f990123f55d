/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 500
#define END_WAIT_MS 10000 /* for a monitor that has noted the end and still tells its clients */

int lam_state_put(int directory, const char *name, const char *text)
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
unsigned long long lam_state_start_time(pid_t pid)
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

int lam_state_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	/* who only asks whether it is locked has it for an instant */
	for (int waited = 0; waited < END_WAIT_MS; waited++) {
		const struct timespec step = { .tv_nsec = 1000000 };

		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (waited >= LOCK_WAIT_MS && faccessat(fd, "pid", F_OK, 0) == 0)
			break; /* it watches over a container */
		nanosleep(&step, NULL);
	}
	err = -errno;
	close(fd);
	return err;
}

/* The id of this boot without its end of line, or "". */
static void boot_id(char *text, size_t size)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

int lam_state_process(int directory, const char *name, pid_t pid)
{
	char text[128], boot[64];

	boot_id(boot, sizeof(boot));
	snprintf(text, sizeof(text), "%d %llu %s\n", (int)pid, lam_state_start_time(pid), boot);
	return lam_state_put(directory, name, text);
}

int lam_state_ended(int directory, int status)
{
	char text[16];

	snprintf(text, sizeof(text), "%d\n", status);
	return lam_state_put(directory, "exit", text);
}
