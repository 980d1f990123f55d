/* SPDX-License-Identifier: MIT */
#include "oci.h"

#include "channel.h"
#include "fill.h"
#include "program.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 16 /* of a runtime's verb, at most */

struct hand {
	const struct lam_plan *plan;
	const struct lam_record *bundle; /* its directory, the container's id, config.json in two parts */
	int directory;			 /* the bundle's */
};

bool lam_oci_wanted(const struct lam_plan *plan)
{
	return lam_plan_first(plan, LAM_OP_RUNTIME) != NULL;
}

/* Everything of 'text', or a negative errno. */
static int put(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Who the program is to be, as the container's files say: asked for by a child that has them as root. */
static void identify(const struct hand *hand, struct lam_user *user)
{
	const struct lam_record *root = lam_plan_first(hand->plan, LAM_OP_ROOT);
	size_t have = 0;
	int pair[2], status;
	ssize_t n = 0;
	pid_t pid;

	if (!root || pipe2(pair, O_CLOEXEC) < 0)
		lam_fail(LAM_FAILED, errno, "find the user");
	pid = fork();
	if (pid == 0) {
		if (chroot(root->arg[0]) < 0 || chdir("/") < 0)
			lam_fail(LAM_FAILED, errno, "root %s", root->arg[0]);
		lam_program_identify(hand->plan, user);
		_exit(put(pair[1], (const char *)user, sizeof(*user)) < 0 ? LAM_FAILED : 0);
	}
	close(pair[1]);
	while (have < sizeof(*user) && (n = read(pair[0], (char *)user + have, sizeof(*user) - have)) > 0)
		have += (size_t)n;
	close(pair[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || have < sizeof(*user))
		_exit(LAM_FAILED); /* it has said why */
}

/* The user as config.json has it, into 'out'. */
static int write_user(FILE *out, const struct lam_user *user, const char *mask)
{
	fprintf(out, "{\"uid\":%u,\"gid\":%u", user->uid, user->gid);
	if (*mask)
		fprintf(out, ",\"umask\":%lu", strtoul(mask, NULL, 8));
	for (size_t i = 0; i < user->count; i++)
		fprintf(out, "%s%u", i ? "," : ",\"additionalGids\":[", user->groups[i]);
	return fputs(user->count ? "]}" : "}", out) < 0 ? -EIO : 0;
}

static void write_config(const struct hand *hand)
{
	const struct lam_record *ids = lam_plan_first(hand->plan, LAM_OP_IDS);
	static struct lam_user user; /* large */
	int fd = openat(hand->directory, "config.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

	if (!out)
		lam_fail(LAM_FAILED, errno, "%s/config.json", hand->bundle->arg[0]);
	identify(hand, &user);
	fwrite(hand->bundle->arg[2], 1, hand->bundle->length[2], out);
	write_user(out, &user, ids && ids->count > 2 ? ids->arg[2] : "");
	fwrite(hand->bundle->arg[3], 1, hand->bundle->length[3], out);
	if (ferror(out) || fclose(out) != 0)
		lam_fail(LAM_FAILED, EIO, "%s/config.json", hand->bundle->arg[0]);
}

/*
 * Call the runtime with a verb's words, which end with NULL; 'streams' NULL: with ours.  Its exit
 * status, or -1.
 */
static int call(const struct hand *hand, const char *const *verb, const int *streams)
{
	char **prefix = lam_plan_vector(hand->plan, LAM_OP_RUNTIME);
	char *args[WORDS * 2] = { NULL };
	size_t count = 0;
	int status = -1;
	pid_t pid;

	for (; prefix && prefix[count] && count < WORDS; count++)
		args[count] = prefix[count];
	for (; *verb && count + 1 < WORDS * 2; verb++)
		args[count++] = (char *)*verb;
	pid = prefix ? fork() : -1;
	if (pid == 0) {
		for (int fd = 0; streams && fd < 3; fd++) {
			if (streams[fd] >= 0 && dup2(streams[fd], fd) < 0)
				_exit(LAM_FAILED);
		}
		execv(args[0], args);
		_exit(LAM_NOT_FOUND);
	}
	free(prefix);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void delete_container(const struct hand *hand)
{
	const char *const verb[] = { "delete", "--force", hand->bundle->arg[1], NULL };

	call(hand, verb, NULL);
}

/* A socket at 'path', which the runtime shall send the terminal to. */
static int listen_for_terminal(const struct hand *hand, char *path, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* short, wherever the bundle is; the runtime may look at what is ours only if we can be looked at */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	snprintf(path, size, "/proc/%d/fd/%d/console", (int)getpid(), hand->directory);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlinkat(hand->directory, "console", 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		lam_fail(LAM_FAILED, errno, "console socket");
	return fd;
}

/* The runtime has created the container, so it has sent the terminal. */
static void hand_terminal_on(int listener, int channel)
{
	struct pollfd ready = { listener, POLLIN, 0 };
	struct lam_message message = { .fd = -1 };
	int from = poll(&ready, 1, 0) > 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;

	if (from >= 0)
		lam_receive(from, &message); /* the words that come with it say nothing */
	if (message.fd < 0)
		lam_fail(LAM_FAILED, 0, "the runtime sent no terminal");
	if (lam_send(channel, LAM_WORD_TERMINAL, 0, message.fd) < 0)
		_exit(LAM_FAILED);
	close(message.fd);
	close(from);
	close(listener);
}

static pid_t read_pid(const struct hand *hand)
{
	char text[32] = "";
	int fd = openat(hand->directory, "pid", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (fd >= 0)
		close(fd);
	return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* Returns the container's first process, which waits to be started. */
static pid_t create(const struct hand *hand, int channel, const int streams[3])
{
	char pid_file[PATH_MAX], console[64];
	const char *verb[WORDS] = { "create", "--bundle", hand->bundle->arg[0], "--pid-file", pid_file };
	bool terminal = lam_plan_first(hand->plan, LAM_OP_TERMINAL) != NULL;
	size_t count = 5;
	int listener = -1, status;
	pid_t pid;

	snprintf(pid_file, sizeof(pid_file), "%s/pid", hand->bundle->arg[0]);
	unlinkat(hand->directory, "pid", 0);
	if (terminal) {
		listener = listen_for_terminal(hand, console, sizeof(console));
		verb[count++] = "--console-socket";
		verb[count++] = console;
	}
	verb[count++] = hand->bundle->arg[1];
	verb[count] = NULL;
	status = call(hand, verb, terminal ? NULL : streams);
	if (status != 0)
		lam_lack("runtime", 0, "the runtime does not create the container");
	pid = read_pid(hand);
	if (pid == 0) {
		delete_container(hand);
		lam_fail(LAM_FAILED, 0, "the runtime does not say which process it created");
	}
	if (terminal)
		hand_terminal_on(listener, channel);
	return pid;
}

/* Stay until the monitor has ended, or wants the container gone. */
static _Noreturn void stay(const struct hand *hand, int channel)
{
	struct pollfd monitor = { channel, POLLIN, 0 };

	lam_report_end();
	/* what we have of the monitor's would keep the container's streams open */
	close_range(STDERR_FILENO + 1, (unsigned int)channel - 1, 0);
	close_range((unsigned int)channel + 1, ~0u, 0);
	while (poll(&monitor, 1, -1) < 0 && errno == EINTR)
		;
	delete_container(hand);
	_exit(0);
}

void lam_oci_run(const struct lam_plan *plan, int channel, const int streams[3])
{
	struct hand hand = { .plan = plan, .bundle = lam_plan_first(plan, LAM_OP_BUNDLE), .directory = -1 };
	const char *verb[] = { "start", NULL, NULL };
	struct lam_message message;
	char state[PATH_MAX];
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	pid_t pid;

	prctl(PR_SET_NAME, "lamina-hand");
	if (hand.bundle && hand.bundle->count >= 4)
		hand.directory = open(hand.bundle->arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hand.directory < 0)
		lam_fail(LAM_FAILED, errno, "the runtime's bundle");
	verb[1] = hand.bundle->arg[1];
	lam_fill(plan, root); /* kernel parameters of the network; nothing else is ours */
	close(root);
	snprintf(state, sizeof(state), "state/%s", hand.bundle->arg[1]);
	if (faccessat(hand.directory, state, F_OK, 0) == 0)
		delete_container(&hand); /* of a monitor that was killed together with its hand */
	write_config(&hand);
	pid = create(&hand, channel, streams);
	for (int i = 0; i < 3; i++) {
		if (streams[i] >= 0)
			close(streams[i]); /* the container has them, and ends them */
	}
	lam_send(channel, LAM_WORD_INIT, pid, -1);
	if (lam_receive(channel, &message) != LAM_WORD_GO) {
		delete_container(&hand);
		_exit(LAM_FAILED);
	}
	if (call(&hand, verb, NULL) != 0) {
		delete_container(&hand);
		lam_lack("runtime", 0, "the runtime does not start the container");
	}
	lam_send(channel, LAM_WORD_EXEC, 0, -1);
	shutdown(channel, SHUT_WR); /* that is what the monitor waits for */
	stay(&hand, channel);
}
