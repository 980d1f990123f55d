/* SPDX-License-Identifier: MIT */
/* upper - take an upper directory and its workdir into use */
#ifndef LAMINA_UPPER_H
#define LAMINA_UPPER_H

#include <lamina/internal.h>

/* A line for the user: what went wrong, and where. */
struct lam_why {
	char *text;
	size_t size;
};
int lam_fail(struct lam_why *why, int err, const char *what, const char *path);

/*
 * Lock upper (layer->root is open) and 'workdir' against other mounts, clean what a crash has
 * left in workdir/work, and find out what the file system can do.
 */
int lam_upper_open(struct lam_core *core, struct lam_layer *layer, const char *upper, const char *workdir,
		   struct lam_why *why);
void lam_upper_close(struct lam_core *core, struct lam_layer *layer);

#endif
