/* SPDX-License-Identifier: MIT */
/*
 * types - the values that cross the border between union core, FUSE server and Python
 *
 * Fixed width, explicitly padded, checked with _Static_assert: native/core.cdef.h repeats
 * these layouts for cffi, and a test compiles both.
 *
 * Three identities are never mixed: 'nodeid' (the kernel's handle), 'ino' (what users see)
 * and (dev, ino) on a layer, which does not leave the core.
 */
#ifndef LAMINA_TYPES_H
#define LAMINA_TYPES_H

#include <stdint.h>

#define LAM_ROOT_ID 1 /* FUSE_ROOT_ID */
#define LAM_NAME_MAX 255

/* Who asks, and what the core may do about it.  One per request, owned by the caller. */
struct lam_caller {
	uint32_t uid;	/* fsuid as the mount shows it, before id mapping */
	uint32_t gid;	/* fsgid */
	uint32_t pid;	/* thread id of the requester, 0 if unknown */
	uint32_t umask; /* for mknod, mkdir, create, tmpfile: applied unless a default ACL rules */
	uint32_t flags; /* LAM_CALLER_* */
};

/*
 * The calling thread may wait for a long copy.  Without it a verb that would copy more than
 * a small file answers -LAM_EAGAIN and has changed nothing: ask again from a pool thread.
 */
#define LAM_CALLER_MAY_BLOCK 1u

struct lam_attr {
	uint64_t ino;
	uint64_t size;	 /* bytes */
	uint64_t blocks; /* of 512 bytes */
	int64_t atime;	 /* seconds */
	int64_t mtime;
	int64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode; /* type and permissions */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev; /* new_encode_dev(): (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12) */
	uint32_t blksize;
	uint32_t pad;
};
_Static_assert(sizeof(struct lam_attr) == 88, "struct lam_attr is shared with Python");

/* Birth time and the rest of statx, for FUSE_STATX. */
struct lam_statx {
	struct lam_attr attr;
	int64_t btime;
	uint32_t btimensec;
	uint32_t has_btime;
	uint64_t attributes; /* STATX_ATTR_* */
	uint64_t attributes_mask;
};

/* A name that was found; the kernel now holds one more lookup on 'nodeid'. */
struct lam_entry {
	uint64_t nodeid;
	uint64_t generation;
	struct lam_attr attr;
};
_Static_assert(sizeof(struct lam_entry) == 104, "struct lam_entry is shared with Python");

/* What to change; 'valid' says which fields count. */
struct lam_setattr {
	uint32_t valid; /* LAM_SET_* */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	int64_t atime;
	int64_t mtime;
	uint32_t atimensec;
	uint32_t mtimensec;
};

#define LAM_SET_MODE (1u << 0)
#define LAM_SET_UID (1u << 1)
#define LAM_SET_GID (1u << 2)
#define LAM_SET_SIZE (1u << 3)
#define LAM_SET_ATIME (1u << 4)
#define LAM_SET_MTIME (1u << 5)
#define LAM_SET_ATIME_NOW (1u << 6)
#define LAM_SET_MTIME_NOW (1u << 7)
#define LAM_SET_KILL_SUIDGID (1u << 8) /* the caller lacks CAP_FSETID: clear setuid, setgid, capabilities */

/* One packed directory entry for Python: this head, the name without NUL, padding to 8. */
struct lam_dirent {
	uint64_t cookie;	/* pass to lam_readdir() to go on behind this entry */
	struct lam_entry entry; /* nodeid 0 where no lookup was taken ("." and "..", or plus == 0) */
	uint32_t type;		/* DT_* */
	uint32_t namelen;
};
_Static_assert(sizeof(struct lam_dirent) == 120, "struct lam_dirent is shared with Python");

#endif
