/* SPDX-License-Identifier: MIT */
/*
 * user - "name", "uid", "name:group", "uid:gid" as the container's own files say
 *
 * Read after the root was entered, so that a link in the image leads nowhere else.  The rules are
 * docker's: a number need not be in the files; one that is not has group 0; a group that is given
 * leaves no supplementary groups; an unknown name is an error.
 */
#ifndef LAMINA_LAUNCH_USER_H
#define LAMINA_LAUNCH_USER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LAM_GROUPS 1024

struct lam_user {
	bool played; /* asked for as another than root, and root by name alone: there is one id */
	uid_t uid;
	gid_t gid;
	size_t count;
	gid_t groups[LAM_GROUPS];
	char home[PATH_MAX]; /* "/" where the files do not say */
};

/* Reports and exits where there is no such user or group. */
void lam_user_find(const char *text, struct lam_user *user);

#endif
