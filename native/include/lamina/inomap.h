/* SPDX-License-Identifier: MIT */
/*
 * inomap - inode numbers that are unique over layers and stable over copy-up and remount
 *
 * st_ino = inode on the layer | file system number << LAM_INO_BITS.  File systems are numbered
 * in the order of the layers, so the numbers stay the same from mount to mount.  An object
 * that was copied up keeps the number of its origin, which its origin xattr names by file
 * handle (struct ovl_fh of fs/overlayfs/overlayfs.h).
 */
#ifndef LAMINA_INOMAP_H
#define LAMINA_INOMAP_H

#include <lamina/internal.h>

#define LAM_INO_BITS 56
#define LAM_FH_MAX 160 /* bytes of an origin: head of 21 and a handle of MAX_HANDLE_SZ */

struct lam_fh {
	uint32_t length;
	uint8_t bytes[LAM_FH_MAX];
};

/* The number of a device; makes one up for a device not seen before.  -ENOMEM. */
int lam_fsid(struct lam_core *core, uint64_t dev);
uint64_t lam_ino(struct lam_core *core, uint64_t dev, uint64_t ino);

/* Ask a layer's root for the identity of its file system, for handles. */
void lam_fsid_learn(struct lam_core *core, int root_fd, uint64_t dev);

/* The same for an image, which has no descriptor to ask. */
int lam_fsid_image(struct lam_core *core, uint64_t dev, const uint8_t uuid[16]);

/*
 * Handles of objects on an image are those that the kernel's EROFS makes, so that either may
 * have mounted it: the number's high word, its low word, a generation of 0.
 */
void lam_fh_of_image(const uint8_t uuid[16], uint64_t nid, struct lam_fh *fh);
/* The number in a handle; false if it is of another file system. */
bool lam_fh_on_image(const struct lam_fh *fh, const uint8_t uuid[16], uint64_t *nid);

/* The handle of a real object on 'dev' ('name' "": of dirfd itself); -EOPNOTSUPP where the file system has none. */
int lam_fh_encode(struct lam_core *core, int dirfd, const char *name, uint64_t dev, struct lam_fh *fh);
/* The inode number that an origin xattr stands for; false if its form is unknown. */
bool lam_fh_ino(struct lam_core *core, const struct lam_fh *fh, uint64_t *ino);
/* An O_PATH descriptor of the object, by a privilege that only real root has; 'root_fd' is on its file system. */
int lam_fh_open(const struct lam_fh *fh, int root_fd);
/* The name of a handle in workdir/index: hexadecimal.  'buf' of 2 * LAM_FH_MAX + 1. */
void lam_fh_name(const struct lam_fh *fh, char *buf);

#endif
