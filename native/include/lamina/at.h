/* SPDX-License-Identifier: MIT */
/*
 * at - the real object behind a node, wherever it is
 *
 * An object is reached as (directory on a layer, name), or by a descriptor when it has lost
 * its name while the kernel still knows it.  Directories are reached as (part, ".").
 */
#ifndef LAMINA_AT_H
#define LAMINA_AT_H

#include <lamina/contents.h>
#include <lamina/internal.h>

struct lam_at {
	struct lam_ldir *dir;
	const char *name;
	int fd; /* >= 0: use it and nothing else */
};

/* The topmost real object: upper if there is one, else lower.  -ESTALE if there is none. */
int lam_at_top(struct lam_core *core, struct lam_node *node, struct lam_at *at);
/* Where the contents of a regular file are: below, for a metadata-only copy. */
int lam_at_data(struct lam_core *core, struct lam_node *node, struct lam_at *at);

int lam_at_stat(struct lam_core *core, const struct lam_at *at, struct statx *st);
int lam_at_chmod(struct lam_core *core, const struct lam_at *at, mode_t mode);
int lam_at_chown(struct lam_core *core, const struct lam_at *at, uid_t uid, gid_t gid);
struct timespec;
int lam_at_utimens(struct lam_core *core, const struct lam_at *at, const struct timespec times[2]);
/* Open for data ('flags' O_RDONLY, O_RDWR, O_WRONLY); lends owners' rights they could take (a mode 0200 file). */
int lam_at_open(struct lam_core *core, const struct lam_at *at, int flags);
struct lam_contents;
/*
 * The same for what may lie on an image, where there is no descriptor; the caller closes 'out->fd' if
 * there is.  'st' (may be NULL): the attributes of the object that has the contents.
 */
int lam_at_contents(struct lam_core *core, const struct lam_at *at, int flags, struct lam_contents *out,
		    struct statx *st);
ssize_t lam_at_readlink(struct lam_core *core, const struct lam_at *at, char *buf, size_t size);
ssize_t lam_at_getxattr(struct lam_core *core, const struct lam_at *at, const char *key, void *value,
			size_t size);
ssize_t lam_at_listxattr(struct lam_core *core, const struct lam_at *at, char *list, size_t size);
int lam_at_setxattr(struct lam_core *core, const struct lam_at *at, const char *key, const void *value,
		    size_t size, int flags);
int lam_at_removexattr(struct lam_core *core, const struct lam_at *at, const char *key);

#endif
