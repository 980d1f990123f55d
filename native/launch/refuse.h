/* SPDX-License-Identifier: MIT */
/* refuse - places in a container on which nothing may be mounted; the launcher ends with a line */
#ifndef LAMINA_LAUNCH_REFUSE_H
#define LAMINA_LAUNCH_REFUSE_H

/*
 * Programs trust /proc, /sys and /dev, and masks are found through them: a link of the image at 'path'
 * leads neither astray.  'root' is an O_PATH directory, borrowed.
 */
void lam_refuse_link(int root, const char *path);

/*
 * /proc is the kernel's: what is mounted there is a proc, or one of the files that runc lets be told.
 * 'tree' is what is to be mounted, 'target' where, 'path' the container's name for it; both borrowed.
 */
void lam_refuse_inside_proc(int tree, int target, const char *path);

#endif
