/* SPDX-License-Identifier: MIT */
/*
 * core - the union core: what a FUSE front end may ask
 *
 * Theory.  The core owns a node table, the layer stack and all union semantics.  A front end
 * (the C fast path or the pyfuse3 slow path; both at once) turns requests into the verbs
 * below, one verb a request, and turns results into replies.  Every verb returns 0 (or a
 * count) or a negative errno that is what the kernel should get, or -LAM_EAGAIN (error.h).
 * A verb that fails has changed nothing that users see.
 *
 * Threads.  Any thread may call any verb at any time; the core locks for itself.  No verb
 * waits for another request to the same mount.
 *
 * Ownership.  Names are NUL-terminated bytes without '/', borrowed for the call.  Nodes live
 * as long as their lookup count; lookup, readdirplus, create, mknod, mkdir, symlink, link and
 * tmpfile add one each, lam_forget() takes them away.  Handles ('fh') live until
 * lam_release(); fh 0 means "no handle" and is legal wherever an fh is taken (stateless open).
 */
#ifndef LAMINA_CORE_H
#define LAMINA_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <lamina/error.h>
#include <lamina/types.h>

struct lam_core;

enum lam_redirect { LAM_REDIRECT_OFF, LAM_REDIRECT_NOFOLLOW, LAM_REDIRECT_FOLLOW, LAM_REDIRECT_ON };
enum lam_fsync { LAM_FSYNC_AUTO, LAM_FSYNC_STRICT, LAM_FSYNC_VOLATILE };
enum lam_create_policy { LAM_CREATE_TOP, LAM_CREATE_MOST_FREE, LAM_CREATE_PATH_PRESERVING };

#define LAM_CFG_METACOPY (1u << 0)	 /* copy up metadata alone where that suffices */
#define LAM_CFG_INDEX (1u << 1)		 /* hard links survive copy-up (workdir/index) */
#define LAM_CFG_USERXATTR (1u << 2)	 /* user.overlay.* instead of trusted.overlay.* */
#define LAM_CFG_NOACL (1u << 3)		 /* POSIX ACLs are neither shown nor kept */
#define LAM_CFG_STATIC_NLINK (1u << 4)	 /* st_nlink of directories is 1 */
#define LAM_CFG_NOXATTR (1u << 5)	 /* no xattrs through the mount: EOPNOTSUPP */
#define LAM_CFG_XINO (1u << 6)		 /* file system number in the high bits of st_ino */
#define LAM_CFG_SQUASH_TO_ROOT (1u << 7) /* every object is shown as 0:0 */
#define LAM_CFG_SQUASH_TO_UID (1u << 8)	 /* ... as squash_uid */
#define LAM_CFG_SQUASH_TO_GID (1u << 9)
#define LAM_CFG_READONLY (1u << 10) /* EROFS for every change, upper or not */

/* One row of uidmapping= or gidmapping=: ids [host, host+count) on the layers are shown as [to, ...). */
struct lam_idmap {
	uint32_t host;
	uint32_t to;
	uint32_t count;
};

/* All pointers are borrowed for the call of lam_core_open() only. */
struct lam_config {
	const char *const *lower; /* directories and images, topmost first; at least one of lower and upper */
	const char *const *upper; /* paths, topmost first */
	const char *const *work;  /* one for each upper */
	uint32_t nlower;
	uint32_t nupper;
	uint32_t flags;		    /* LAM_CFG_* */
	uint32_t redirect;	    /* enum lam_redirect */
	uint32_t fsync;		    /* enum lam_fsync */
	uint32_t create_policy;	    /* enum lam_create_policy */
	uint32_t xattr_permissions; /* 0 off, 1 root (user.containers.override_stat as privileged), 2 user */
	uint32_t squash_uid;
	uint32_t squash_gid;
	uint32_t nuidmap;
	uint32_t ngidmap;
	uint32_t max_fds; /* bound of the descriptor cache; 0: from RLIMIT_NOFILE */
	const struct lam_idmap *uidmap;
	const struct lam_idmap *gidmap;
	const char *const *device; /* data devices of the images, in their order */
	const char *devicedir;	   /* where the other images' are, named by tag; NULL: nowhere */
	uint32_t ndevice;
};

/*
 * lam_core_open() - open the layers, take and clean the workdirs
 *
 * On failure returns a negative errno and writes one line (what and why, no newline) to
 * 'why', which has room for 'why_size' bytes; nothing is left behind.
 */
int lam_core_open(const struct lam_config *config, char *why, size_t why_size, struct lam_core **out);
void lam_core_close(struct lam_core *core); /* NULL is fine; no verb may be running */

/* Facts that front ends need at INIT. */
bool lam_core_readonly(const struct lam_core *core);
bool lam_core_posix_acl(const struct lam_core *core);	/* there may be some */
bool lam_core_noxattr(const struct lam_core *core);	/* LAM_CFG_NOXATTR */
bool lam_core_only_images(const struct lam_core *core); /* no file has a descriptor of its own */

/* ---- names ---- */

/* 0 with '*entry', or -ENOENT (a negative entry may be cached: the core is the only writer). */
int lam_lookup(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	       struct lam_entry *entry);
void lam_forget(struct lam_core *core, uint64_t nodeid, uint64_t nlookup);
int lam_mknod(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	      uint32_t mode, uint32_t rdev, struct lam_entry *entry);
int lam_mkdir(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	      uint32_t mode, struct lam_entry *entry);
int lam_symlink(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
		const char *target, struct lam_entry *entry);
int lam_link(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t newparent,
	     const char *newname, struct lam_entry *entry);
int lam_unlink(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name);
int lam_rmdir(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name);

/* 'flags': 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT (rename(2)). */
int lam_rename(struct lam_core *core, const struct lam_caller *caller, uint64_t oldparent,
	       const char *oldname, uint64_t newparent, const char *newname, uint32_t flags);

/* Writes at most 'size' bytes without NUL; returns the length. */
ssize_t lam_readlink(struct lam_core *core, uint64_t nodeid, char *buf, size_t size);

/* ---- attributes ---- */
int lam_getattr(struct lam_core *core, uint64_t nodeid, uint64_t fh, struct lam_attr *attr);
int lam_statx(struct lam_core *core, uint64_t nodeid, uint64_t fh, struct lam_statx *out);
int lam_setattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		const struct lam_setattr *set, struct lam_attr *attr);
int lam_statfs(struct lam_core *core, uint64_t nodeid, struct statvfs *out);

/* ---- extended attributes; size 0 asks for the length; -ERANGE, -ENODATA as getxattr(2) ---- */
ssize_t lam_getxattr(struct lam_core *core, uint64_t nodeid, const char *name, void *value, size_t size);
/* trusted.* is listed for uid 0 only. */
ssize_t lam_listxattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, char *list,
		      size_t size);
/* 'kill_sgid': FUSE_SETXATTR_ACL_KILL_SGID.  'flags': XATTR_CREATE, XATTR_REPLACE. */
int lam_setxattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, const char *name,
		 const void *value, size_t size, int flags, bool kill_sgid);
int lam_removexattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid,
		    const char *name);

/* ---- file data ---- */

/* 'flags' as open(2), O_TRUNC included, O_CREAT never; copies up for writing.  The handle keeps an open descriptor. */
int lam_open(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint32_t flags,
	     uint64_t *fh);

/*
 * lam_create() - create and open; fails with -EEXIST if the name exists, whatever O_EXCL says
 *
 * With 'fh' NULL no handle is made (stateless open).
 */
int lam_create(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	       uint32_t mode, uint32_t flags, struct lam_entry *entry, uint64_t *fh);
int lam_tmpfile(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, uint32_t mode,
		uint32_t flags, struct lam_entry *entry, uint64_t *fh);
void lam_release(struct lam_core *core, uint64_t fh);

/* A descriptor lent for one request: of the handle, or of the node's own cache for fh 0. */
struct lam_data {
	int fd;		/* -1: the contents are pieces of an image's files; lam_data_read() */
	uint32_t flags; /* LAM_DATA_* */
	void *pin;	/* the core's */
};
#define LAM_DATA_IMMUTABLE 1u /* on a lower: contents never change while lent */

#define LAM_FOR_READ 0u
#define LAM_FOR_WRITE 1u /* copies up a node that has no upper */

/*
 * lam_data_get() - borrow the descriptor that carries a regular file's contents
 *
 * The descriptor is open for what 'purpose' says, and stays open until lam_data_put(); what lies
 * on an image has none.
 * Positioned I/O only: its file offset is shared.
 */
int lam_data_get(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		 uint32_t purpose, struct lam_data *data);
void lam_data_put(struct lam_core *core, struct lam_data *data);
/* Read until 'size' bytes or the end of the file.  Without 'wait': -LAM_EAGAIN if a byte is not in memory. */
ssize_t lam_data_read(const struct lam_data *data, void *buf, size_t size, uint64_t offset, bool wait);
/* Where in which file the bytes of such a read are, if they are one piece (contents.h); else false. */
struct lam_extent;
bool lam_data_piece(const struct lam_data *data, size_t size, uint64_t offset, struct lam_extent *piece);

/* Whole-file helpers; the bytes between lam_data_get() and lam_data_put() are the front end's or these. */
ssize_t lam_read(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		 void *buf, size_t size, uint64_t offset);
/* 'kill_suidgid': FUSE_WRITE_KILL_SUIDGID.  'append': O_APPEND without writeback cache, offset is ignored. */
ssize_t lam_write(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		  const void *buf, size_t size, uint64_t offset, bool kill_suidgid);
/* The data of a regular file changed past the kernel's own care for security.capability: take it away. */
int lam_drop_capability(struct lam_core *core, uint64_t nodeid);
int lam_fsync(struct lam_core *core, uint64_t nodeid, uint64_t fh, bool datasync);
int lam_fallocate(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		  int mode, uint64_t offset, uint64_t length);
int64_t lam_lseek(struct lam_core *core, uint64_t nodeid, uint64_t fh, int64_t offset, int whence);
ssize_t lam_copy_file_range(struct lam_core *core, const struct lam_caller *caller, uint64_t node_in,
			    uint64_t fh_in, uint64_t off_in, uint64_t node_out, uint64_t fh_out,
			    uint64_t off_out, size_t length);
int lam_syncfs(struct lam_core *core);

/*
 * lam_ioctl() - the inode flag calls: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR,
 * FS_IOC_FSSETXATTR; anything else is -ENOTTY
 *
 * 'arg' is in and out, 'size' its length (4 for the flags calls, sizeof(struct fsxattr)).
 */
int lam_ioctl(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
	      uint32_t cmd, void *arg, size_t size);

/* ---- directories ---- */

struct lam_dirinfo {
	const char *name;
	uint32_t namelen;
	uint32_t type; /* DT_* */
	uint64_t ino;
	uint64_t cookie;	       /* continue behind this entry */
	const struct lam_entry *entry; /* with attributes and one more lookup; NULL if not asked or not had */
};

/*
 * Take one entry: 0 to go on, 1 if it does not fit (the core takes back its lookup and ends).
 * Called with the core locked: it may only copy.
 */
typedef int (*lam_dirfill)(void *arg, const struct lam_dirinfo *info);

/*
 * lam_readdir() - list a merged directory from 'cookie' on (0: from the start, "." and ".." included)
 *
 * Cookies depend on names only: they survive seekdir(3), changes in the directory and the
 * core's forgetting its index.  They are below 2^63.  With 'plus' each entry but "." and ".."
 * comes with attributes and a lookup.
 */
int lam_readdir(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t cookie,
		bool plus, lam_dirfill fill, void *arg);

/* The same, packed as struct lam_dirent into 'buf'; returns bytes written, 0 at the end. */
ssize_t lam_readdir_pack(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid,
			 uint64_t cookie, bool plus, void *buf, size_t size);

/* ---- observation ---- */

struct lam_stats {
	uint64_t nodes;	       /* in the table now */
	uint64_t names;	       /* directory index entries */
	uint64_t fds;	       /* descriptors in the cache */
	uint64_t copyups;      /* objects copied up, all kinds */
	uint64_t copied_bytes; /* data bytes copied up */
	uint64_t metacopies;   /* copy-ups that left the data below */
};
void lam_core_stats(struct lam_core *core, struct lam_stats *out);

/*
 * lam_why() - on which layers a node lies: text, one line a layer, topmost first
 *
 * "upper 0 PATH [metacopy] [redirect R] [opaque]" or "lower N PATH"; returns the length or -ERANGE.
 */
ssize_t lam_why(struct lam_core *core, uint64_t nodeid, char *buf, size_t size);

#endif
