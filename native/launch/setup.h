/* SPDX-License-Identifier: MIT */
/*
 * setup - from an ordinary process to the first one of a container
 *
 * Theory.  The monitor forks a process that makes (or joins) the namespaces.  The user namespace
 * comes first: it gives the capabilities for the others.  Then the mount namespace, in which the
 * driver mounts the root: the driver stays outside the pid namespace, so that it outlives what
 * it serves.  Only then the rest, and a child with CLONE_PARENT, so that the monitor is the
 * parent of init and waits for it as for any child.
 *
 * A process of ours inside a container must not be a way out.  It runs from a sealed memfd, so
 * that /proc/PID/exe leads to nothing that can be written (CVE-2019-5736); it is not dumpable
 * when it joins others; all its descriptors close on exec.
 */
#ifndef LAMINA_LAUNCH_SETUP_H
#define LAMINA_LAUNCH_SETUP_H

#include "plan.h"

/* Does not return.  'streams' become the standard streams, unless a terminal does (or are -1). */
_Noreturn void lam_setup(const struct lam_plan *plan, int channel, const int streams[3]);

#endif
