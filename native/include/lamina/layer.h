/* SPDX-License-Identifier: MIT */
/*
 * layer - one layer of the stack, whatever its kind
 *
 * Theory.  The core reads layers only through the functions below, which go to the kind's
 * table of operations.  Everything is addressed as (directory on the layer, one name); "."
 * is the directory itself.  Kind "directory" is layer_dir.c; an image kind needs no
 * descriptors and answers from its own memory.  Writing is only ever done on uppers, which
 * are always directories, through sys.h on lam_ldir_fd().
 */
#ifndef LAMINA_LAYER_H
#define LAMINA_LAYER_H

#include <lamina/contents.h>
#include <lamina/internal.h>

struct lam_fh;

struct lam_scan_entry {
	const char *name;
	uint32_t namelen;
	uint8_t type; /* DT_*, DT_UNKNOWN never */
	bool whiteout;
};

/* Returns 0 to go on, or a negative errno that ends the scan. */
typedef int (*lam_scan_fn)(void *arg, const struct lam_scan_entry *entry);

struct lam_layer_ops {
	int (*stat)(struct lam_core *core, struct lam_ldir *dir, const char *name, struct statx *st);
	int (*scan)(struct lam_core *core, struct lam_ldir *dir, lam_scan_fn fn, void *arg);
	ssize_t (*readlink)(struct lam_core *core, struct lam_ldir *dir, const char *name, char *buf,
			    size_t size);
	ssize_t (*getxattr)(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *key,
			    void *value, size_t size);
	ssize_t (*listxattr)(struct lam_core *core, struct lam_ldir *dir, const char *name, char *list,
			     size_t size);
	/* A regular file's contents, for reading; the caller closes 'out->fd' if there is one. */
	int (*open_data)(struct lam_core *core, struct lam_ldir *dir, const char *name,
			 struct lam_contents *out);
	/* The handle that an origin xattr names the object by; 'dev' is of its attributes. */
	int (*handle)(struct lam_core *core, struct lam_ldir *dir, const char *name, uint64_t dev,
		      struct lam_fh *fh);
	/* The attributes of the object that a handle names; -ESTALE if it is none of this layer's. */
	int (*find)(struct lam_core *core, const struct lam_layer *layer, const struct lam_fh *fh,
		    struct statx *st);
	/* Images only: at most 'want' bytes of an object's contents from 'offset' on.  Without the lock. */
	int (*extent)(const struct lam_layer *layer, uint64_t object, uint64_t offset, uint64_t want,
		      struct lam_extent *out);
	int (*statfs)(const struct lam_layer *layer, struct statvfs *out);
	/* Images only: what the layer holds beside its root; NULL: nothing. */
	void (*close)(struct lam_layer *layer);
};

extern const struct lam_layer_ops lam_layer_dir_ops;

int lam_layer_stat(struct lam_core *core, struct lam_ldir *dir, const char *name, struct statx *st);
int lam_layer_scan(struct lam_core *core, struct lam_ldir *dir, lam_scan_fn fn, void *arg);
ssize_t lam_layer_getxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, const char *key,
			   void *value, size_t size);
ssize_t lam_layer_listxattr(struct lam_core *core, struct lam_ldir *dir, const char *name, char *list,
			    size_t size);

/* Is (dir, name), whose attributes are 'st', a whiteout in any dialect but .wh.NAME? */
bool lam_layer_whiteout(struct lam_core *core, struct lam_ldir *dir, const char *name,
			const struct statx *st);

/* ---- directories on a layer ---- */

/* A new root; takes over 'fd' (-1 on an image). */
struct lam_ldir *lam_ldir_root(struct lam_layer *layer, int fd);
/* The directory 'name' below 'parent', which must exist; opened when first needed.  NULL: no memory. */
struct lam_ldir *lam_ldir_child(struct lam_ldir *parent, const char *name);
struct lam_ldir *lam_ldir_get(struct lam_ldir *dir);
void lam_ldir_put(struct lam_core *core, struct lam_ldir *dir); /* NULL is fine */
/* It was renamed on its upper. */
int lam_ldir_moved(struct lam_core *core, struct lam_ldir *dir, struct lam_ldir *parent, const char *name);

/*
 * lam_ldir_fd() - a descriptor of the directory to change it by, opened again if it had been closed
 *
 * Owned by the cache; good until the lock is released or LAM_LDIR_SAFE further calls.  It may be
 * O_PATH.  Nothing is known of the directory's times from here on.  -EOPNOTSUPP on an image.
 */
#define LAM_LDIR_SAFE 16
int lam_ldir_fd(struct lam_core *core, struct lam_ldir *dir);
/* The same for a caller that only looks. */
int lam_ldir_look(struct lam_core *core, struct lam_ldir *dir);
/* One whose entries can be read, from the start; '*own': the caller closes it. */
int lam_ldir_list(struct lam_core *core, struct lam_ldir *dir, bool *own);
/*
 * lam_ldir_at() - a descriptor from which '*name' in the directory is reached
 *
 * For "." that is the parent's, and '*name' becomes the directory's own name: an owner without
 * capabilities may ask for and change a directory that cannot be searched, but not through it.
 */
int lam_ldir_at(struct lam_core *core, struct lam_ldir *dir, const char **name);
int lam_ldir_look_at(struct lam_core *core, struct lam_ldir *dir, const char **name);

/* Read the directory's overlay xattrs into flags, once. */
int lam_ldir_marks(struct lam_core *core, struct lam_ldir *dir);
/* Does it have a default ACL?  Asked once. */
bool lam_ldir_default_acl(struct lam_core *core, struct lam_ldir *dir);

#endif
