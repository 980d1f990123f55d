/* SPDX-License-Identifier: MIT */
#include "network.h"

#include "report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD 3 /* what plan.h promises the helper */
#define EXIT_FD 4
#define FIRST_FREE 16
#define ANSWER_MAX 512
#define KEEPER_WAIT 10 /* seconds */

static void no_signals_blocked(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

/* The vector of a command, with "{pid}" replaced by 'number'. */
static char **command(const struct lam_plan *plan, enum lam_op op, char *number)
{
	char **args = lam_plan_vector(plan, op);

	for (char **arg = args; arg && *arg; arg++) {
		if (strcmp(*arg, "{pid}") == 0)
			*arg = number;
	}
	return args;
}

static _Noreturn void run_helper(char **args, int ready, int held, int said)
{
	/* out of the way of the numbers that they are to have */
	int from = fcntl(ready, F_DUPFD, FIRST_FREE), last = fcntl(held, F_DUPFD, FIRST_FREE);

	no_signals_blocked();
	if (from < 0 || last < 0 || dup2(said, STDOUT_FILENO) < 0 || dup2(said, STDERR_FILENO) < 0 ||
	    dup2(from, READY_FD) < 0 || dup2(last, EXIT_FD) < 0)
		_exit(LAM_FAILED);
	close(from);
	close(last);
	execv(args[0], args);
	_exit(LAM_NOT_FOUND);
}

static void start_helper(struct lam_network *network, char **args)
{
	int ready[2], held[2];

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(held, O_CLOEXEC) < 0)
		lam_fail(LAM_FAILED, errno, "pipe");
	network->said = memfd_create("helper", MFD_CLOEXEC);
	network->helper = network->said < 0 ? -1 : fork();
	if (network->helper < 0)
		lam_fail(LAM_FAILED, errno, "start %s", args[0]);
	if (network->helper == 0)
		run_helper(args, ready[1], held[0], network->said);
	close(ready[1]);
	close(held[0]);
	network->ready = ready[0];
	network->held = held[1];
}

/* Where an answer of the keeper says why not, cut out of its JSON. */
static const char *refusal(char *text)
{
	char *from = strstr(text, "\"error\": \""), *to;

	from = from ? from + strlen("\"error\": \"") : text;
	to = strrchr(from, '"');
	if (to)
		*to = '\0';
	return from;
}

/* The connection stays open: it is what holds the container's place. */
static void ask_keeper(int fd, pid_t pid)
{
	const struct timeval patience = { .tv_sec = KEEPER_WAIT };
	char text[ANSWER_MAX + 1];
	int size = snprintf(text, sizeof(text), "{\"do\": \"attach\", \"pid\": %d}", (int)pid);
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	n = send(fd, text, (size_t)size, MSG_NOSIGNAL) < 0 ? -1 : recv(fd, text, ANSWER_MAX, 0);
	if (n <= 0)
		lam_fail(LAM_FAILED, n < 0 ? errno : 0, "network: its keeper does not answer");
	text[n] = '\0';
	if (strncmp(text, "{\"done\"", 7) != 0)
		lam_fail(LAM_FAILED, 0, "network: %s", refusal(text));
}

int lam_network_begin(const struct lam_plan *plan, struct lam_network *network, pid_t pid)
{
	const struct lam_record *keeper = NULL;
	char number[16], **args;

	while ((keeper = lam_plan_next(plan, LAM_OP_KEEPER, keeper)) != NULL)
		ask_keeper((int)lam_record_number(keeper, 0, 10), pid);
	snprintf(number, sizeof(number), "%d", (int)pid);
	args = command(plan, LAM_OP_NETWORK, number);
	if (!args)
		lam_fail(LAM_FAILED, ENOMEM, "network");
	if (args[0])
		start_helper(network, args);
	free(args);
	return network->ready < 0;
}

/* A helper that goes to the background says that it is ready by ending well. */
static bool ended_well(struct lam_network *network)
{
	int status;

	if (network->status < 0 && waitpid(network->helper, &status, 0) == network->helper)
		network->status = WIFEXITED(status) ? WEXITSTATUS(status) : LAM_FAILED;
	return network->status == 0;
}

/* The first line of what the helper wrote that is no warning: what went wrong before anything else. */
static const char *first_words(const struct lam_network *network, char *text, size_t size)
{
	ssize_t n = pread(network->said, text, size - 1, 0);
	char *save = NULL, *line;

	text[n > 0 ? n : 0] = '\0';
	line = strtok_r(text, "\n", &save);
	while (line && strncmp(line, "WARNING", 7) == 0)
		line = strtok_r(NULL, "\n", &save);
	return line ? line : "failed without a word";
}

void lam_network_answer(const struct lam_plan *plan, struct lam_network *network)
{
	const struct lam_record *first = lam_plan_first(plan, LAM_OP_NETWORK);
	char text[ANSWER_MAX + 1];
	ssize_t n = network->status < 0 ? read(network->ready, text, ANSWER_MAX) : 0;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	text[n > 0 ? n : 0] = '\0';
	if (n <= 0 && !ended_well(network))
		lam_fail(LAM_FAILED, 0, "network: %s: %s", first ? first->arg[0] : "its helper",
			 first_words(network, text, sizeof(text)));
	close(network->ready);
	close(network->said);
	network->said = network->ready = -1;
}

static void each(const struct lam_plan *plan, enum lam_op op, int (*action)(int fd))
{
	const struct lam_record *record = NULL;

	while ((record = lam_plan_next(plan, op, record)) != NULL)
		action((int)lam_record_number(record, 0, 10));
}

static int close_at_exec(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int stay_at_exec(int fd)
{
	return fcntl(fd, F_SETFD, 0);
}

void lam_network_disinherit(const struct lam_plan *plan)
{
	each(plan, LAM_OP_LISTENER, close);
	each(plan, LAM_OP_KEEPER, close);
}

void lam_network_inherit(const struct lam_plan *plan)
{
	each(plan, LAM_OP_LISTENER, close_at_exec);
	each(plan, LAM_OP_KEEPER, close_at_exec);
}

static void drop_everything(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static _Noreturn void run_forwarder(const struct lam_plan *plan, char **args, pid_t pid, pid_t parent)
{
	const struct lam_record *join = lam_plan_first(plan, LAM_OP_JOIN);
	uint64_t flags = lam_record_number(lam_plan_first(plan, LAM_OP_NAMESPACES), 0, 0) |
			 lam_record_number(join, 1, 0);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	no_signals_blocked();
	if (fd < 0 || setns(fd, (int)(flags & CLONE_NEWUSER) | CLONE_NEWNET) < 0)
		_exit(LAM_FAILED);
	drop_everything();
	each(plan, LAM_OP_LISTENER, stay_at_exec);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() == parent)
		execv(args[0], args);
	_exit(LAM_NOT_FOUND);
}

void lam_network_forward(const struct lam_plan *plan, pid_t pid)
{
	char **args = command(plan, LAM_OP_FORWARD, NULL);
	pid_t parent = getpid(), child;

	if (args && args[0]) {
		child = fork();
		if (child < 0)
			lam_fail(LAM_FAILED, errno, "fork");
		if (child == 0)
			run_forwarder(plan, args, pid, parent);
	}
	free(args);
	each(plan, LAM_OP_LISTENER, close);
}

static int raise_device(int fd, const char *name)
{
	struct ifreq request = { .ifr_flags = 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

int lam_network_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	err = raise_device(fd, "lo");
	close(fd);
	return err;
}

static void set_address(struct sockaddr *to, uint32_t address)
{
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = address };

	memcpy(to, &in, sizeof(in));
}

static int set_route(int fd, const char *gateway)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	set_address(&route.rt_dst, INADDR_ANY);
	set_address(&route.rt_genmask, INADDR_ANY);
	set_address(&route.rt_gateway, inet_addr(gateway));
	return ioctl(fd, SIOCADDRT, &route) < 0 ? -errno : 0;
}

/* name, address or "", prefix length, gateway or "" */
static int configure(int fd, const struct lam_record *record)
{
	uint64_t bits = lam_record_number(record, 2, 10);
	struct ifreq request = { .ifr_flags = 0 };
	int err;

	if (record->arg[1][0] == '\0')
		return set_route(fd, record->arg[3]);
	if (bits > 32)
		return -EINVAL;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", record->arg[0]);
	set_address(&request.ifr_addr, inet_addr(record->arg[1]));
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		return -errno;
	set_address(&request.ifr_netmask, bits ? htonl(~(uint32_t)0 << (32 - bits)) : 0);
	if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
		return -errno;
	err = raise_device(fd, record->arg[0]);
	if (err < 0 || record->arg[3][0] == '\0')
		return err;
	return set_route(fd, record->arg[3]);
}

int lam_network_configure(const struct lam_plan *plan)
{
	const struct lam_record *record = lam_plan_first(plan, LAM_OP_INTERFACE);
	int fd, err = 0;

	if (!record)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	for (; record && err == 0; record = lam_plan_next(plan, LAM_OP_INTERFACE, record))
		err = record->count == 4 ? configure(fd, record) : -EINVAL;
	close(fd);
	return err;
}
