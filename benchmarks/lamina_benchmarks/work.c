/* SPDX-License-Identifier: MIT */
/*
 * work - the client of a measurement: does one thing many times and says how long it took
 *
 * Theory.  The client's own cost must not drown what is measured, so a row is one process that
 * makes plain system calls.  It prints "NANOSECONDS CPU COUNT": the time of the work alone, without
 * its own start, the processor time of that (its children's too), and how many objects it met.
 * The first failure ends it with status 1.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 128 * 1024, PAGE = 4096, DEEPEST = 64, NAME_SIZE = 64, PATH_SIZE = 512, MOST_CLIENTS = 64 };

static char buffer[BUFFER];
static uint64_t count;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Processor time so far, of ourselves and of children that were waited for. */
static uint64_t cpu(void)
{
	uint64_t total = 0;
	struct rusage use;

	for (int who = 0; who < 2; who++) {
		getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &use);
		total += (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000000u +
			 (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000u;
	}
	return total;
}

static long number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || end == text)
		errx(2, "not a number: %s", text);
	return value;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* ---- whole trees ---- */

static void read_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		err(1, "open %s", name);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0)
		;
	if (got < 0)
		err(1, "read %s", name);
	close(fd);
}

/* Takes 'fd' over.  lstat(2) of every entry; with 'contents' all regular files are read. */
static void walk(int fd, int contents, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!dir || depth > DEEPEST)
		err(1, "fdopendir at depth %d", depth);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			err(1, "lstat %s", entry->d_name);
		count++;
		if (S_ISDIR(st.st_mode)) {
			int child = openat(fd, entry->d_name,
					   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (child < 0)
				err(1, "open %s", entry->d_name);
			walk(child, contents, depth + 1);
		} else if (contents && S_ISREG(st.st_mode)) {
			read_file(fd, entry->d_name);
		}
	}
	closedir(dir);
}

static void do_walk(char **argv)
{
	walk(open_dir(argv[0]), 0, 0);
}

static void do_read(char **argv)
{
	walk(open_dir(argv[0]), 1, 0);
}

/* DIR: the names alone */
static void do_list(char **argv)
{
	DIR *dir = fdopendir(open_dir(argv[0]));

	if (!dir)
		err(1, "%s", argv[0]);
	while (readdir(dir))
		count++;
	closedir(dir);
}

/* ---- many files in one directory, named f00000 and so on ---- */

static void name_of(char *name, long i)
{
	snprintf(name, NAME_SIZE, "f%05ld", i);
}

/* DIR COUNT SIZE */
static void do_create(char **argv)
{
	int dir = open_dir(argv[0]);
	long total = number(argv[1]);
	size_t size = (size_t)number(argv[2]);
	char name[NAME_SIZE];

	for (long i = 0; i < total; i++, count++) {
		name_of(name, i);
		int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		if (fd < 0)
			err(1, "create %s", name);
		for (size_t done = 0; done < size;) {
			size_t part = size - done < sizeof(buffer) ? size - done : sizeof(buffer);
			ssize_t put = write(fd, buffer, part);

			if (put <= 0)
				err(1, "write %s", name);
			done += (size_t)put;
		}
		close(fd);
	}
}

/* VERB DIR COUNT [VALUE] */
static void do_each(char **argv)
{
	const char *verb = argv[0];
	int dir = open_dir(argv[1]);
	long total = number(argv[2]);
	char name[NAME_SIZE];
	struct stat st;

	for (long i = 0; i < total; i++, count++) {
		int result = -1;

		name_of(name, i);
		if (!strcmp(verb, "unlink")) {
			result = unlinkat(dir, name, 0);
		} else if (!strcmp(verb, "lookup")) {
			result = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
		} else if (!strcmp(verb, "chmod")) {
			result = fchmodat(dir, name, 0600, 0);
		} else if (!strcmp(verb, "chown")) {
			result = fchownat(dir, name, 1000, 1000, AT_SYMLINK_NOFOLLOW);
		} else if (!strcmp(verb, "mkdir")) {
			name[0] = 'd';
			result = mkdirat(dir, name, 0755);
		} else if (!strcmp(verb, "rename")) {
			char other[NAME_SIZE];

			name_of(other, i);
			other[0] = 'g';
			result = renameat(dir, name, dir, other);
		} else if (!strcmp(verb, "change")) {
			int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

			result = fd >= 0 && pwrite(fd, "x", 1, 0) == 1 ? 0 : -1;
			close(fd);
		} else {
			errx(2, "unknown verb: %s", verb);
		}
		if (result < 0)
			err(1, "%s %s", verb, name);
	}
}

/* ---- one large file ---- */

/* FILE */
static void do_change(char **argv)
{
	int fd = open(argv[0], O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, "x", 1, 0) != 1)
		err(1, "%s", argv[0]);
	close(fd);
	count = 1;
}

/* FILE */
static void do_seqread(char **argv)
{
	read_file(AT_FDCWD, argv[0]);
	count = 1;
}

/* FILE BYTES */
static void do_seqwrite(char **argv)
{
	long total = number(argv[1]);
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "%s", argv[0]);
	for (; (long)count * BUFFER < total; count++)
		if (write(fd, buffer, sizeof(buffer)) != BUFFER)
			err(1, "write %s", argv[0]);
	close(fd);
}

/* FILE COUNT: the same places in every run */
static void do_random(char **argv)
{
	long total = number(argv[1]);
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	uint64_t state = 88172645463325252u;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < PAGE)
		err(1, "%s", argv[0]);
	for (; count < (uint64_t)total; count++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		off_t at = (off_t)(state % ((uint64_t)st.st_size / PAGE)) * PAGE;

		if (pread(fd, buffer, PAGE, at) != PAGE)
			err(1, "pread %s", argv[0]);
	}
	close(fd);
}

/* ---- another program ---- */

/* PROGRAM ARGUMENTS: with its output thrown away */
static void do_run(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		close(null);
		execvp(argv[0], argv);
		err(127, "%s", argv[0]);
	}
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		errx(1, "%s: status %d", argv[0], status);
	count = 1;
}

static void do_parallel(char **argv);

/* PATH NAME: print an extended attribute before the numbers */
static void do_getxattr(char **argv)
{
	ssize_t got = getxattr(argv[0], argv[1], buffer, sizeof(buffer));

	if (got < 0)
		err(1, "%s: %s", argv[0], argv[1]);
	if (fwrite(buffer, 1, (size_t)got, stdout) != (size_t)got || putchar('\n') == EOF)
		err(1, "stdout");
	count = 1;
}

static const struct {
	const char *name;
	void (*run)(char **argv);
	int least;
} COMMANDS[] = {
	{ "walk", do_walk, 1 },		{ "read", do_read, 1 },		{ "create", do_create, 3 },
	{ "each", do_each, 3 },		{ "change", do_change, 1 },	{ "seqread", do_seqread, 1 },
	{ "seqwrite", do_seqwrite, 2 }, { "random", do_random, 2 },	{ "run", do_run, 1 },
	{ "list", do_list, 1 },		{ "parallel", do_parallel, 4 }, { "getxattr", do_getxattr, 2 },
};
enum { COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

/* ---- several clients at once ---- */

static void parts(char **argv, long first, long step)
{
	char path[PATH_SIZE];
	long last = number(argv[3]);

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], COMMANDS[i].name))
			continue;
		for (long part = first; part < last; part += step) {
			char **words = argv + 3;

			if ((size_t)snprintf(path, sizeof(path), "%s%ld", argv[2], part) >= sizeof(path))
				errx(1, "%s: too long", argv[2]);
			words[0] = path;
			COMMANDS[i].run(words);
		}
		return;
	}
	errx(2, "unknown verb: %s", argv[1]);
}

/*
 * CLIENTS VERB PREFIX PARTS ARGUMENTS: the verb on the directories PREFIX0, PREFIX1 and so on,
 * dealt out to that many processes: the work is the same for any number of them
 */
static void do_parallel(char **argv)
{
	long clients = number(argv[0]);
	int status;

	if (clients < 1 || clients > MOST_CLIENTS)
		errx(2, "clients: 1 to %d", MOST_CLIENTS);
	for (long i = 0; i < clients; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			parts(argv, i, clients);
			_exit(0);
		}
	}
	for (long i = 0; i < clients; i++) {
		if (wait(&status) < 0)
			err(1, "wait");
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			errx(1, "a client failed: status %d", status);
	}
	count = (uint64_t)clients;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], COMMANDS[i].name) || argc - 2 < COMMANDS[i].least)
			continue;
		uint64_t busy = cpu(), start = now();

		COMMANDS[i].run(argv + 2);
		start = now() - start;
		busy = cpu() - busy;
		printf("%llu %llu %llu\n", (unsigned long long)start, (unsigned long long)busy,
		       (unsigned long long)count);
		return 0;
	}
	errx(2, "usage: work COMMAND ARGUMENTS");
}
