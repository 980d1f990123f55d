/* SPDX-License-Identifier: MIT */
/*
 * layer_erofs - the layer kind "image": an EROFS image with its data devices
 *
 * Theory.  Metadata is answered from a mapping of the image, without a system call; contents are
 * extents of the image's file and of its devices, which are ordinary files.  A directory is
 * remembered by its number; a handle, so an origin, is made of the image's uuid and the number,
 * so that inode numbers survive copy-up, remount and an exchange of this driver for the kernel's.
 *
 * Who owns the image may damage it at any time: see erofs.h and mapping.h.  A mapping that was
 * lost answers EIO from then on; contents that are gone from a device answer EIO where they are.
 */
#ifndef LAMINA_LAYER_EROFS_H
#define LAMINA_LAYER_EROFS_H

#include <lamina/internal.h>
#include <lamina/upper.h>

/* Where images find their devices; images take 'paths' in the order of the layers. */
struct lam_devices {
	const char *const *paths;
	uint32_t count;
	uint32_t taken;
	const char *dir; /* else files in it, named by the tags in the image; may be NULL */
};

/* Make 'layer' (its index is set) the image at 'path'; 'fd' is open on it and stays the caller's. */
int lam_layer_erofs_open(struct lam_core *core, struct lam_layer *layer, const char *path, int fd,
			 struct lam_devices *devices, struct lam_why *why);

/* An image that says that nothing in it has a POSIX ACL. */
bool lam_layer_no_acl(const struct lam_layer *layer);

#endif
