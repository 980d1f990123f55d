/* SPDX-License-Identifier: MIT */
/*
 * mount - attach /dev/fuse to a directory, directly or through fusermount3
 *
 * The mount point is resolved once to a descriptor; mount(2) is then called on
 * /proc/self/fd/N, so that nobody can change its meaning in between.
 */
#ifndef LAMINA_MOUNT_H
#define LAMINA_MOUNT_H

#include <stddef.h>
#include <stdint.h>

/*
 * lam_mount_direct() - mount(2) type "fuse.lamina-unionfs" on 'dir'
 *
 * 'source' is shown in /proc/mounts; 'flags' are MS_*; 'options' are further FUSE options
 * without fd=, rootmode=, user_id=, group_id= (which are added), e.g. "allow_other".
 * Returns the descriptor of /dev/fuse (owned by the caller, CLOEXEC) or a negative errno with
 * one line in 'why'.  -EPERM means: try lam_mount_helper().
 */
int lam_mount_direct(const char *dir, const char *source, unsigned long flags, const char *options, char *why,
		     size_t why_size);

/* The same through the setuid helper fusermount3 (libfuse's protocol: _FUSE_COMMFD, SCM_RIGHTS). */
int lam_mount_helper(const char *dir, const char *options, char *why, size_t why_size);

/* Unmount: umount2(2) with MNT_DETACH if 'lazy', else through fusermount3 -u where not permitted. */
int lam_unmount(const char *dir, int lazy);

#endif
