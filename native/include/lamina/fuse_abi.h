/* SPDX-License-Identifier: MIT *
 * Past 400 lines: one table of the kernel's facts, read beside its header; split it would be harder to compare.
 */
/*
 * fuse_abi - the kernel's FUSE protocol, 7.45, as far as a file system server meets it
 *
 * Theory.  A request is a struct fuse_in_header, the opcode's own structure, then names (each
 * with its NUL) or data.  A reply is a struct fuse_out_header and the opcode's own structure or
 * data.  'unique' joins the two.  The system's <linux/fuse.h> may be years older than the
 * kernel; this file states what the kernel does, and never both are included.
 *
 * Numbers and layouts are the kernel's interface and cannot be chosen.
 */
#ifndef LAMINA_FUSE_ABI_H
#define LAMINA_FUSE_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

#define FUSE_KERNEL_VERSION 7
#define FUSE_KERNEL_MINOR_VERSION 45
#define FUSE_ROOT_ID 1
#define FUSE_MIN_READ_BUFFER 8192

enum fuse_opcode {
	FUSE_LOOKUP = 1,
	FUSE_FORGET = 2, /* no reply */
	FUSE_GETATTR = 3,
	FUSE_SETATTR = 4,
	FUSE_READLINK = 5,
	FUSE_SYMLINK = 6,
	FUSE_MKNOD = 8,
	FUSE_MKDIR = 9,
	FUSE_UNLINK = 10,
	FUSE_RMDIR = 11,
	FUSE_RENAME = 12,
	FUSE_LINK = 13,
	FUSE_OPEN = 14,
	FUSE_READ = 15,
	FUSE_WRITE = 16,
	FUSE_STATFS = 17,
	FUSE_RELEASE = 18,
	FUSE_FSYNC = 20,
	FUSE_SETXATTR = 21,
	FUSE_GETXATTR = 22,
	FUSE_LISTXATTR = 23,
	FUSE_REMOVEXATTR = 24,
	FUSE_FLUSH = 25,
	FUSE_INIT = 26,
	FUSE_OPENDIR = 27,
	FUSE_READDIR = 28,
	FUSE_RELEASEDIR = 29,
	FUSE_FSYNCDIR = 30,
	FUSE_GETLK = 31,
	FUSE_SETLK = 32,
	FUSE_SETLKW = 33,
	FUSE_ACCESS = 34,
	FUSE_CREATE = 35,
	FUSE_INTERRUPT = 36, /* no reply */
	FUSE_BMAP = 37,
	FUSE_DESTROY = 38,
	FUSE_IOCTL = 39,
	FUSE_POLL = 40,
	FUSE_NOTIFY_REPLY = 41, /* no reply */
	FUSE_BATCH_FORGET = 42, /* no reply */
	FUSE_FALLOCATE = 43,
	FUSE_READDIRPLUS = 44,
	FUSE_RENAME2 = 45,
	FUSE_LSEEK = 46,
	FUSE_COPY_FILE_RANGE = 47,
	FUSE_SETUPMAPPING = 48,
	FUSE_REMOVEMAPPING = 49,
	FUSE_SYNCFS = 50,
	FUSE_TMPFILE = 51,
	FUSE_STATX = 52,
	FUSE_COPY_FILE_RANGE_64 = 53,
};

#define FUSE_OPCODES 64 /* room for tables; the highest of a file system is 53 */

/* ---- INIT ---- */

#define FUSE_ASYNC_READ (1ull << 0)
#define FUSE_POSIX_LOCKS (1ull << 1)
#define FUSE_FILE_OPS (1ull << 2)
#define FUSE_ATOMIC_O_TRUNC (1ull << 3)
#define FUSE_EXPORT_SUPPORT (1ull << 4)
#define FUSE_BIG_WRITES (1ull << 5)
#define FUSE_DONT_MASK (1ull << 6)
#define FUSE_SPLICE_WRITE (1ull << 7)
#define FUSE_SPLICE_MOVE (1ull << 8)
#define FUSE_SPLICE_READ (1ull << 9)
#define FUSE_FLOCK_LOCKS (1ull << 10)
#define FUSE_HAS_IOCTL_DIR (1ull << 11)
#define FUSE_AUTO_INVAL_DATA (1ull << 12)
#define FUSE_DO_READDIRPLUS (1ull << 13)
#define FUSE_READDIRPLUS_AUTO (1ull << 14)
#define FUSE_ASYNC_DIO (1ull << 15)
#define FUSE_WRITEBACK_CACHE (1ull << 16) /* the kernel then refuses passthrough */
#define FUSE_NO_OPEN_SUPPORT (1ull << 17)
#define FUSE_PARALLEL_DIROPS (1ull << 18)
#define FUSE_HANDLE_KILLPRIV (1ull << 19)
#define FUSE_POSIX_ACL (1ull << 20) /* implies default_permissions */
#define FUSE_ABORT_ERROR (1ull << 21)
#define FUSE_MAX_PAGES (1ull << 22)
#define FUSE_CACHE_SYMLINKS (1ull << 23)
#define FUSE_NO_OPENDIR_SUPPORT (1ull << 24)
#define FUSE_EXPLICIT_INVAL_DATA (1ull << 25)
#define FUSE_MAP_ALIGNMENT (1ull << 26)
#define FUSE_SUBMOUNTS (1ull << 27)
#define FUSE_HANDLE_KILLPRIV_V2 (1ull << 28)
#define FUSE_SETXATTR_EXT (1ull << 29)
#define FUSE_INIT_EXT (1ull << 30) /* flags2 counts */
/* from here on in flags2, 32 bits lower */
#define FUSE_SECURITY_CTX (1ull << 32)
#define FUSE_HAS_INODE_DAX (1ull << 33)
#define FUSE_CREATE_SUPP_GROUP (1ull << 34)
#define FUSE_HAS_EXPIRE_ONLY (1ull << 35)
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ull << 36)
#define FUSE_PASSTHROUGH (1ull << 37)
#define FUSE_NO_EXPORT_SUPPORT (1ull << 38)
#define FUSE_HAS_RESEND (1ull << 39)
#define FUSE_ALLOW_IDMAP (1ull << 40)
#define FUSE_OVER_IO_URING (1ull << 41)
#define FUSE_REQUEST_TIMEOUT (1ull << 42)

struct fuse_init_in {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags; /* kernels before 7.36 end here */
	uint32_t flags2;
	uint32_t unused[11];
};
#define FUSE_COMPAT_INIT_IN_SIZE 16

struct fuse_init_out {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint16_t request_timeout;
	uint16_t unused[11];
};

/* ---- headers ---- */

struct fuse_in_header {
	uint32_t len;
	uint32_t opcode;
	uint64_t unique; /* even; the lowest bit marks an INTERRUPT */
	uint64_t nodeid;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint16_t total_extlen; /* of extensions behind the arguments, in units of 8 bytes */
	uint16_t padding;
};

struct fuse_out_header {
	uint32_t len;
	int32_t error;	 /* 0, or -1 ... -511; anything else is refused and the request stays open */
	uint64_t unique; /* 0: a notification, its code in 'error' */
};

/* ---- attributes and names ---- */

struct fuse_attr {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev;
	uint32_t blksize;
	uint32_t flags;
};

struct fuse_entry_out {
	uint64_t nodeid; /* 0: there is no such name, cache that */
	uint64_t generation;
	uint64_t entry_valid;
	uint64_t attr_valid;
	uint32_t entry_valid_nsec;
	uint32_t attr_valid_nsec;
	struct fuse_attr attr;
};

struct fuse_forget_in {
	uint64_t nlookup;
};

struct fuse_forget_one {
	uint64_t nodeid;
	uint64_t nlookup;
};

struct fuse_batch_forget_in {
	uint32_t count;
	uint32_t dummy;
};

#define FUSE_GETATTR_FH (1u << 0)

struct fuse_getattr_in {
	uint32_t getattr_flags;
	uint32_t dummy;
	uint64_t fh;
};

struct fuse_attr_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t dummy;
	struct fuse_attr attr;
};

struct fuse_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct fuse_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct fuse_sx_time atime;
	struct fuse_sx_time btime;
	struct fuse_sx_time ctime;
	struct fuse_sx_time mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t spare2[14];
};

struct fuse_statx_in {
	uint32_t getattr_flags;
	uint32_t reserved;
	uint64_t fh;
	uint32_t sx_flags;
	uint32_t sx_mask;
};

struct fuse_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct fuse_statx stat;
};

#define FATTR_MODE (1u << 0)
#define FATTR_UID (1u << 1)
#define FATTR_GID (1u << 2)
#define FATTR_SIZE (1u << 3)
#define FATTR_ATIME (1u << 4)
#define FATTR_MTIME (1u << 5)
#define FATTR_FH (1u << 6)
#define FATTR_ATIME_NOW (1u << 7)
#define FATTR_MTIME_NOW (1u << 8)
#define FATTR_LOCKOWNER (1u << 9)
#define FATTR_CTIME (1u << 10)
#define FATTR_KILL_SUIDGID (1u << 11)

struct fuse_setattr_in {
	uint32_t valid;
	uint32_t padding;
	uint64_t fh;
	uint64_t size;
	uint64_t lock_owner;
	uint64_t atime;
	uint64_t mtime;
	uint64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t unused4;
	uint32_t uid;
	uint32_t gid;
	uint32_t unused5;
};

struct fuse_mknod_in {
	uint32_t mode;
	uint32_t rdev;
	uint32_t umask;
	uint32_t padding;
};

struct fuse_mkdir_in {
	uint32_t mode;
	uint32_t umask;
};

struct fuse_rename_in {
	uint64_t newdir;
};

struct fuse_rename2_in {
	uint64_t newdir;
	uint32_t flags;
	uint32_t padding;
};

struct fuse_link_in {
	uint64_t oldnodeid;
};

struct fuse_access_in {
	uint32_t mask;
	uint32_t padding;
};

struct fuse_kstatfs {
	uint64_t blocks;
	uint64_t bfree;
	uint64_t bavail;
	uint64_t files;
	uint64_t ffree;
	uint32_t bsize;
	uint32_t namelen;
	uint32_t frsize;
	uint32_t padding;
	uint32_t spare[6];
};

/* ---- open files ---- */

#define FOPEN_DIRECT_IO (1u << 0)
#define FOPEN_KEEP_CACHE (1u << 1) /* refused together with FOPEN_PASSTHROUGH */
#define FOPEN_NONSEEKABLE (1u << 2)
#define FOPEN_CACHE_DIR (1u << 3)
#define FOPEN_STREAM (1u << 4)
#define FOPEN_NOFLUSH (1u << 5)
#define FOPEN_PARALLEL_DIRECT_WRITES (1u << 6)
#define FOPEN_PASSTHROUGH (1u << 7)

#define FUSE_OPEN_KILL_SUIDGID (1u << 0)

struct fuse_open_in {
	uint32_t flags;
	uint32_t open_flags; /* FUSE_OPEN_* */
};

struct fuse_create_in {
	uint32_t flags;
	uint32_t mode;
	uint32_t umask;
	uint32_t open_flags;
};

struct fuse_open_out {
	uint64_t fh;
	uint32_t open_flags; /* FOPEN_* */
	int32_t backing_id;
};

struct fuse_release_in {
	uint64_t fh;
	uint32_t flags;
	uint32_t release_flags;
	uint64_t lock_owner;
};

struct fuse_read_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t read_flags;
	uint64_t lock_owner;
	uint32_t flags;
	uint32_t padding;
};

#define FUSE_WRITE_CACHE (1u << 0)
#define FUSE_WRITE_LOCKOWNER (1u << 1)
#define FUSE_WRITE_KILL_SUIDGID (1u << 2)

struct fuse_write_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t size;
	uint32_t write_flags;
	uint64_t lock_owner;
	uint32_t flags;
	uint32_t padding;
};

struct fuse_write_out {
	uint32_t size;
	uint32_t padding;
};

#define FUSE_FSYNC_FDATASYNC (1u << 0)

struct fuse_fsync_in {
	uint64_t fh;
	uint32_t fsync_flags;
	uint32_t padding;
};

struct fuse_fallocate_in {
	uint64_t fh;
	uint64_t offset;
	uint64_t length;
	uint32_t mode;
	uint32_t padding;
};

struct fuse_lseek_in {
	uint64_t fh;
	uint64_t offset;
	uint32_t whence;
	uint32_t padding;
};

struct fuse_lseek_out {
	uint64_t offset;
};

struct fuse_copy_file_range_in {
	uint64_t fh_in;
	uint64_t off_in;
	uint64_t nodeid_out;
	uint64_t fh_out;
	uint64_t off_out;
	uint64_t len;
	uint64_t flags;
};

struct fuse_copy_file_range_out {
	uint64_t bytes_copied; /* of FUSE_COPY_FILE_RANGE_64; the old one has struct fuse_write_out */
};

struct fuse_ioctl_in {
	uint64_t fh;
	uint32_t flags;
	uint32_t cmd;
	uint64_t arg;
	uint32_t in_size;
	uint32_t out_size;
};

struct fuse_ioctl_out {
	int32_t result;
	uint32_t flags;
	uint32_t in_iovs;
	uint32_t out_iovs;
};

/* ---- extended attributes ---- */

#define FUSE_SETXATTR_ACL_KILL_SGID (1u << 0)
#define FUSE_COMPAT_SETXATTR_IN_SIZE 8 /* without FUSE_SETXATTR_EXT */

struct fuse_setxattr_in {
	uint32_t size;
	uint32_t flags;
	uint32_t setxattr_flags;
	uint32_t padding;
};

struct fuse_getxattr_in {
	uint32_t size;
	uint32_t padding;
};

struct fuse_getxattr_out {
	uint32_t size;
	uint32_t padding;
};

/* ---- directories; both are padded to 8 bytes behind the name ---- */

struct fuse_dirent {
	uint64_t ino;
	uint64_t off;
	uint32_t namelen;
	uint32_t type;
	char name[];
};

struct fuse_direntplus {
	struct fuse_entry_out entry_out;
	uint64_t ino; /* a struct fuse_dirent from here */
	uint64_t off;
	uint32_t namelen;
	uint32_t type;
	char name[];
};

#define FUSE_DIRENT_ALIGN(size) (((size) + 7u) & ~(size_t)7u)

/* ---- the device's own calls ---- */

struct fuse_backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define FUSE_DEV_IOC_CLONE _IOR(229, 0, uint32_t)
#define FUSE_DEV_IOC_BACKING_OPEN _IOW(229, 1, struct fuse_backing_map) /* returns the id, > 0 */
#define FUSE_DEV_IOC_BACKING_CLOSE _IOW(229, 2, uint32_t)

/* ---- requests over io_uring: IORING_OP_URING_CMD on the device, 128-byte submissions ---- */

enum fuse_uring_cmd {
	FUSE_IO_URING_CMD_REGISTER = 1,		/* addr, len: two iovecs, header and payload */
	FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2, /* the reply lies in both */
};

struct fuse_uring_cmd_req { /* in the submission's 80 bytes of command */
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid; /* a possible CPU's number */
	uint8_t padding[6];
};

struct fuse_uring_ent_in_out {
	uint64_t flags;
	uint64_t commit_id;  /* to be given back */
	uint32_t payload_sz; /* bytes behind the opcode's structure; of a reply all but its header */
	uint32_t padding;
	uint64_t reserved;
};

struct fuse_uring_req_header {
	unsigned char in_out[128]; /* struct fuse_in_header, or fuse_out_header */
	unsigned char op_in[128];  /* the opcode's structure */
	struct fuse_uring_ent_in_out ring_ent_in_out;
};

_Static_assert(sizeof(struct fuse_in_header) == 40, "kernel interface");
_Static_assert(sizeof(struct fuse_out_header) == 16, "kernel interface");
_Static_assert(sizeof(struct fuse_init_in) == 64, "kernel interface");
_Static_assert(sizeof(struct fuse_init_out) == 64, "kernel interface");
_Static_assert(sizeof(struct fuse_attr) == 88, "kernel interface");
_Static_assert(sizeof(struct fuse_entry_out) == 128, "kernel interface");
_Static_assert(sizeof(struct fuse_attr_out) == 104, "kernel interface");
_Static_assert(sizeof(struct fuse_statx) == 256, "kernel interface");
_Static_assert(sizeof(struct fuse_statx_in) == 24, "kernel interface");
_Static_assert(sizeof(struct fuse_statx_out) == 288, "kernel interface");
_Static_assert(sizeof(struct fuse_setattr_in) == 88, "kernel interface");
_Static_assert(sizeof(struct fuse_kstatfs) == 80, "kernel interface");
_Static_assert(sizeof(struct fuse_create_in) == 16, "kernel interface");
_Static_assert(sizeof(struct fuse_open_out) == 16, "kernel interface");
_Static_assert(sizeof(struct fuse_release_in) == 24, "kernel interface");
_Static_assert(sizeof(struct fuse_read_in) == 40, "kernel interface");
_Static_assert(sizeof(struct fuse_write_in) == 40, "kernel interface");
_Static_assert(sizeof(struct fuse_fallocate_in) == 32, "kernel interface");
_Static_assert(sizeof(struct fuse_copy_file_range_in) == 56, "kernel interface");
_Static_assert(sizeof(struct fuse_ioctl_in) == 32, "kernel interface");
_Static_assert(sizeof(struct fuse_setxattr_in) == 16, "kernel interface");
_Static_assert(sizeof(struct fuse_dirent) == 24, "kernel interface");
_Static_assert(sizeof(struct fuse_direntplus) == 152, "kernel interface");
_Static_assert(sizeof(struct fuse_backing_map) == 16, "kernel interface");
_Static_assert(sizeof(struct fuse_uring_cmd_req) == 24, "kernel interface");
_Static_assert(sizeof(struct fuse_uring_req_header) == 288, "kernel interface");

#endif
