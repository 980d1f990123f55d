/* SPDX-License-Identifier: MIT */
/*
 * idmap - which ids of the host a new user namespace has
 *
 * Several ranges need newuidmap(1) and newgidmap(1) or privilege; one's own id alone can be
 * written by anybody, once setgroups(2) is given up (user_namespaces(7)).
 */
#ifndef LAMINA_LAUNCH_IDMAP_H
#define LAMINA_LAUNCH_IDMAP_H

#include "plan.h"

#include <sys/types.h>

/* Map the user namespace of process 'pid'; reports and exits where that fails. */
void lam_idmap_write(const struct lam_plan *plan, pid_t pid);

#endif
