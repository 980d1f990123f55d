/* SPDX-License-Identifier: MIT */
/*
 * union - kernel overlayfs as the tree of a container, on hosts without /dev/fuse
 *
 * The layers are named by descriptors below /proc/self/fd: no length and no character of their
 * paths matters to fsconfig(2).
 */
#ifndef LAMINA_LAUNCH_UNION_H
#define LAMINA_LAUNCH_UNION_H

#include "plan.h"

/* Mount what LAM_OP_UNION says, if the plan has one; reports and exits where that fails. */
void lam_union_mount(const struct lam_plan *plan);

#endif
