/* SPDX-License-Identifier: MIT */
/*
 * core.cdef - what Python uses of include/lamina, in cffi's dialect
 *
 * The headers are the truth; this repeats their declarations word for word, without what
 * cffi cannot parse.  tests/architecture/test_cdef.py compares the two.  Not here:
 * lam_readdir() (nothing calls back into Python; lam_readdir_pack() is its twin), and
 * lam_data_get(), lam_data_read(), lam_data_piece() and lam_data_put() (Python moves no data by descriptor).
 */

/* ---- error.h ---- */
#define LAM_EAGAIN ...

/* ---- types.h ---- */
#define LAM_ROOT_ID ...
#define LAM_NAME_MAX ...
#define LAM_CALLER_MAY_BLOCK ...

struct lam_caller {
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint32_t umask;
	uint32_t flags;
};

struct lam_attr {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	int64_t atime;
	int64_t mtime;
	int64_t ctime;
	uint32_t atimensec;
	uint32_t mtimensec;
	uint32_t ctimensec;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev;
	uint32_t blksize;
	uint32_t pad;
};

struct lam_statx {
	struct lam_attr attr;
	int64_t btime;
	uint32_t btimensec;
	uint32_t has_btime;
	uint64_t attributes;
	uint64_t attributes_mask;
};

struct lam_entry {
	uint64_t nodeid;
	uint64_t generation;
	struct lam_attr attr;
};

struct lam_setattr {
	uint32_t valid;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	int64_t atime;
	int64_t mtime;
	uint32_t atimensec;
	uint32_t mtimensec;
};

#define LAM_SET_MODE ...
#define LAM_SET_UID ...
#define LAM_SET_GID ...
#define LAM_SET_SIZE ...
#define LAM_SET_ATIME ...
#define LAM_SET_MTIME ...
#define LAM_SET_ATIME_NOW ...
#define LAM_SET_MTIME_NOW ...
#define LAM_SET_KILL_SUIDGID ...

struct lam_dirent {
	uint64_t cookie;
	struct lam_entry entry;
	uint32_t type;
	uint32_t namelen;
};

/* ---- core.h ---- */
struct lam_core;

enum lam_redirect { LAM_REDIRECT_OFF, LAM_REDIRECT_NOFOLLOW, LAM_REDIRECT_FOLLOW, LAM_REDIRECT_ON };
enum lam_fsync { LAM_FSYNC_AUTO, LAM_FSYNC_STRICT, LAM_FSYNC_VOLATILE };
enum lam_create_policy { LAM_CREATE_TOP, LAM_CREATE_MOST_FREE, LAM_CREATE_PATH_PRESERVING };

#define LAM_CFG_METACOPY ...
#define LAM_CFG_INDEX ...
#define LAM_CFG_USERXATTR ...
#define LAM_CFG_NOACL ...
#define LAM_CFG_STATIC_NLINK ...
#define LAM_CFG_NOXATTR ...
#define LAM_CFG_XINO ...
#define LAM_CFG_SQUASH_TO_ROOT ...
#define LAM_CFG_SQUASH_TO_UID ...
#define LAM_CFG_SQUASH_TO_GID ...
#define LAM_CFG_READONLY ...

struct lam_idmap {
	uint32_t host;
	uint32_t to;
	uint32_t count;
};

struct lam_config {
	const char *const *lower;
	const char *const *upper;
	const char *const *work;
	uint32_t nlower;
	uint32_t nupper;
	uint32_t flags;
	uint32_t redirect;
	uint32_t fsync;
	uint32_t create_policy;
	uint32_t xattr_permissions;
	uint32_t squash_uid;
	uint32_t squash_gid;
	uint32_t nuidmap;
	uint32_t ngidmap;
	uint32_t max_fds;
	const struct lam_idmap *uidmap;
	const struct lam_idmap *gidmap;
	const char *const *device;
	const char *devicedir;
	uint32_t ndevice;
};

/* <sys/statvfs.h> */
struct statvfs {
	unsigned long f_bsize;
	unsigned long f_frsize;
	unsigned long f_blocks;
	unsigned long f_bfree;
	unsigned long f_bavail;
	unsigned long f_files;
	unsigned long f_ffree;
	unsigned long f_favail;
	unsigned long f_namemax;
	...;
};

int lam_core_open(const struct lam_config *config, char *why, size_t why_size, struct lam_core **out);
void lam_core_close(struct lam_core *core);
bool lam_core_readonly(const struct lam_core *core);
bool lam_core_posix_acl(const struct lam_core *core);
bool lam_core_noxattr(const struct lam_core *core);
bool lam_core_only_images(const struct lam_core *core);

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
int lam_rename(struct lam_core *core, const struct lam_caller *caller, uint64_t oldparent, const char *oldname,
	       uint64_t newparent, const char *newname, uint32_t flags);
ssize_t lam_readlink(struct lam_core *core, uint64_t nodeid, char *buf, size_t size);

int lam_getattr(struct lam_core *core, uint64_t nodeid, uint64_t fh, struct lam_attr *attr);
int lam_statx(struct lam_core *core, uint64_t nodeid, uint64_t fh, struct lam_statx *out);
int lam_setattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		const struct lam_setattr *set, struct lam_attr *attr);
int lam_statfs(struct lam_core *core, uint64_t nodeid, struct statvfs *out);

ssize_t lam_getxattr(struct lam_core *core, uint64_t nodeid, const char *name, void *value, size_t size);
ssize_t lam_listxattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, char *list,
		      size_t size);
int lam_setxattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, const char *name,
		 const void *value, size_t size, int flags, bool kill_sgid);
int lam_removexattr(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, const char *name);

int lam_open(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint32_t flags, uint64_t *fh);
int lam_create(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	       uint32_t mode, uint32_t flags, struct lam_entry *entry, uint64_t *fh);
int lam_tmpfile(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, uint32_t mode,
		uint32_t flags, struct lam_entry *entry, uint64_t *fh);
void lam_release(struct lam_core *core, uint64_t fh);

ssize_t lam_read(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh, void *buf,
		 size_t size, uint64_t offset);
ssize_t lam_write(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh,
		  const void *buf, size_t size, uint64_t offset, bool kill_suidgid);
int lam_drop_capability(struct lam_core *core, uint64_t nodeid);
int lam_fsync(struct lam_core *core, uint64_t nodeid, uint64_t fh, bool datasync);
int lam_fallocate(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh, int mode,
		  uint64_t offset, uint64_t length);
int64_t lam_lseek(struct lam_core *core, uint64_t nodeid, uint64_t fh, int64_t offset, int whence);
ssize_t lam_copy_file_range(struct lam_core *core, const struct lam_caller *caller, uint64_t node_in,
			    uint64_t fh_in, uint64_t off_in, uint64_t node_out, uint64_t fh_out, uint64_t off_out,
			    size_t length);
int lam_syncfs(struct lam_core *core);
int lam_ioctl(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t fh, uint32_t cmd,
	      void *arg, size_t size);

ssize_t lam_readdir_pack(struct lam_core *core, const struct lam_caller *caller, uint64_t nodeid, uint64_t cookie,
			 bool plus, void *buf, size_t size);

struct lam_stats {
	uint64_t nodes;
	uint64_t names;
	uint64_t fds;
	uint64_t copyups;
	uint64_t copied_bytes;
	uint64_t metacopies;
};
void lam_core_stats(struct lam_core *core, struct lam_stats *out);
ssize_t lam_why(struct lam_core *core, uint64_t nodeid, char *buf, size_t size);

/* ---- server.h ---- */
struct lam_server;

enum lam_tristate { LAM_AUTO, LAM_OFF, LAM_ON, LAM_UPPER };

struct lam_server_config {
	int fuse_fd;
	uint32_t passthrough;
	uint32_t stateless;
	uint32_t writeback;
	uint32_t max_write;
	uint32_t pool_threads;
	uint32_t debug;
	uint32_t follow;
	uint32_t io_uring;
	uint32_t padding;
	uint64_t direct_read;
	double entry_timeout;
	double attr_timeout;
	double negative_timeout;
	const char *forward;
};

enum lam_event {
	LAM_EVENT_UNMOUNTED = 1,
	LAM_EVENT_SIGNAL = 2,
	LAM_EVENT_SLOW_WANTED = 3,
	LAM_EVENT_FAILED = 4,
};

int lam_server_open(struct lam_core *core, const struct lam_server_config *config, struct lam_server **out);
int lam_server_start(struct lam_server *server);
int lam_server_prime(struct lam_server *server, const char *mountpoint);
int lam_server_uring(struct lam_server *server);
int lam_server_wait(struct lam_server *server, int *detail);
int lam_server_slow_fd(const struct lam_server *server);
void lam_server_slow_failed(struct lam_server *server);
void lam_server_stop(struct lam_server *server);
void lam_server_free(struct lam_server *server);

struct lam_server_stats {
	uint64_t requests;
	uint64_t forwarded;
	uint64_t pooled;
	uint64_t by_opcode[64];
};
void lam_server_stats(struct lam_server *server, struct lam_server_stats *out);

/* ---- mount.h ---- */
int lam_mount_direct(const char *dir, const char *source, unsigned long flags, const char *options, char *why,
		     size_t why_size);
int lam_mount_helper(const char *dir, const char *options, char *why, size_t why_size);
int lam_unmount(const char *dir, int lazy);
