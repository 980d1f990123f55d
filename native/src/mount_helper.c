/* SPDX-License-Identifier: MIT */
/*
 * mount_helper - mounting through the setuid program fusermount3
 *
 * Theory.  fusermount3 opens /dev/fuse, mounts, and sends the descriptor (SCM_RIGHTS) over the
 * socket whose number it finds in _FUSE_COMMFD.  It complains on stderr, which is a pipe here
 * and ends up in 'why'.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lamina/mount.h>

#include "mount_helper.h"

#define HELPER "fusermount3"
#define COMM_FD 3 /* in the child */
#define COMM_ENV "_FUSE_COMMFD=3"
#define TEXT_MAX 512

extern char **environ;

/* The environment with COMM_ENV; the caller frees the array, not the strings. */
static char **helper_env(void)
{
	size_t count = 0, used = 0;
	char **env;

	while (environ && environ[count])
		count++;
	env = calloc(count + 2, sizeof(*env));
	if (!env)
		return NULL;
	env[used++] = COMM_ENV;
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "_FUSE_COMMFD=", 13))
			env[used++] = environ[i];
	return env;
}

/* Starts the helper with 'comm' (or nothing) as descriptor 3 and 'errors' as stderr. */
static int start_helper(char *const argv[], int comm, int errors, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char **env = helper_env();
	sigset_t none;
	int err;

	if (!env)
		return -ENOMEM;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none); /* the server blocks SIGTERM and others */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO); /* first: 'errors' may be 3 */
	if (comm >= 0)
		posix_spawn_file_actions_adddup2(&actions, comm, COMM_FD);
	err = posix_spawnp(pid, HELPER, &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	return -err;
}

/* A descriptor from the helper, or -1 if it closed the socket without one. */
static int receive_fd(int comm)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t n;
	int fd = -1;

	do
		n = recvmsg(comm, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* What the helper wrote, in one line; what is too long is read and dropped. */
static void read_errors(int fd, char *text, size_t size)
{
	size_t used = 0;
	char chunk[256];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		for (ssize_t i = 0; i < n && used + 1 < size; i++)
			text[used++] = chunk[i] == '\n' ? ' ' : chunk[i];
	}
	while (used && text[used - 1] == ' ')
		used--;
	text[used] = 0;
}

/* 0 if the helper ended well. */
static int wait_helper(pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	return got == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/*
 * Runs the helper; with 'fuse_fd' it is to send a descriptor.  The pipe and the socket's other
 * end are closed here first, so that their reading ends when the helper does.
 */
static int run_helper(char *const argv[], int *fuse_fd, char *text, size_t size)
{
	int comm[2] = { -1, -1 }, errors[2];
	int err, ended;
	pid_t pid;

	text[0] = 0;
	if (pipe2(errors, O_CLOEXEC) < 0)
		return -errno;
	if (fuse_fd && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, comm) < 0) {
		err = -errno;
		close(errors[0]);
		close(errors[1]);
		return err;
	}
	err = start_helper(argv, comm[0], errors[1], &pid);
	close(errors[1]);
	if (fuse_fd)
		close(comm[0]);
	if (!err && fuse_fd) {
		*fuse_fd = receive_fd(comm[1]);
		err = *fuse_fd < 0 ? -EPERM : 0;
	}
	if (fuse_fd)
		close(comm[1]);
	if (err == 0 || err == -EPERM) {
		read_errors(errors[0], text, size);
		ended = wait_helper(pid);
		err = err ? err : ended;
	}
	close(errors[0]);
	return err;
}

static bool has_option(const char *options, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = options; at && *at; at += *at == ',') {
		if (!strncmp(at, key, len))
			return true;
		at += strcspn(at, ",");
	}
	return false;
}

int lam_mount_helper(const char *dir, const char *options, char *why, size_t why_size)
{
	const char *given = options ? options : "";
	char text[TEXT_MAX], *all = NULL;
	int err, fuse_fd = -1;

	if (asprintf(&all, "%s%s%s", has_option(given, "subtype=") ? "" : "subtype=" LAM_MOUNT_SUBTYPE,
		     has_option(given, "subtype=") || !*given ? "" : ",", given) < 0)
		return lam_mount_why(why, why_size, -ENOMEM, "out of memory");
	char *argv[] = { HELPER, "-o", all, "--", (char *)dir, NULL };

	err = run_helper(argv, &fuse_fd, text, sizeof(text));
	free(all);
	if (err && fuse_fd >= 0)
		close(fuse_fd);
	if (err == -ENOENT)
		return lam_mount_why(why, why_size, err, HELPER " is not installed (package fuse3)");
	if (err)
		return lam_mount_why(why, why_size, err, "%s", text[0] ? text : strerror(-err));
	return fuse_fd;
}

int lam_unmount_helper(const char *dir, int lazy)
{
	char *lazily[] = { HELPER, "-u", "-z", "-q", "--", (char *)dir, NULL };
	char *plainly[] = { HELPER, "-u", "-q", "--", (char *)dir, NULL };
	char text[TEXT_MAX];

	return run_helper(lazy ? lazily : plainly, NULL, text, sizeof(text));
}
