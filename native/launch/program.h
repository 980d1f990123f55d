/* SPDX-License-Identifier: MIT */
/*
 * program - from the container's first process to the user's program
 *
 * The order is what makes it work: what needs capabilities first; the bounding set before the
 * ids, the other sets after them; seccomp last, since the filter may forbid the rest.
 */
#ifndef LAMINA_LAUNCH_PROGRAM_H
#define LAMINA_LAUNCH_PROGRAM_H

#include "plan.h"

/* Limits, names, ids, capabilities, filter; reports and exits where one cannot be had. */
void lam_program_confine(const struct lam_plan *plan);

/*
 * lam_program_execute() - become the program, or process 1 that starts it (LAM_OP_REAP)
 *
 * 'channel' closes when it runs.  Does not return.
 */
_Noreturn void lam_program_execute(const struct lam_plan *plan, int channel);

#endif
