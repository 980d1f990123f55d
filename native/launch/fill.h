/* SPDX-License-Identifier: MIT */
/*
 * fill - mounts, nodes, links and masks below the root of a container
 *
 * Every mount is made detached (fsopen(2), open_tree(2)) and then moved onto a descriptor, so
 * that no path of the image is ever resolved by mount(2).
 */
#ifndef LAMINA_LAUNCH_FILL_H
#define LAMINA_LAUNCH_FILL_H

#include "plan.h"

/* Carry out the records LAM_OP_MOUNT to LAM_OP_READONLY; 'root' is an O_PATH directory. */
void lam_fill(const struct lam_plan *plan, int root);

/* Make 'path' of the host the root of this process; returns with "/" as working directory. */
int lam_root_open(const struct lam_plan *plan);
void lam_root_enter(const struct lam_plan *plan, int root);

#endif
