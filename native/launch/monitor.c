/* SPDX-License-Identifier: MIT */
/* Past 400 lines: one loop and the state only it has; its parts (log, attach, state, spawn) are files already. */
#include "monitor.h"

#include "attach.h"
#include "channel.h"
#include "idmap.h"
#include "log.h"
#include "report.h"
#include "setup.h"
#include "spawn.h"
#include "state.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_WAIT_MS 2000 /* for the driver and the network, before SIGKILL */

struct monitor {
	const struct lam_plan *plan;
	int directory; /* -1: no state is kept */
	int signals;   /* signalfd of SIGCHLD */
	int channel;   /* to setup and init, -1 when closed */
	int master;    /* the terminal, or -1 */
	int input;     /* the program's standard input, or -1 */
	int output[2]; /* its standard output and error, or -1 */
	pid_t setup, init, network;
	int status; /* init's, -1 while it runs */
	bool started;
	size_t fed, given; /* of 'feed', what the program has taken and what there is */
	char feed[LAM_PACKET];
	struct lam_log log;
	struct lam_attach attach;
};

static void close_once(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void open_streams(struct monitor *monitor, int theirs[3])
{
	const struct lam_plan *plan = monitor->plan;
	int pair[2];

	theirs[0] = theirs[1] = theirs[2] = -1;
	if (lam_plan_first(plan, LAM_OP_TERMINAL) || lam_plan_first(plan, LAM_OP_STDIO))
		return;
	for (int i = 1; i < 3; i++) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			lam_fail(LAM_FAILED, errno, "pipe");
		monitor->output[i - 1] = pair[0];
		theirs[i] = pair[1];
	}
	if (lam_plan_first(plan, LAM_OP_STDIN)) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			lam_fail(LAM_FAILED, errno, "pipe");
		monitor->input = pair[1];
		theirs[0] = pair[0];
		fcntl(pair[1], F_SETFL, O_NONBLOCK);
	} else {
		theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
}

static void join_cgroup(const struct monitor *monitor)
{
	const struct lam_record *record = NULL;
	char number[16];

	snprintf(number, sizeof(number), "%d\n", (int)monitor->init);
	while ((record = lam_plan_next(monitor->plan, LAM_OP_CGROUP, record)) != NULL) {
		int fd = open(record->arg[0], O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, number, strlen(number)) < 0)
			lam_fail(LAM_FAILED, errno, "join the cgroup %s", record->arg[0]);
		close(fd);
	}
}

static void start_network(struct monitor *monitor)
{
	char **args = lam_plan_vector(monitor->plan, LAM_OP_NETWORK), number[16];

	if (!args)
		lam_fail(LAM_FAILED, ENOMEM, "network");
	snprintf(number, sizeof(number), "%d", (int)monitor->init);
	for (char **arg = args; *arg; arg++) {
		if (strcmp(*arg, "{pid}") == 0)
			*arg = number;
	}
	if (args[0]) {
		monitor->network = lam_spawn(args);
		if (monitor->network < 0)
			lam_fail(LAM_FAILED, -monitor->network, "%s", args[0]);
	}
	free(args);
}

/* One message of setup or init. */
static void converse(struct monitor *monitor)
{
	struct lam_message message;

	switch (lam_receive(monitor->channel, &message)) {
	case LAM_WORD_MAP:
		lam_idmap_write(monitor->plan, monitor->setup);
		lam_send(monitor->channel, LAM_WORD_MAP, 0, -1);
		break;
	case LAM_WORD_INIT:
		monitor->init = (pid_t)message.number;
		join_cgroup(monitor);
		start_network(monitor);
		lam_send(monitor->channel, LAM_WORD_GO, 0, -1);
		break;
	case LAM_WORD_TERMINAL:
		monitor->master = message.fd;
		fcntl(message.fd, F_SETFL, O_NONBLOCK);
		break;
	case LAM_WORD_EXEC:
		monitor->started = true;
		break;
	default:
		/* closed: the program runs, or its process has reported why not */
		close_once(&monitor->channel);
		if (monitor->started) {
			if (monitor->directory >= 0)
				lam_state_running(monitor->directory, monitor->init);
			lam_report_ready(monitor->init);
		}
		break;
	}
}

static void reap(struct monitor *monitor)
{
	struct signalfd_siginfo info;
	ssize_t n = read(monitor->signals, &info, sizeof(info));
	int how;

	(void)n;
	for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
		int status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);

		if (pid == monitor->init)
			monitor->status = status;
		else if (pid == monitor->setup && status != 0)
			monitor->status = status; /* it has reported */
	}
}

/* What the container wrote; false at the end. */
static bool copy_output(struct monitor *monitor, int fd, int stream)
{
	char data[LAM_PACKET - 1];
	ssize_t n = read(fd, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false; /* a terminal says EIO when nobody has it open */
	lam_log_write(&monitor->log, stream, data, (size_t)n);
	lam_attach_send(&monitor->attach, stream ? 'e' : 'o', data, (size_t)n);
	return true;
}

static int input_of(const struct monitor *monitor)
{
	return monitor->master >= 0 ? monitor->master : monitor->input;
}

/* Give the program what it takes of its input; neither a full pipe nor a full terminal is waited for. */
static void feed(struct monitor *monitor)
{
	int fd = input_of(monitor);
	ssize_t n = fd < 0 ? -1 : write(fd, monitor->feed + monitor->fed, monitor->given - monitor->fed);

	if (n >= 0)
		monitor->fed += (size_t)n;
	else if (fd >= 0 && (errno == EAGAIN || errno == EINTR))
		return;
	else
		monitor->fed = monitor->given; /* it does not read any more */
	if (n < 0)
		close_once(&monitor->input);
}

static void hear(struct monitor *monitor, int client)
{
	char packet[LAM_PACKET + 1];
	size_t size = lam_attach_receive(&monitor->attach, client, packet);
	unsigned int rows, columns;

	if (size == 0)
		return;
	packet[size] = '\0';
	switch (packet[0]) {
	case 'i':
		memcpy(monitor->feed, packet + 1, size - 1);
		monitor->fed = 0;
		monitor->given = size - 1;
		feed(monitor);
		break;
	case 'c':
		close_once(&monitor->input);
		break;
	case 'w':
		if (monitor->master >= 0 && sscanf(packet + 1, "%u %u", &rows, &columns) == 2)
			lam_terminal_resize(monitor->master, rows, columns);
		break;
	default:
		break;
	}
}

/* poll(2) leaves out negative descriptors. */
static int only_if(bool wanted, int fd)
{
	return wanted ? fd : -1;
}

/* One turn of the loop. */
static void turn(struct monitor *monitor)
{
	struct lam_attach *attach = &monitor->attach;
	bool sent = attach->waiting == 0, fed = monitor->fed == monitor->given;
	struct pollfd fds[7 + LAM_CLIENTS] = {
		{ monitor->signals, POLLIN, 0 },
		{ monitor->channel, POLLIN, 0 },
		{ only_if(sent, monitor->master), POLLIN, 0 },
		{ only_if(sent, monitor->output[0]), POLLIN, 0 },
		{ only_if(sent, monitor->output[1]), POLLIN, 0 },
		{ attach->listener, POLLIN, 0 },
		{ only_if(!fed, input_of(monitor)), POLLOUT, 0 },
	};
	int *outputs[] = { &monitor->master, &monitor->output[0], &monitor->output[1] };

	for (int i = 0; i < LAM_CLIENTS; i++) {
		short events = (short)((fed ? POLLIN : 0) | (attach->waiting >> i & 1 ? POLLOUT : 0));

		fds[7 + i] = (struct pollfd){ attach->clients[i], events, 0 };
	}
	if (poll(fds, 7 + LAM_CLIENTS, -1) < 0)
		return;
	if (fds[1].revents)
		converse(monitor);
	if (!sent)
		lam_attach_sent(attach);
	if (fds[6].revents)
		feed(monitor);
	for (int i = 0; i < LAM_CLIENTS && monitor->fed == monitor->given; i++) {
		if ((fds[7 + i].revents & ~POLLOUT) && attach->clients[i] >= 0)
			hear(monitor, i);
	}
	for (int i = 0; i < 3 && attach->waiting == 0; i++) {
		if (fds[2 + i].revents && !copy_output(monitor, *outputs[i], i == 2))
			close_once(outputs[i]);
	}
	if (fds[5].revents)
		lam_attach_accept(attach);
	if (fds[0].revents)
		reap(monitor);
}

/* Wait, but not for ever, until all who are attached have what was sent; who has not, is dropped. */
static void flush(struct lam_attach *attach)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	for (int waited = 0; waited < END_WAIT_MS && !lam_attach_sent(attach); waited++)
		nanosleep(&step, NULL);
	lam_attach_drop_waiting(attach);
}

/* What was written before the end but not yet copied: no more can come but from who outlives init. */
static void drain(struct monitor *monitor)
{
	int *fds[] = { &monitor->master, &monitor->output[0], &monitor->output[1] };

	for (int i = 0; i < 3; i++) {
		struct pollfd ready = { *fds[i], POLLIN, 0 };

		while (*fds[i] >= 0 && poll(&ready, 1, 0) > 0) {
			flush(&monitor->attach);
			if (!copy_output(monitor, *fds[i], i == 2))
				break;
		}
		close_once(fds[i]);
	}
}

/* Every child we still have gets the signal; false when there is none. */
static bool signal_children(int sig)
{
	char path[64], text[4096], *at = text;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (long pid; (pid = strtol(at, &at, 10)) > 0;)
		kill((pid_t)pid, sig);
	return n > 0;
}

static void end_children(void)
{
	const struct timespec step = { .tv_nsec = 5000000 };

	signal_children(SIGTERM);
	for (int waited = 0; waited < END_WAIT_MS; waited += 5) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return; /* ECHILD: none left */
		nanosleep(&step, NULL);
	}
	if (signal_children(SIGKILL))
		while (waitpid(-1, NULL, 0) > 0)
			;
}

static void prepare(struct monitor *monitor)
{
	const struct lam_record *directory = lam_plan_first(monitor->plan, LAM_OP_DIRECTORY);
	const struct lam_record *log = lam_plan_first(monitor->plan, LAM_OP_LOG);
	const struct lam_record *client = lam_plan_first(monitor->plan, LAM_OP_CLIENT);
	sigset_t mask;
	int err;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	monitor->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (monitor->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		lam_fail(LAM_FAILED, errno, "become the monitor");
	if (directory) {
		monitor->directory = lam_state_open(directory->arg[0]);
		if (monitor->directory < 0)
			lam_fail(LAM_FAILED, -monitor->directory, "%s", directory->arg[0]);
	}
	err = lam_log_open(&monitor->log, log ? log->arg[0] : NULL);
	if (err == 0)
		err = lam_attach_open(&monitor->attach,
				      directory ? directory->arg[directory->count - 1] : NULL);
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "the container's directory %s",
			 directory ? directory->arg[0] : "");
	if (client)
		lam_attach_first(&monitor->attach, (int)lam_record_number(client, 0, 10));
	if (chdir("/") < 0) /* keep no file system of the host busy */
		lam_fail(LAM_FAILED, errno, "/");
}

/* Tell everybody, then leave the rest to the command that comes after, if nobody here sees to it. */
static void finish(struct monitor *monitor)
{
	const struct lam_record *client = lam_plan_first(monitor->plan, LAM_OP_CLIENT);
	char **after = lam_plan_vector(monitor->plan, LAM_OP_AFTER);
	char text[16];
	sigset_t none;

	snprintf(text, sizeof(text), "%d", monitor->status);
	flush(&monitor->attach);
	lam_attach_send(&monitor->attach, 'x', text, strlen(text));
	flush(&monitor->attach);
	if (monitor->started && after && after[0] && !(client && monitor->attach.clients[0] >= 0)) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv(after[0], after); /* the lock and the sockets close with it */
	}
	free(after);
	lam_attach_close(&monitor->attach);
}

static void start(struct monitor *monitor)
{
	int pair[2], theirs[3];

	open_streams(monitor, theirs);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		lam_fail(LAM_FAILED, errno, "socket pair");
	monitor->setup = fork();
	if (monitor->setup < 0)
		lam_fail(LAM_FAILED, errno, "fork");
	if (monitor->setup == 0) {
		close(pair[0]);
		close_once(&monitor->directory); /* its lock is the monitor's alone */
		lam_setup(monitor->plan, pair[1], theirs);
	}
	close(pair[1]);
	monitor->channel = pair[0];
	for (int i = 0; i < 3; i++)
		close_once(&theirs[i]);
}

int lam_monitor_run(const struct lam_plan *plan)
{
	struct monitor monitor = { .plan = plan,
				   .directory = -1,
				   .channel = -1,
				   .master = -1,
				   .input = -1,
				   .output = { -1, -1 },
				   .status = -1 };

	prepare(&monitor);
	start(&monitor);
	while (monitor.status < 0 || monitor.channel >= 0)
		turn(&monitor);
	drain(&monitor);
	lam_log_close(&monitor.log);
	end_children();
	if (monitor.directory >= 0 && monitor.started)
		lam_state_ended(monitor.directory, monitor.status);
	finish(&monitor);
	return monitor.status;
}
