/* SPDX-License-Identifier: MIT */
#include "idmap.h"

#include "report.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_to(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int by_mapper(const struct lam_plan *plan, enum lam_op op, const char *mapper, pid_t pid)
{
	char **args = calloc(plan->count * 3 + 3, sizeof(*args)), number[16];
	const struct lam_record *record = NULL;
	size_t count = 0;
	int err;

	if (!args)
		return -ENOMEM;
	snprintf(number, sizeof(number), "%d", (int)pid);
	args[count++] = (char *)mapper;
	args[count++] = number;
	while ((record = lam_plan_next(plan, op, record)) != NULL) {
		for (unsigned int i = 0; i < 3 && i < record->count; i++)
			args[count++] = (char *)record->arg[i];
	}
	err = lam_run(args);
	free(args);
	return err;
}

static int by_hand(const struct lam_plan *plan, enum lam_op op, const char *name, pid_t pid)
{
	const struct lam_record *record = NULL;
	char text[4096]; /* the kernel takes a page at most */
	size_t used = 0;

	while ((record = lam_plan_next(plan, op, record)) != NULL) {
		if (record->count < 3)
			return -EINVAL;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %s %s\n", record->arg[0],
					 record->arg[1], record->arg[2]);
		if (used >= sizeof(text))
			return -E2BIG;
	}
	return write_to(pid, name, text);
}

void lam_idmap_write(const struct lam_plan *plan, pid_t pid)
{
	const struct lam_record *mapper = lam_plan_first(plan, LAM_OP_MAPPER);
	int err;

	if (mapper && mapper->count == 2) {
		err = by_mapper(plan, LAM_OP_UIDMAP, mapper->arg[0], pid);
		if (err == 0)
			err = by_mapper(plan, LAM_OP_GIDMAP, mapper->arg[1], pid);
		if (err < 0)
			lam_lack("ids", err == -ECHILD ? 0 : -err, "%s refused the ids", mapper->arg[0]);
		return;
	}
	err = by_hand(plan, LAM_OP_UIDMAP, "uid_map", pid);
	if (err == 0 && geteuid() != 0)
		err = write_to(pid, "setgroups", "deny");
	if (err == 0)
		err = by_hand(plan, LAM_OP_GIDMAP, "gid_map", pid);
	if (err < 0)
		lam_lack("user", -err, "map the user namespace");
}
