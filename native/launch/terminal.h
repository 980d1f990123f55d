/* SPDX-License-Identifier: MIT */
/*
 * terminal - a pseudo-terminal of the container's own devpts
 *
 * It is opened inside, so that ttyname(3) works there, and its master is sent out to the
 * monitor.  What the container shows at /dev/ptmx is checked to be the real thing.  A container
 * that is only a changed root has no devpts: then the host's is opened before the root is changed.
 */
#ifndef LAMINA_LAUNCH_TERMINAL_H
#define LAMINA_LAUNCH_TERMINAL_H

#include "plan.h"

#include <sys/types.h>

/* Open a multiplexer with further flags of open(2); returns the master. */
int lam_terminal_open(const char *path, int flags);

/* Make its terminal our standard streams, with this owner; send the master to 'channel'. */
void lam_terminal_take(const struct lam_plan *plan, int channel, int master, uid_t owner);

void lam_terminal_resize(int master, unsigned int rows, unsigned int columns);

#endif
