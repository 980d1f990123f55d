/* SPDX-License-Identifier: MIT */
#include "program.h"

#include "channel.h"
#include "place.h"
#include "reap.h"
#include "record.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif
#define UMASK 022 /* crun's and runc's */
#define WAIT_KILLABLE_RECV SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

static void write_file(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || write(fd, text, length) != (ssize_t)length)
		lam_fail(LAM_FAILED, errno, "write %s", path);
	close(fd);
}

static void names_and_limits(const struct lam_plan *plan)
{
	const struct lam_record *record = lam_plan_first(plan, LAM_OP_HOSTNAME);

	if (record && sethostname(record->arg[0], record->length[0]) < 0)
		lam_fail(LAM_FAILED, errno, "host name %s", record->arg[0]);
	record = lam_plan_first(plan, LAM_OP_DOMAINNAME);
	if (record && setdomainname(record->arg[0], record->length[0]) < 0)
		lam_fail(LAM_FAILED, errno, "domain name %s", record->arg[0]);
	record = lam_plan_first(plan, LAM_OP_OOM_SCORE);
	if (record)
		write_file("/proc/self/oom_score_adj", record->arg[0], record->length[0]);
	for (record = NULL; (record = lam_plan_next(plan, LAM_OP_RLIMIT, record)) != NULL;) {
		struct rlimit limit = { lam_record_number(record, 1, 10), lam_record_number(record, 2, 10) };

		if (setrlimit((int)lam_record_number(record, 0, 10), &limit) < 0)
			lam_fail(LAM_FAILED, errno, "resource limit %s of %s", record->arg[0],
				 record->arg[1]);
	}
}

void lam_program_identify(const struct lam_plan *plan, struct lam_user *user)
{
	const struct lam_record *wanted = lam_plan_first(plan, LAM_OP_USER);
	const struct lam_record *ids = lam_plan_first(plan, LAM_OP_IDS), *group = NULL;

	if (wanted) {
		lam_user_find(wanted->arg[0], user);
	} else {
		memset(user, 0, sizeof(*user));
		user->uid = (uid_t)lam_record_number(ids, 0, 10);
		user->gid = (gid_t)lam_record_number(ids, 1, 10);
	}
	while (!wanted && (group = lam_plan_next(plan, LAM_OP_GROUP, group)) != NULL &&
	       user->count < LAM_GROUPS)
		user->groups[user->count++] = (gid_t)lam_record_number(group, 0, 10);
	if (lam_plan_first(plan, LAM_OP_ALONE)) { /* HOME stays who was asked for's */
		user->played = user->uid != 0;
		user->uid = 0;
		user->gid = 0;
		user->count = 0;
	}
}

static void set_bounding(uint64_t mask)
{
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0)
			return; /* the kernel's last */
		if (!(mask >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			lam_fail(LAM_FAILED, errno, "drop capability %d", cap);
	}
}

static void set_capabilities(const struct lam_record *record, bool all)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t permitted = lam_record_number(record, 1, 16), effective = lam_record_number(record, 2, 16);
	uint64_t inheritable = lam_record_number(record, 3, 16), ambient = lam_record_number(record, 4, 16);

	if (!all) {
		permitted &= ambient;
		effective &= ambient;
	}
	for (int i = 0; i < 2; i++) {
		data[i].permitted = (uint32_t)(permitted >> 32 * i);
		data[i].effective = (uint32_t)(effective >> 32 * i);
		data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
	}
	if (syscall(SYS_capset, &header, data) < 0)
		lam_fail(LAM_FAILED, errno, "capabilities");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++) {
		if ((ambient >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			lam_fail(LAM_FAILED, errno, "ambient capability %d", cap);
	}
}

static void set_ids(const struct lam_user *user)
{
	/* where setgroups(2) is denied (one id only), having none wished is no failure */
	if (setgroups(user->count, user->groups) < 0 && (user->count > 0 || errno != EPERM))
		lam_fail(LAM_FAILED, errno, "supplementary groups");
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		lam_fail(LAM_FAILED, errno, "group %u", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		lam_fail(LAM_FAILED, errno, "user %u", user->uid);
}

static void set_filter(const struct lam_record *record, int recorder)
{
	/* a caller that waits for the recorder is not called away by signals, where the kernel knows that */
	const unsigned int wanted[] = { SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE_RECV,
					SECCOMP_FILTER_FLAG_NEW_LISTENER };
	long listener = -1;

	struct sock_fprog program = {
		.len = (unsigned short)(record->length[0] / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)(void *)record->arg[0],
	};

	if (record->length[0] % sizeof(struct sock_filter) ||
	    record->length[0] / sizeof(struct sock_filter) > BPF_MAXINSNS)
		lam_fail(LAM_FAILED, EINVAL, "system call filter");
	for (int i = 0; recorder >= 0 && i < 2 && listener < 0; i++)
		listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, wanted[i], &program);
	if (recorder < 0)
		listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	if (listener < 0)
		lam_fail(LAM_FAILED, errno, "system call filter");
	if (recorder >= 0)
		lam_record_give(recorder, (int)listener);
}

static void enter_directory(const struct lam_plan *plan)
{
	const struct lam_record *record = lam_plan_first(plan, LAM_OP_CWD);

	if (record && chdir(record->arg[0]) < 0)
		lam_fail(errno == ENOENT || errno == ENOTDIR ? LAM_NOT_FOUND : LAM_NOT_RUN, errno,
			 "working directory %s", record->arg[0]);
}

void lam_program_confine(const struct lam_plan *plan, const struct lam_user *user, int recorder)
{
	const struct lam_record *ids = lam_plan_first(plan, LAM_OP_IDS);
	const struct lam_record *caps = lam_plan_first(plan, LAM_OP_CAPABILITIES);
	const struct lam_record *filter = lam_plan_first(plan, LAM_OP_SECCOMP);
	const struct lam_record *cwd = lam_plan_first(plan, LAM_OP_CWD);
	bool sealed = lam_plan_first(plan, LAM_OP_NO_NEW_PRIVS) != NULL;

	if (cwd && lam_record_is(cwd, 1, "create")) {
		int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		int fd = root < 0 ? -errno : lam_place_directory(root, cwd->arg[0]);

		if (fd < 0)
			lam_fail(LAM_FAILED, -fd, "working directory %s", cwd->arg[0]);
		close(fd);
		close(root);
	}
	names_and_limits(plan);
	/* without no_new_privs a filter takes CAP_SYS_ADMIN, which is still here */
	if (filter && !sealed)
		set_filter(filter, recorder);
	if (caps) {
		/* who asked to be nobody much gets nothing back by running a program as the root he is */
		set_bounding(user->played ? 0 : lam_record_number(caps, 0, 16));
		prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	}
	set_ids(user);
	/* never ours: it would depend on who starts the container, and from where */
	umask(ids && ids->count > 2 && ids->length[2] > 0 ? (mode_t)lam_record_number(ids, 2, 8) : UMASK);
	enter_directory(plan);
	if (caps)
		set_capabilities(user->played ? NULL : caps,
				 user->uid == 0 || !lam_plan_first(plan, LAM_OP_USER));
	if (sealed && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		lam_fail(LAM_FAILED, errno, "no_new_privs");
	if (filter && sealed)
		set_filter(filter, recorder);
}

/* execvp(3) with the container's PATH, telling 126 from 127 as a shell does. */
static _Noreturn void execute(char **args, char **environment, int channel)
{
	const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *end;
	char file[PATH_MAX];
	int err = ENOENT;

	for (char **at = environment; *at; at++) {
		if (strncmp(*at, "PATH=", 5) == 0)
			path = *at + 5;
	}
	if (strchr(args[0], '/')) {
		execve(args[0], args, environment);
		err = errno;
		path = NULL;
	}
	for (; path; path = *end ? end + 1 : NULL) {
		end = path + strcspn(path, ":");
		if ((size_t)snprintf(file, sizeof(file), "%.*s/%s", (int)(end - path), path, args[0]) >=
		    sizeof(file))
			continue;
		execve(file, args, environment);
		if (errno != ENOENT && errno != ENOTDIR && (err == ENOENT || errno != EACCES))
			err = errno;
	}
	lam_send(channel, LAM_WORD_FAILED, 0, -1);
	lam_fail(err == ENOENT || err == ENOTDIR ? LAM_NOT_FOUND : LAM_NOT_RUN, err, "exec %s", args[0]);
}

/* The plan's environment, and HOME where it has none. */
static char **surroundings(const struct lam_plan *plan, const struct lam_user *user)
{
	char **environment = lam_plan_vector(plan, LAM_OP_ENV);
	size_t count = 0, room = sizeof("HOME=") + strlen(user->home);

	for (; environment && environment[count]; count++) {
		if (strncmp(environment[count], "HOME=", 5) == 0)
			return environment;
	}
	if (!environment || user->home[0] == '\0')
		return environment;
	/* a vector has room for as many as the plan has records, and one of them is an argument */
	environment[count] = malloc(room);
	if (environment[count])
		snprintf(environment[count], room, "HOME=%s", user->home);
	return environment;
}

void lam_program_execute(const struct lam_plan *plan, const struct lam_user *user, int channel)
{
	char **args = lam_plan_vector(plan, LAM_OP_ARG);
	char **environment = surroundings(plan, user);

	if (!args || !environment)
		lam_fail(LAM_FAILED, ENOMEM, "arguments");
	if (!args[0])
		lam_fail(LAM_FAILED, 0, "no program to run");
	if (lam_plan_first(plan, LAM_OP_REAP))
		lam_reap(channel); /* returns in the child */
	execute(args, environment, channel);
}
