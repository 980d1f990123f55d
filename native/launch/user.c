/* SPDX-License-Identifier: MIT */
#include "user.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_ROOM 65536	     /* a longer entry is passed over */
#define TABLE_MAX (16 << 20) /* of a file: what comes later is not looked at */

/* A whole number below 2^32 - 1, which is no id (setresuid(2)). */
static bool number(const char *text, unsigned int *value)
{
	unsigned long long n;

	if (text[strspn(text, "0123456789")] != '\0' || text[0] == '\0')
		return false;
	errno = 0;
	n = strtoull(text, NULL, 10);
	if (errno || n >= 0xffffffffULL)
		return false;
	*value = (unsigned int)n;
	return true;
}

/*
 * One of the container's files, or NULL.  What it has there in its place, a pipe that nobody writes to
 * or a device without an end, must not hold us up.
 */
static FILE *open_table(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return NULL;
	}
	return fdopen(fd, "r");
}

/* The file's next line of at most LINE_ROOM - 2 bytes, without its end; false at the end. */
static bool next_line(FILE *file, char *line)
{
	size_t length;

	while (ftell(file) < TABLE_MAX && fgets(line, LINE_ROOM, file)) {
		length = strlen(line);
		if (length > 0 && line[length - 1] == '\n') {
			line[length - 1] = '\0';
			return true;
		}
		if (feof(file))
			return true;
		for (int c = getc(file), n = 0; c != '\n' && c != EOF && n < TABLE_MAX; n++)
			c = getc(file);
	}
	return false;
}

/* Cut a line at its colons; missing fields are empty. */
static void cut(char *line, char **fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fields[i] = line;
		line += strcspn(line, ":");
		if (*line)
			*line++ = '\0';
	}
}

static bool find_user(const char *name, bool numeric, struct lam_user *user, char *known)
{
	enum { NAME, PASSWORD, UID, GID, GECOS, HOME, FIELDS };
	FILE *file = open_table("/etc/passwd");
	char *line = malloc(LINE_ROOM), *fields[FIELDS];
	unsigned int uid, gid;
	bool found = false;

	while (file && line && !found && next_line(file, line)) {
		cut(line, fields, FIELDS);
		if (!number(fields[UID], &uid) || !number(fields[GID], &gid))
			continue;
		found = numeric ? uid == user->uid : strcmp(fields[NAME], name) == 0;
	}
	if (found) {
		user->uid = uid;
		user->gid = gid;
		snprintf(user->home, sizeof(user->home), "%s", fields[HOME][0] ? fields[HOME] : "/");
		snprintf(known, LOGIN_NAME_MAX, "%s", fields[NAME]);
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* Is the name one of those between commas? */
static bool has_member(const char *members, const char *name)
{
	size_t length = strlen(name);

	for (; *members; members += *members == ',') {
		size_t part = strcspn(members, ",");

		if (part == length && memcmp(members, name, part) == 0)
			return true;
		members += part;
	}
	return false;
}

/* With 'group' the id of that group; else the groups of which 'member' is one. */
static bool read_groups(const char *group, const char *member, struct lam_user *user)
{
	enum { NAME, PASSWORD, GID, MEMBERS, FIELDS };
	FILE *file = open_table("/etc/group");
	char *line = malloc(LINE_ROOM), *fields[FIELDS];
	unsigned int gid;
	bool seen = false;

	while (file && line && !seen && next_line(file, line)) {
		cut(line, fields, FIELDS);
		if (!number(fields[GID], &gid))
			continue;
		if (group && strcmp(fields[NAME], group) == 0) {
			user->gid = gid;
			seen = true;
		} else if (!group && user->count < LAM_GROUPS && has_member(fields[MEMBERS], member)) {
			user->groups[user->count++] = gid;
		}
	}
	free(line);
	if (file)
		fclose(file);
	return seen;
}

void lam_user_find(const char *text, struct lam_user *user)
{
	char name[LOGIN_NAME_MAX], known[LOGIN_NAME_MAX] = "";
	const char *group = strchr(text, ':');
	unsigned int id = 0;
	bool numeric;

	memset(user, 0, sizeof(*user));
	strcpy(user->home, "/");
	if ((size_t)snprintf(name, sizeof(name), "%.*s", (int)(group ? group - text : (ssize_t)strlen(text)),
			     text) >= sizeof(name))
		lam_fail(LAM_FAILED, 0, "the user's name is too long");
	if (name[0] == '\0')
		strcpy(name, "0");
	numeric = number(name, &id);
	user->uid = id;
	if (!find_user(name, numeric, user, known) && !numeric)
		lam_fail(LAM_FAILED, 0, "unable to find user %s: no matching entries in passwd file", name);
	if (group && group[1] != '\0') {
		if (number(group + 1, &id))
			user->gid = id;
		else if (!read_groups(group + 1, NULL, user))
			lam_fail(LAM_FAILED, 0, "unable to find group %s: no matching entries in group file",
				 group + 1);
	} else if (known[0] != '\0') {
		read_groups(NULL, known, user);
	}
}
