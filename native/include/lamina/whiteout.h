/* SPDX-License-Identifier: MIT */
/*
 * whiteout - marks on an upper that hide what lies below
 *
 * A name is hidden by a character device 0/0, or where mknod is refused by an empty file with
 * the xattr overlay.whiteout in a directory marked opaque="x" (kernel overlayfs's two forms).
 * A directory hides everything below by opaque="y", or on file systems without xattrs by a file
 * .wh..wh..opq.  Device whiteouts are hard links of one inode.
 */
#ifndef LAMINA_WHITEOUT_H
#define LAMINA_WHITEOUT_H

#include <lamina/internal.h>

/* Hide 'name', which the upper directory 'dir' does not have. */
int lam_whiteout_at(struct lam_core *core, struct lam_ldir *dir, const char *name);
/* Put a whiteout in the place of an upper object, at one instant; the object goes. */
int lam_whiteout_over(struct lam_core *core, struct lam_ldir *dir, const char *name, bool is_dir);
/* Remove an upper directory in which nothing but whiteouts is left. */
int lam_remove_dir(struct lam_core *core, struct lam_ldir *dir, const char *name);
/* Hide all below the upper directory (dirfd, name); 'layer' tells how. */
int lam_opaque_set(struct lam_core *core, const struct lam_layer *layer, int dirfd, const char *name);
/* Remove all whiteouts in an upper directory, after making it opaque. */
int lam_whiteouts_clear(struct lam_core *core, struct lam_ldir *dir);
/* Remove the file .wh.NAME. */
int lam_mark_file_remove(struct lam_core *core, struct lam_ldir *dir, const char *name);

#endif
