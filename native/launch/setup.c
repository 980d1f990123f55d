/* SPDX-License-Identifier: MIT */
#include "setup.h"

#include "channel.h"
#include "fill.h"
#include "network.h"
#include "oci.h"
#include "program.h"
#include "record.h"
#include "report.h"
#include "spawn.h"
#include "state.h"
#include "terminal.h"
#include "union.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* whoever shares these sees us, and could trace us */
#define INTO_A_CONTAINER (CLONE_NEWPID | CLONE_NEWNS)
#define DRIVER_READY 3 /* the descriptor that plan.h promises it */

static void expect(int channel, enum lam_word word)
{
	struct lam_message message;

	if (lam_receive(channel, &message) != (int)word)
		_exit(LAM_FAILED); /* the monitor has reported, or is gone */
}

static void enter(const struct lam_record *join)
{
	pid_t pid = (pid_t)lam_record_number(join, 0, 10);
	int flags = (int)lam_record_number(join, 1, 0);
	uint64_t began = lam_record_number(join, 2, 10);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		lam_fail(LAM_FAILED, errno, "the container's process %d", (int)pid);
	/* asked while the descriptor keeps the process, so that its number is nobody else's */
	if (began && lam_state_start_time(pid) != began)
		lam_fail(LAM_FAILED, ESRCH, "the container's process %d", (int)pid);
	if (setns(fd, flags) < 0)
		lam_fail(LAM_FAILED, errno, "enter the namespaces of process %d", (int)pid);
	close(fd);
}

/* Become root of the user namespace we are in. */
static void become_root(void)
{
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		lam_fail(LAM_FAILED, errno, "setgroups");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		lam_fail(LAM_FAILED, errno, "become root of the user namespace");
}

/* Signals as a program expects them: nothing blocked, nothing ignored. */
static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Start the driver; returns what tells when its mount is usable.  It is the monitor's child, so that
 * it ends with the monitor however that ends.
 */
static int start_driver(char **args, int channel)
{
	struct pollfd monitor = { channel, 0, 0 }; /* its end only: words are for setup */
	int pair[2];
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		lam_fail(LAM_FAILED, errno, "pipe");
	pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		lam_fail(LAM_FAILED, errno, "start the driver");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (poll(&monitor, 1, 0) > 0)
			_exit(LAM_FAILED); /* the monitor was killed before it could take us along */
		reset_signals();
		if (pair[1] == DRIVER_READY)
			fcntl(pair[1], F_SETFD, 0);
		else
			dup2(pair[1], DRIVER_READY);
		execv(args[0], args);
		_exit(LAM_NOT_FOUND);
	}
	close(pair[1]);
	lam_send(channel, LAM_WORD_DRIVER, pid, -1);
	return pair[0];
}

static void await_driver(int ready)
{
	char byte;

	if (read(ready, &byte, 1) != 1)
		lam_fail(LAM_FAILED, 0, "the driver could not mount the image");
	close(ready);
}

/* What leads out of it is started while we go on. */
static void make_network(int channel)
{
	int err;

	if (unshare(CLONE_NEWNET) < 0)
		lam_lack("network", errno, "make a network namespace");
	err = lam_network_loopback();
	if (err < 0)
		lam_fail(LAM_FAILED, -err, "loopback device");
	lam_send(channel, LAM_WORD_NETWORK, getpid(), -1);
}

/* One after the other, so that it can be said which one the host refused. */
static void make_others(int flags)
{
	static const struct {
		int flag;
		const char *name;
	} kinds[] = { { CLONE_NEWIPC, "ipc" },
		      { CLONE_NEWUTS, "uts" },
		      { CLONE_NEWPID, "pid" },
		      { CLONE_NEWTIME, "time" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if ((flags & kinds[i].flag) && unshare(kinds[i].flag) < 0)
			lam_lack(kinds[i].name, errno, "make a %s namespace", kinds[i].name);
	}
}

/* Returns what lam_record_start() gives. */
static int make_namespaces(const struct lam_plan *plan, int channel, int flags)
{
	char **driver;
	int ready = -1, recorder = -1;

	if (flags & CLONE_NEWUSER) {
		if (unshare(CLONE_NEWUSER) < 0)
			lam_lack("user", errno, "make a user namespace");
		lam_send(channel, LAM_WORD_MAP, 0, -1);
		expect(channel, LAM_WORD_MAP);
		become_root();
		recorder = lam_record_start(plan, NULL);
	}
	if (flags & CLONE_NEWNS) {
		if (unshare(CLONE_NEWNS) < 0)
			lam_lack("mount", errno, "make a mount namespace");
		if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
			lam_fail(LAM_FAILED, errno, "keep our mounts to ourselves");
	}
	driver = lam_plan_vector(plan, LAM_OP_DRIVER);
	if (!driver)
		lam_fail(LAM_FAILED, ENOMEM, "driver");
	if (driver[0])
		ready = start_driver(driver, channel);
	free(driver);
	if (flags & CLONE_NEWNET)
		make_network(channel);
	if (ready >= 0) {
		await_driver(ready);
		/*
		 * From here in a copy: pivot_root(2) moves whoever has the same root, and the driver
		 * must not come to look for its own files in the container.
		 */
		if ((flags & CLONE_NEWNS) && unshare(CLONE_NEWNS) < 0)
			lam_fail(LAM_FAILED, errno, "make a mount namespace");
	}
	lam_union_mount(plan);
	make_others(flags);
	return recorder;
}

static void configure_network(const struct lam_plan *plan)
{
	int err = lam_network_configure(plan);

	if (err < 0)
		lam_fail(LAM_FAILED, -err, "network addresses");
}

static void standard_streams(const int streams[3])
{
	for (int fd = 0; fd < 3; fd++) {
		if (streams[fd] >= 0 && dup2(streams[fd], fd) < 0)
			lam_fail(LAM_FAILED, errno, "standard streams");
	}
}

static _Noreturn void init(const struct lam_plan *plan, int channel, const int streams[3], int recorder)
{
	bool joined = lam_record_number(lam_plan_first(plan, LAM_OP_JOIN), 1, 0) & INTO_A_CONTAINER;
	bool chrooted = lam_record_is(lam_plan_first(plan, LAM_OP_ROOT), 1, "chroot");
	bool terminal = lam_plan_first(plan, LAM_OP_TERMINAL) != NULL;
	uint64_t flags = lam_record_number(lam_plan_first(plan, LAM_OP_NAMESPACES), 0, 0);
	static struct lam_user user; /* large */
	int root, master = -1;

	expect(channel, LAM_WORD_GO);
	if ((flags & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		lam_lack("cgroup", errno, "make a cgroup namespace");
	root = lam_root_open(plan);
	lam_fill(plan, root);
	if (terminal && chrooted) /* there is none in it */
		master = lam_terminal_open("/dev/ptmx", 0);
	lam_root_enter(plan, root);
	close(root);
	if (terminal && !chrooted)
		master = lam_terminal_open("/dev/pts/ptmx", O_NOFOLLOW);
	/* a session keyring of its own: keys are not in any namespace of ours */
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
	reset_signals();
	lam_program_identify(plan, &user);
	if (terminal) {
		lam_terminal_take(plan, channel, master, user.uid);
	} else {
		standard_streams(streams);
		setsid();
	}
	if (!joined)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* /proc/self is ours to write below */
	lam_program_confine(plan, &user, recorder);
	/* without its monitor nobody would see its end; SIGKILL reaches process 1 from outside too */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (lam_send(channel, LAM_WORD_EXEC, 0, -1) < 0)
		_exit(LAM_FAILED); /* it died before that */
	lam_program_execute(plan, &user, channel);
}

void lam_setup(const struct lam_plan *plan, int channel, const int streams[3])
{
	const struct lam_record *join = lam_plan_first(plan, LAM_OP_JOIN);
	int flags = (int)lam_record_number(lam_plan_first(plan, LAM_OP_NAMESPACES), 0, 0);
	int recorder = -1, made;
	pid_t pid;

	if (join) {
		recorder = lam_record_start(plan, join);
		if (lam_record_number(join, 1, 0) & INTO_A_CONTAINER)
			prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		if (lam_record_number(join, 1, 0)) /* none where it has only a root of its own */
			enter(join);
		if (lam_record_number(join, 1, 0) & CLONE_NEWUSER)
			become_root();
		if (lam_record_number(join, 1, 0) & CLONE_NEWNET)
			configure_network(plan);
	}
	made = make_namespaces(plan, channel, flags);
	if (flags & CLONE_NEWNET) {
		expect(channel, LAM_WORD_NETWORK);
		configure_network(plan);
	}
	if (lam_oci_wanted(plan)) {
		reset_signals();
		lam_oci_run(plan, channel, streams);
	}
	pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		lam_fail(LAM_FAILED, errno, "start the first process");
	if (pid == 0)
		init(plan, channel, streams, join ? recorder : made);
	lam_send(channel, LAM_WORD_INIT, pid, -1);
	_exit(0);
}
