/* SPDX-License-Identifier: MIT */
/*
 * record - owners and devices that a container with one id wishes for
 *
 * Theory.  With one id chown(2) to another is refused by the kernel before any file system sees it,
 * and so is mknod(2) of a device.  The container's filter hands these calls to us instead
 * (seccomp_unotify(2)).  What was wished becomes the attribute LAM_OWNER of the file, "UID:GID", or
 * "UID:GID:char-MAJOR-MINOR" of an empty file that stands for a device; a layer is written with it
 * (lamina_runtime.container.upper).  Calls of stat's family come to us too: where the attribute is
 * there, they are answered with it, else they go on as if nothing had been.
 *
 * This is no boundary, but must not become a way out.  Paths are read once from the caller's memory
 * and looked up below its own root, which we make ours for that (chroot(2)); no magic link of a /proc is
 * followed.  What was found is held by a descriptor.  The caller's files and memory are reached by
 * descriptors that were opened before it was asked whether the call still waits, so that a process
 * that got its number later is never meant.  Only what lies on the root's own mount gets the
 * attribute: files of the host that are mounted in a container stay as they are.
 *
 * It is a process of its own: in the container's user namespace, where it has all capabilities,
 * outside its others.  It ends when nobody has the filter any more.
 */
#ifndef LAMINA_LAUNCH_RECORD_H
#define LAMINA_LAUNCH_RECORD_H

#include "plan.h"

#define LAM_OWNER "user.lamina_owner"

/*
 * lam_record_start() - start the process, if the plan has LAM_OP_RECORD
 *
 * Called in the user namespace, or with the process to enter the namespace of in 'join'.  Returns
 * the end of a socket over which it wants the listener of the filter, or -1 where there is none.
 */
int lam_record_start(const struct lam_plan *plan, const struct lam_record *join);

/* Hand the listener over; closes both. */
void lam_record_give(int socket, int listener);

#endif
