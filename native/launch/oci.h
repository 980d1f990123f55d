/* SPDX-License-Identifier: MIT */
/*
 * oci - a container that an OCI runtime (crun, runc) starts, in our place
 *
 * Theory.  The runtime works within what we have prepared: the user, mount and network namespaces are
 * ours, and in them the root is mounted and the network leads out.  From there the runtime sees an
 * ordinary root user, and makes the rest of the container from the bundle: no runtime needs to know of
 * subordinate ids, drivers or networks.  Its `create` gets the container's standard streams, and hands
 * them on; what it leaves behind becomes the monitor's child, which is a subreaper, so the monitor
 * waits for it as for a first process of its own.  What terminal there is comes over a socket
 * ("--console-socket").
 *
 * The process that calls the runtime stays, for the runtime's `delete` must be called in the same
 * namespaces.  It sees the monitor's end, however that came, and deletes the container then.
 *
 * Users are looked up in the container's own files (user.h), so the bundle's config.json is completed
 * here: the plan has it in two parts, with the user missing in between.
 */
#ifndef LAMINA_LAUNCH_OCI_H
#define LAMINA_LAUNCH_OCI_H

#include "plan.h"

#include <stdbool.h>

/* Is the container one for a runtime? */
bool lam_oci_wanted(const struct lam_plan *plan);

/* Does not return.  'streams' are the container's, -1 where a terminal takes their place. */
_Noreturn void lam_oci_run(const struct lam_plan *plan, int channel, const int streams[3]);

#endif
