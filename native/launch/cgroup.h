/* SPDX-License-Identifier: MIT */
/*
 * cgroup - the control groups that a container is limited by
 *
 * They are made, with their limits, by who writes the plan; here the first process is put into them,
 * and they are removed when the last one is gone.
 */
#ifndef LAMINA_LAUNCH_CGROUP_H
#define LAMINA_LAUNCH_CGROUP_H

#include "plan.h"

#include <sys/types.h>

/* Reports and exits where that fails. */
void lam_cgroup_join(const struct lam_plan *plan, pid_t pid);

/* Remove the groups; true if the kernel killed a process for their limit of memory. */
bool lam_cgroup_leave(const struct lam_plan *plan);

#endif
