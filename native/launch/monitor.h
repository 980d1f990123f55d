/* SPDX-License-Identifier: MIT */
/*
 * monitor - the parent of a container
 *
 * Theory.  It starts setup, does for it what can only be done outside (id maps, cgroup,
 * network), then waits: it copies what the container writes to the log and to those attached,
 * feeds its input, and notes its end.  It is a subreaper, so that the driver, which daemonizes,
 * is its child and can be ended after the container.
 *
 * One thread, one poll(2) loop, no allocation in it.
 */
#ifndef LAMINA_LAUNCH_MONITOR_H
#define LAMINA_LAUNCH_MONITOR_H

#include "plan.h"

/* Carry out the plan; returns the container's exit status once all of it is gone. */
int lam_monitor_run(const struct lam_plan *plan);

#endif
