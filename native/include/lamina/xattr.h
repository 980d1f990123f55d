/* SPDX-License-Identifier: MIT */
/*
 * xattr - the overlay's private extended attributes, and lists of names
 *
 * Formats: Documentation/filesystems/overlayfs.rst and fs/overlayfs/overlayfs.h of Linux.
 * Private names start with core->prefix and are hidden from users of the mount; a user's own
 * name with that prefix is stored one level deeper ("trusted.overlay.overlay.X"), so that
 * overlay mounts nest, as the kernel does since 6.7.
 */
#ifndef LAMINA_XATTR_H
#define LAMINA_XATTR_H

#include <lamina/internal.h>

enum lam_key {
	LAM_KEY_NONE, /* a user's */
	LAM_KEY_OPAQUE,
	LAM_KEY_REDIRECT,
	LAM_KEY_METACOPY,
	LAM_KEY_ORIGIN,
	LAM_KEY_IMPURE,
	LAM_KEY_NLINK,
	LAM_KEY_OVERRIDE, /* owner and mode kept beside the inode's own */
	LAM_KEY_OTHER,	  /* private, of no interest */
};

#define LAM_KEY_MAX 64	    /* bytes of a private name */
#define LAM_OVERRIDE_MAX 64 /* bytes of an override_stat value */
#define LAM_REDIRECT_MAX 4096

/* What a full xattr name means; the opaque mark is known in every dialect. */
enum lam_key lam_private_key(const struct lam_core *core, const char *key);

/* The full name of a private xattr: core->prefix and 'suffix'. */
const char *lam_private_name(const struct lam_core *core, const char *suffix, char buf[LAM_KEY_MAX]);

struct lam_xattr_names {
	char *list;
	size_t length;
	char buffer[512];
};

/* All names on (dir, name).  On success the caller ends with lam_xattr_names_free(). */
int lam_xattr_names(struct lam_core *core, struct lam_ldir *dir, const char *name,
		    struct lam_xattr_names *names);
struct lam_at;
int lam_xattr_names_at(struct lam_core *core, const struct lam_at *at, struct lam_xattr_names *names);
/* The name behind 'key' (NULL: the first), NULL at the end. */
const char *lam_xattr_next(const struct lam_xattr_names *names, const char *key);
void lam_xattr_names_free(struct lam_xattr_names *names);

/* Private xattrs on an upper object; 'suffix' without the prefix. */
int lam_private_set(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *suffix,
		    const void *value, size_t size);
int lam_private_remove(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *suffix);
ssize_t lam_private_get(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *suffix,
			void *value, size_t size);

/* Mark an upper directory: it holds objects whose st_ino comes from a lower.  Once. */
int lam_mark_impure(struct lam_core *core, struct lam_ldir *dir);

#endif
