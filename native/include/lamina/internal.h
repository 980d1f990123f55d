/* SPDX-License-Identifier: MIT */
/*
 * internal - the core's objects and how they hang together
 *
 *   lam_core ── layers[] ── lam_layer ── root ── lam_ldir (a directory on one layer)
 *      │                                             ▲
 *      ├── nodes ── lam_node (an object users see) ──┘ parts[] (directories), upper/lower (others)
 *      │               │ table (directories)
 *      │               └── lam_dent (a name in a merged directory) ── child ──► lam_node
 *      └── files ── lam_file (an open descriptor, shared by handles and the nodes' cache)
 *
 * Locking.  One mutex, core->lock, is held by every verb from its first line to its last,
 * except while a long copy of file data runs (copyup.c) and while descriptors that
 * lam_data_get() lent are used.  Everything below is guarded by it.
 *
 * References.  A node lives while the kernel knows it (nlookup) or something in the core
 * points at it (refs: child names, handles, running copies).  A dent with a child holds its
 * directory.  A lam_ldir is counted by its children, by parts and by places.
 */
#ifndef LAMINA_INTERNAL_H
#define LAMINA_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <lamina/core.h>
#include <lamina/list.h>

#define LAM_MAX_LAYERS 8192	    /* fits the 16 bits of a layer number with room for marks */
#define LAM_SMALL_COPY (256u << 10) /* bytes that a hot thread may copy by itself */

struct lam_ldir;
struct lam_node;
struct lam_dent;
struct lam_file;
struct lam_image;

/* ---- layers ---- */

struct lam_layer_ops;

/* Abilities of an upper, probed when it is opened. */
#define LAM_UP_TMPFILE (1u << 0)   /* O_TMPFILE and linking it */
#define LAM_UP_XATTR (1u << 1)	   /* our private xattrs can be set */
#define LAM_UP_MKNOD (1u << 2)	   /* char 0/0 whiteouts can be made */
#define LAM_UP_WHLINK (1u << 3)	   /* whiteouts can be hard links of one */
#define LAM_UP_RENAME_WH (1u << 4) /* renameat2(RENAME_WHITEOUT) */
#define LAM_UP_EXACT (1u << 5)	   /* what is made in workdir has the mode it is made with, and our ids */

struct lam_layer {
	const struct lam_layer_ops *ops;
	struct lam_ldir *root;
	struct lam_image *image; /* of an image layer, NULL for a directory */
	uint32_t index;		 /* 0 is the topmost */
	bool upper;		 /* may be written */
	bool override;		 /* root has an override_stat xattr: owners and modes live there */
	uint32_t fsid;		 /* number of the root's file system (inomap.h) */
	/* uppers only: */
	uint32_t abilities;	    /* LAM_UP_* */
	struct lam_ldir *work;	    /* workdir/work */
	struct lam_ldir *index_dir; /* workdir/index, NULL if there is none */
	int lock_fd[2];		    /* flock'ed upper and workdir */
	uint32_t next_temp;
	uint64_t dev;	     /* of workdir */
	bool slow_sync;	     /* fsync waits for a device: not tmpfs */
	bool counts_extents; /* says at once how many a file has: XFS */
	bool unshared;	     /* files never share blocks here: tried */
	uint8_t refusals;    /* so far, to do so */
	bool whiteout_made;  /* work/whiteout exists for linking */
};

/* ---- a directory on one layer ---- */

#define LAM_LDIR_MARKS (1u << 0) /* the flags below have been read */
#define LAM_LDIR_OPAQUE (1u << 1)
#define LAM_LDIR_XWHITEOUTS (1u << 2)
#define LAM_LDIR_IMPURE (1u << 3)
#define LAM_LDIR_ORIGIN (1u << 4)
#define LAM_LDIR_REDIRECT (1u << 5)
#define LAM_LDIR_ACL_KNOWN (1u << 6)
#define LAM_LDIR_ACL (1u << 7)	 /* has a default ACL */
#define LAM_LDIR_LISTS (1u << 8) /* 'fd' can be read, not only gone through */
#define LAM_LDIR_MTIME (1u << 9) /* 'mtime' is the directory's: nothing but reading came since */

struct lam_ldir {
	struct lam_layer *layer;
	struct lam_ldir *parent; /* NULL for a root */
	char *name;		 /* in parent; renames on an upper change it */
	struct lam_list lru;	 /* core->dirfds while fd is open and not a root's */
	uint64_t ino;		 /* on the layer, 0 if not read yet */
	uint64_t object;	 /* on an image: its number there + 1, 0 if not looked up yet */
	uint64_t dev;
	uint32_t refs;
	uint32_t flags; /* LAM_LDIR_* */
	int fd;		/* O_PATH or LAM_LDIR_LISTS, -1 when not open */
	struct timespec mtime;
};

/* ---- names ---- */

#define LAM_DENT_BELOW (1u << 0)    /* a layer below 'first' has the name too, not hidden there */
#define LAM_DENT_WHITEOUT (1u << 1) /* negative: a whiteout on the upper 'first' */
#define LAM_DENT_WHFILE (1u << 2)   /* the whiteout is a file .wh.NAME, not NAME itself */
#define LAM_NO_LAYER 0xffffu

struct lam_dent {
	struct lam_dent *next; /* in the bucket: by hash, then name */
	uint64_t hash;	       /* also the readdir cookie */
	struct lam_node *dir;
	struct lam_node *child; /* NULL while the kernel does not know it */
	struct lam_dent *alias; /* further names of the same child */
	uint16_t *more;		/* further layers where the name is a directory */
	uint16_t nmore;
	uint16_t first;	 /* topmost layer that has the name */
	uint16_t closed; /* while scanning: hidden below this many parts, 0 if not */
	uint8_t type;	 /* DT_* */
	uint8_t flags;	 /* LAM_DENT_* */
	uint8_t namelen;
	char name[];
};

struct lam_table {
	struct lam_dent *
		*buckets; /* by the top bits of the hash, so that order of buckets is order of hashes */
	uint32_t count;
	uint32_t live;	   /* dents with a child */
	uint32_t positive; /* dents that are not whiteouts; exact only while complete */
	uint8_t bits;	   /* log2 of the number of buckets */
	bool complete;	   /* every name of the directory is in the table */
	bool busy;	   /* being listed: not to be shrunk */
};

/* ---- objects ---- */

/* Where a non-directory lies on a layer; dir NULL: nowhere.  name NULL: the name of node->dent. */
struct lam_place {
	struct lam_ldir *dir;
	char *name;
};

struct lam_ident {
	struct lam_ident *next;	   /* in core->idents */
	struct lam_ident *sibling; /* further keys of the same node */
	struct lam_node *node;
	uint64_t dev;
	uint64_t ino;
};

#define LAM_NODE_DEAD (1u << 0)	    /* no name left */
#define LAM_NODE_METACOPY (1u << 1) /* the upper has metadata, 'lower' the data */
#define LAM_NODE_ORIGIN (1u << 2)   /* the upper carries an origin xattr */
#define LAM_NODE_INDEXED (1u << 3)  /* upper lies in the index; nlink is the union's */
#define LAM_NODE_COPYING (1u << 4)  /* a copy of its data runs without the lock */
#define LAM_NODE_NOPRIV (1u << 5)   /* known to have neither setuid, setgid nor capabilities */
#define LAM_NODE_REDIRECT (1u << 6) /* the upper carries a redirect xattr */
#define LAM_NODE_NOCAP (1u << 7)    /* known to have no capabilities, whatever its mode */

struct lam_node {
	uint64_t id;
	uint64_t ino; /* what users see */
	uint64_t nlookup;
	uint32_t refs;
	uint16_t type;	       /* S_IFMT bits */
	uint16_t flags;	       /* LAM_NODE_* */
	struct lam_dent *dent; /* first of its names; NULL for the root and the nameless */
	int fd;		       /* of a nameless upper object, O_PATH or any other; else -1 */
	uint32_t nlink;	       /* of LAM_NODE_INDEXED */
	union {
		struct {
			struct lam_ldir **parts; /* topmost first */
			uint32_t nparts;
			struct lam_table table;
		} d;
		struct {
			struct lam_place
				upper; /* of the metadata; on a lower for a metadata-only copy there */
			struct lam_place lower; /* of the data, or of everything if there is no upper */
			struct lam_file *file;	/* cached descriptor for stateless opens */
			struct lam_ident *idents;
			uint32_t
				below; /* of LAM_NODE_INDEXED: names that the lower object has, 0 if unknown */
		} f;
	};
};

/* ---- open files ---- */

struct lam_file {
	struct lam_list lru;	       /* core->files while cached by a node */
	struct lam_node *node;	       /* whose cache holds it, NULL if none */
	const struct lam_layer *image; /* with fd -1: knows the extents of 'object' (contents.h) */
	uint64_t object;
	int fd;
	uint32_t refs; /* loans, handles, the cache */
	bool writable;
	bool on_lower;
};

struct lam_handle {
	struct lam_node *node;
	struct lam_file *file;
	uint32_t next_free;
	uint32_t generation;
};

struct lam_device {
	uint64_t dev;
	uint8_t uuid[16];
	bool image; /* its handles have another form */
};

struct lam_core {
	pthread_mutex_t lock;
	pthread_cond_t copied; /* some node lost LAM_NODE_COPYING */
	uint64_t
		lulls; /* how often a verb has released the lock on its way: what was found before may be gone */
	struct lam_layer *layers;
	uint32_t nlayers;
	uint32_t nuppers;
	uint32_t flags; /* LAM_CFG_* */
	uint32_t redirect;
	uint32_t fsync;
	uint32_t create_policy;
	uint32_t xattr_permissions;
	uint32_t squash_uid, squash_gid;
	struct lam_idmap *uidmap, *gidmap;
	uint32_t nuidmap, ngidmap;
	const char *prefix; /* "trusted.overlay." or "user.overlay." */
	size_t prefix_len;
	int proc_fd;	     /* /proc/self/fd */
	uint32_t euid, egid; /* of the process */
	bool can_setfsuid;
	uint64_t seed; /* of name hashes */

	struct lam_node **slots; /* by the low half of the nodeid */
	uint32_t nslots;
	uint32_t *free_slots;
	uint32_t nfree;
	uint32_t cap_slots;
	uint32_t generation;
	uint64_t most_nodes; /* since memory was last given back */
	struct lam_node *root;

	struct lam_ident **idents;
	uint32_t ident_bits;
	uint32_t nidents;

	struct lam_handle *handles;
	uint32_t nhandles;
	uint32_t free_handle; /* 0 is none */

	struct lam_list dirfds; /* least recently used first */
	uint32_t ndirfds, max_dirfds;
	struct lam_list files;
	uint32_t nfiles, max_files;

	struct lam_device *devices; /* by fsid */
	uint32_t ndevices;

	struct lam_stats stats;
};

static inline bool lam_is_dir(const struct lam_node *node)
{
	return S_ISDIR(node->type);
}

/* The upper that a directory lies on topmost, NULL if it has to be copied up before a change. */
static inline struct lam_ldir *lam_upper_dir(const struct lam_node *dir)
{
	return dir->d.nparts > 0 && dir->d.parts[0]->layer->upper ? dir->d.parts[0] : NULL;
}

/* Does a non-directory's topmost object lie where it may be changed? */
static inline bool lam_on_upper(const struct lam_node *node)
{
	return node->fd >= 0 || (node->f.upper.dir && node->f.upper.dir->layer->upper);
}

#endif
