/* SPDX-License-Identifier: MIT */
/*
 * terminal - a pseudo-terminal of the container's own devpts
 *
 * It is opened inside, so that ttyname(3) works there, and its master is sent out to the
 * monitor.  What the container shows at /dev/ptmx is checked to be the real thing.
 */
#ifndef LAMINA_LAUNCH_TERMINAL_H
#define LAMINA_LAUNCH_TERMINAL_H

#include "plan.h"

#include <sys/types.h>

/* Make a terminal of this owner our standard streams; send its master to 'channel'. */
void lam_terminal_take(const struct lam_plan *plan, int channel, uid_t owner);

void lam_terminal_resize(int master, unsigned int rows, unsigned int columns);

#endif
