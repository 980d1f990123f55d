/* SPDX-License-Identifier: MIT */
#include "monitor.h"

#include "cgroup.h"
#include "channel.h"
#include "health.h"
#include "idmap.h"
#include "network.h"
#include "oci.h"
#include "report.h"
#include "setup.h"
#include "spawn.h"
#include "state.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
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

#define END_WAIT_MS 2000     /* for the driver and the network, before SIGKILL */
#define MEMBER_ROUNDS 10000  /* of a millisecond, at generations that are being killed */
#define DELETE_WAIT_MS 10000 /* for a runtime to delete its container */

struct monitor {
	const struct lam_plan *plan;
	int directory; /* -1: no state is kept */
	int signals;   /* signalfd of SIGCHLD */
	int channel;   /* to setup and init, -1 when closed */
	int hand;      /* what was the channel to who calls an OCI runtime; closed, the container goes */
	pid_t setup, init, driver;
	struct lam_network network;
	int status; /* init's, -1 while it runs */
	bool started;
	bool held; /* the driver is stopped for somebody */
	struct lam_streams streams;
	struct lam_health health;
};

static void note_start(struct monitor *monitor)
{
	if (monitor->directory >= 0)
		lam_state_process(monitor->directory, "pid", monitor->init);
	lam_report_ready(monitor->init);
	/* what fails here has nobody to hear of it: the container is "starting" for ever */
	lam_health_begin(&monitor->health, monitor->plan, monitor->directory, monitor->init);
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
	case LAM_WORD_NETWORK:
		if (lam_network_begin(monitor->plan, &monitor->network, (pid_t)message.number))
			lam_send(monitor->channel, LAM_WORD_NETWORK, 0, -1);
		break;
	case LAM_WORD_INIT:
		monitor->init = (pid_t)message.number;
		lam_cgroup_join(monitor->plan, monitor->init);
		lam_network_forward(monitor->plan, monitor->init);
		lam_send(monitor->channel, LAM_WORD_GO, 0, -1);
		break;
	case LAM_WORD_TERMINAL:
		lam_streams_terminal(&monitor->streams, message.fd);
		break;
	case LAM_WORD_DRIVER:
		monitor->driver = (pid_t)message.number;
		if (monitor->directory >= 0)
			lam_state_process(monitor->directory, "driver", monitor->driver);
		break;
	case LAM_WORD_EXEC:
		monitor->started = true;
		break;
	case LAM_WORD_FAILED:
		monitor->started = false;
		break;
	default:
		/* closed: the program runs, or its process has reported why not */
		if (lam_oci_wanted(monitor->plan))
			monitor->hand = monitor->channel;
		else
			close(monitor->channel);
		monitor->channel = -1;
		if (monitor->started)
			note_start(monitor);
		break;
	}
}

/* Nothing can be read in the container any more. */
static void lose_driver(struct monitor *monitor)
{
	monitor->driver = 0;
	if (monitor->init > 0 && monitor->status < 0)
		kill(monitor->init, SIGKILL);
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
		else if (pid == monitor->setup && status != 0 && !monitor->started)
			monitor->status = status; /* it has reported */
		else if (pid == monitor->driver)
			lose_driver(monitor);
		else if (pid == monitor->network.helper)
			monitor->network.status = status;
		else
			lam_health_ended(&monitor->health, pid, status);
	}
}

/* In a fork: carry out the health check's plan, holding nothing of the container's. */
static _Noreturn void become_probe(struct monitor *monitor)
{
	static struct lam_plan plan;

	plan = monitor->health.plan;
	monitor->health.plan.count = 0;
	close_range(3, ~0u, 0);
	_exit(lam_monitor_run(&plan));
}

static void hear_network(struct monitor *monitor)
{
	lam_network_answer(monitor->plan, &monitor->network);
	if (monitor->network.ready < 0)
		lam_send(monitor->channel, LAM_WORD_NETWORK, 0, -1);
}

/* Stop the driver while somebody wants that, and let it go on when he has gone. */
static void hold_driver(struct monitor *monitor, bool wanted)
{
	if (wanted == monitor->held || monitor->driver <= 0)
		return;
	kill(monitor->driver, wanted ? SIGSTOP : SIGCONT);
	monitor->held = wanted;
}

/* One turn of the loop. */
static void turn(struct monitor *monitor)
{
	bool talks = monitor->started || !lam_oci_wanted(monitor->plan);
	struct pollfd fds[3 + LAM_STREAM_FDS] = {
		{ monitor->signals, POLLIN, 0 },
		{ monitor->channel, POLLIN, 0 },
		{ monitor->network.ready, POLLIN, 0 },
	};

	/* until it runs, an OCI runtime speaks in its container's place: what of that matters is in its log */
	if (talks)
		lam_streams_watch(&monitor->streams, fds + 3);
	if (poll(fds, talks ? 3 + LAM_STREAM_FDS : 3, lam_health_wait(&monitor->health)) < 0)
		return;
	if (fds[1].revents)
		converse(monitor);
	if (talks)
		lam_streams_serve(&monitor->streams, fds + 3);
	hold_driver(monitor, monitor->streams.attach.holding != 0);
	if (fds[0].revents)
		reap(monitor);
	if (fds[2].revents || (monitor->network.ready >= 0 && monitor->network.status >= 0))
		hear_network(monitor);
	if (monitor->status < 0 && lam_health_turn(&monitor->health))
		become_probe(monitor);
}

/* Every child we still have, but for these, gets the signal; false when there is none. */
static bool signal_others(int sig, const pid_t spared[3])
{
	char path[64], text[4096], *at = text;
	bool any = false;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (long pid; (pid = strtol(at, &at, 10)) > 0;) {
		if (pid == spared[0] || pid == spared[1] || pid == spared[2])
			continue;
		kill((pid_t)pid, sig);
		any = true;
	}
	return any;
}

static bool signal_children(int sig)
{
	return signal_others(sig, (const pid_t[3]){ 0 });
}

/*
 * Without a pid namespace nothing ends what the first process leaves behind.  As a subreaper we get
 * it as our children, one generation after the other.
 */
static void end_members(const struct monitor *monitor)
{
	const pid_t spared[] = { monitor->driver, monitor->network.helper, monitor->setup };
	const struct timespec step = { .tv_nsec = 1000000 };
	uint64_t flags = lam_record_number(lam_plan_first(monitor->plan, LAM_OP_WHOLE), 0, 0);

	if (flags & CLONE_NEWPID || lam_plan_first(monitor->plan, LAM_OP_JOIN))
		return;
	for (int round = 0; round < MEMBER_ROUNDS; round++) {
		if (!signal_others(SIGKILL, spared))
			return;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		nanosleep(&step, NULL);
	}
}

/* Have the runtime delete what it made, as long as its files and namespaces are there. */
static void dismiss_hand(struct monitor *monitor)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	if (monitor->hand < 0)
		return;
	close(monitor->hand);
	monitor->hand = -1;
	for (int waited = 0; waited < DELETE_WAIT_MS && waitpid(monitor->setup, NULL, WNOHANG) == 0; waited++)
		nanosleep(&step, NULL);
}

/* End the helpers, above all the driver: whoever waits for the container's end waits for this. */
static void end_children(void)
{
	const struct timespec step = { .tv_nsec = 5000000 };
	sigset_t ends; /* blocked since prepare() */

	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	signal_children(SIGTERM);
	for (int waited = 0; waited < END_WAIT_MS; waited += 5) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return; /* ECHILD: none left */
		sigtimedwait(&ends, NULL, &step);
	}
	if (signal_children(SIGKILL))
		while (waitpid(-1, NULL, 0) > 0)
			;
}

static void prepare(struct monitor *monitor)
{
	const struct lam_record *directory = lam_plan_first(monitor->plan, LAM_OP_DIRECTORY);
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	monitor->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (monitor->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		lam_fail(LAM_FAILED, errno, "become the monitor");
	lam_network_inherit(monitor->plan);
	if (directory) {
		monitor->directory = lam_state_open(directory->arg[0]);
		if (monitor->directory < 0)
			lam_fail(LAM_FAILED, -monitor->directory, "%s", directory->arg[0]);
	}
	lam_streams_open(&monitor->streams, monitor->plan,
			 directory ? directory->arg[directory->count - 1] : NULL);
	prctl(PR_SET_NAME, "lamina-monitor"); /* and not the number of a descriptor */
	if (chdir("/") < 0)		      /* keep no file system of the host busy */
		lam_fail(LAM_FAILED, errno, "/");
}

/* Tell everybody, then leave the rest to the command that comes after, if nobody here sees to it. */
static void finish(struct monitor *monitor)
{
	const struct lam_record *client = lam_plan_first(monitor->plan, LAM_OP_CLIENT);
	char **after = lam_plan_vector(monitor->plan, LAM_OP_AFTER);
	sigset_t none;

	if (monitor->started) /* else only the report speaks: who asked may try again with his connection */
		lam_streams_tell(&monitor->streams, monitor->status);
	if (monitor->started && after && after[0] && !(client && lam_streams_known(&monitor->streams))) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv(after[0], after); /* the lock and the sockets close with it */
	}
	free(after);
	lam_streams_close(&monitor->streams);
}

static void start(struct monitor *monitor)
{
	int pair[2], theirs[3];

	lam_streams_make(&monitor->streams, monitor->plan, theirs);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		lam_fail(LAM_FAILED, errno, "socket pair");
	monitor->setup = fork();
	if (monitor->setup < 0)
		lam_fail(LAM_FAILED, errno, "fork");
	if (monitor->setup == 0) {
		close(pair[0]);
		if (monitor->directory >= 0)
			close(monitor->directory); /* its lock is the monitor's alone */
		lam_network_disinherit(monitor->plan);
		lam_setup(monitor->plan, pair[1], theirs);
	}
	close(pair[1]);
	monitor->channel = pair[0];
	for (int i = 0; i < 3; i++) {
		if (theirs[i] >= 0)
			close(theirs[i]);
	}
}

int lam_monitor_run(const struct lam_plan *plan)
{
	static struct monitor monitor; /* large, and most of it is never touched */

	monitor.plan = plan;
	monitor.directory = monitor.channel = monitor.hand = monitor.status = -1;
	monitor.setup = monitor.init = monitor.driver = 0;
	monitor.network = (struct lam_network){ .ready = -1, .held = -1, .said = -1, .status = -1 };
	monitor.started = monitor.held = false;
	prepare(&monitor);
	start(&monitor);
	while (monitor.status < 0 || monitor.channel >= 0)
		turn(&monitor);
	hold_driver(&monitor, false);
	end_members(&monitor);
	if (monitor.started || !lam_oci_wanted(plan))
		lam_streams_drain(&monitor.streams);
	dismiss_hand(&monitor);
	end_children();
	if (monitor.directory >= 0 && lam_cgroup_leave(plan))
		lam_state_put(monitor.directory, "oom", "1\n");
	if (monitor.directory >= 0 && monitor.started && lam_plan_first(plan, LAM_OP_AFTER))
		lam_state_process(monitor.directory, "restarting", getpid());
	if (monitor.directory >= 0 && monitor.started)
		lam_state_ended(monitor.directory, monitor.status);
	finish(&monitor);
	return monitor.status;
}
