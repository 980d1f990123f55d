/* SPDX-License-Identifier: MIT */
/* mount_helper - what mount.c and the way through fusermount3 share */
#ifndef LAMINA_MOUNT_HELPER_H
#define LAMINA_MOUNT_HELPER_H

#include <stddef.h>

#define LAM_MOUNT_SUBTYPE "lamina-unionfs"
#define LAM_MOUNT_TYPE "fuse." LAM_MOUNT_SUBTYPE

/* Writes one line to 'why' and returns 'err'. */
int lam_mount_why(char *why, size_t why_size, int err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

int lam_unmount_helper(const char *dir, int lazy);

#endif
