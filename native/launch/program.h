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
#include "user.h"

/* Who the program will be: resolved among the root's users, or as the plan has it. */
void lam_program_identify(const struct lam_plan *plan, struct lam_user *user);

/*
 * lam_program_confine() - limits, names, ids, capabilities, filter
 *
 * 'recorder' is what lam_record_start() returned; it is closed.  A user resolved here who is not root keeps the ambient capabilities only.  Reports and exits
 * where something cannot be had.
 */
void lam_program_confine(const struct lam_plan *plan, const struct lam_user *user, int recorder);

/*
 * lam_program_execute() - become the program, or process 1 that starts it (LAM_OP_REAP)
 *
 * 'channel' closes when it runs.  Does not return.
 */
_Noreturn void lam_program_execute(const struct lam_plan *plan, const struct lam_user *user, int channel);

#endif
