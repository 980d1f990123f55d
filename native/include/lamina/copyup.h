/* SPDX-License-Identifier: MIT */
/*
 * copyup - bring an object to an upper before it changes
 *
 * Theory.  A copy-up is visible at one instant, when the finished copy gets its name in the
 * upper directory (linkat of an O_TMPFILE, or rename out of workdir/work).  Before it, users
 * see the lower object; after it, the upper one, equal in all but place.  A crash leaves at
 * most a nameless file or a stray in workdir, which the next mount removes.
 *
 * Invariants.
 *   * The parent directory is on the upper before its child is.
 *   * Data first, then owner, xattrs, mode, times: each of them undoes or forbids what comes before.
 *   * At most one thread copies a node; others wait for it (or are sent to a thread that may).
 *   * While much data is copied, or a disk is waited for, the core is not locked.
 */
#ifndef LAMINA_COPYUP_H
#define LAMINA_COPYUP_H

#include <time.h>

#include <lamina/internal.h>

enum lam_copy {
	LAM_COPY_META,	/* the metadata is about to change: data may stay below */
	LAM_COPY_DATA,	/* the data is about to change */
	LAM_COPY_EMPTY, /* the data is about to be truncated to nothing */
};

/*
 * lam_copyup() - put a node on an upper
 *
 * The caller holds a reference on 'node'.  The lock may be released meanwhile: names found
 * before have to be found again.  -EROFS without an upper, -LAM_EAGAIN as in error.h.
 */
int lam_copyup(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
	       enum lam_copy how);

/*
 * The change for which a node is copied up (LAM_COPY_META): where it can be made on the way, the
 * copy has it from the start ('done'), and 'st' are the attributes it came to.
 */
struct lam_wish {
	const struct lam_setattr *set;
	struct statx st;
	bool done;
};
int lam_copyup_for(struct lam_core *core, const struct lam_caller *caller, struct lam_node *node,
		   enum lam_copy how, struct lam_wish *wish);

/* A copy-up changes an upper directory that users see unchanged: its mtime is put back. */
int lam_mtime_save(struct lam_core *core, struct lam_ldir *dir, struct timespec *mtime);
void lam_mtime_restore(struct lam_core *core, struct lam_ldir *dir, const struct timespec *mtime);

/* The part of a directory on the upper 'layer', made (with its parents) if it is not there. */
int lam_dir_on(struct lam_core *core, struct lam_node *dir, struct lam_layer *layer, struct lam_ldir **out);

/* ---- parts of it (copydir.c, copyfill.c) ---- */

struct lam_temp;
struct lam_at;
/*
 * Name the origin 'at' in an xattr of its copy; -EOPNOTSUPP where handles or xattrs are not to be
 * had.  'fd' >= 0: a descriptor of the same object.
 */
int lam_set_origin(struct lam_core *core, const struct lam_at *at, int fd, const struct statx *st,
		   struct lam_temp *temp);
/* Does a copy of 'bytes' take long enough to be made without the lock, by a thread that may wait? */
bool lam_copy_takes_long(const struct lam_core *core, const struct lam_layer *layer, uint64_t bytes);
/*
 * Copy the data of 'node', which 'from' has open, into the descriptor 'to', without the lock if it
 * takes long.  Whoever else wants the node copied waits for LAM_NODE_COPYING to go.  'shared_only':
 * -LAM_EAGAIN if blocks cannot be shared; 'to' is as it was.
 */
struct lam_contents;
int lam_copy_contents(struct lam_core *core, struct lam_node *node, struct lam_layer *layer,
		      const struct lam_contents *from, int to, const struct statx *st, bool shared_only);
/* May a copy on 'layer' share the blocks of 'from' in no time?  Then no other thread is worth waking. */
bool lam_copy_shares_soon(const struct lam_layer *layer, const struct lam_contents *from,
			  const struct statx *st);
/* Bring data into a metadata-only copy in place; until its mark goes, readers use the lower. */
int lam_metacopy_fill(struct lam_core *core, struct lam_node *node, enum lam_copy how);

/* ---- objects in the making (temp.c) ---- */

#define LAM_MODE_UNKNOWN ((mode_t)-1)

struct lam_temp {
	struct lam_layer *layer;
	int dirfd;     /* of workdir/work; borrowed */
	int fd;	       /* of a regular file, for reading and writing; else -1 */
	mode_t mode;   /* that it has for certain, or LAM_MODE_UNKNOWN */
	char name[24]; /* in workdir/work; empty for an O_TMPFILE */
};

/* A regular file, nameless where the file system can. */
int lam_temp_file(struct lam_core *core, struct lam_layer *layer, mode_t mode, struct lam_temp *temp);
/* A directory, symbolic link ('target') or special file. */
int lam_temp_node(struct lam_core *core, struct lam_layer *layer, mode_t mode, dev_t rdev, const char *target,
		  struct lam_temp *temp);
/* An unused name in workdir/work. */
void lam_temp_name(struct lam_layer *layer, char name[24]);
/* Give it its place; -EEXIST if the name is taken.  'replace': take the place of a non-directory there. */
int lam_temp_publish(struct lam_core *core, struct lam_temp *temp, struct lam_ldir *dir, const char *name,
		     bool replace);
/* Remove what was not published; close. */
void lam_temp_end(struct lam_temp *temp);

int lam_temp_chown(const struct lam_temp *temp, uid_t uid, gid_t gid);
int lam_temp_chmod(const struct lam_temp *temp, mode_t mode);
int lam_temp_utimens(const struct lam_temp *temp, const struct timespec times[2]);
int lam_temp_setxattr(const struct lam_temp *temp, const char *key, const void *value, size_t size);

/* Remove (dirfd, name) with all below, no deeper than workdirs are. */
int lam_remove_tree(int dirfd, const char *name, unsigned int depth);
/* Empty the directory 'fd' but for the entry 'keep' (NULL: none). */
int lam_remove_entries(int fd, const char *keep, unsigned int depth);

/* ---- contents and metadata (copydata.c, copymeta.c) ---- */

/*
 * Let 'to' share the first 'size' bytes of 'from'.  -EOPNOTSUPP: this file system never does so; -EXDEV: not
 * these two files; and 'to' is as it was.  Any other error is one.
 */
int lam_copy_shared(int from, int to, uint64_t size);
/* Are the blocks of 'from', of an XFS, few and all on the disk, so that sharing them is soon done? */
bool lam_shares_soon(int from, uint64_t size);
/* Copy 'size' bytes with their holes from 'from' to the empty file 'to': copy_file_range, or read and write. */
int lam_copy_data(int from, int to, uint64_t size, bool sparse);

/* Put into 'st' the owner and mode that an xattr of the lower says, if the upper will not say so by one. */
void lam_copy_owner(struct lam_core *core, const struct lam_at *at, struct statx *st);
/*
 * Give 'temp' the xattrs of the object 'at', and owner, mode and times of 'st', but for what 'set'
 * (NULL: nothing) has instead; 'touched': its contents changed, mtime is now.
 */
int lam_copy_meta(struct lam_core *core, const struct lam_at *at, const struct statx *st,
		  struct lam_temp *temp, bool touched, const struct lam_setattr *set);
/* Can lam_copy_meta() make the change 'set' of an object that has the attributes 'st'? */
bool lam_copy_can_set(const struct lam_core *core, const struct statx *st, const struct lam_setattr *set);
/* The times that 'set' asks for, UTIME_OMIT for others. */
void lam_set_times(const struct lam_setattr *set, struct timespec times[2]);

#endif
