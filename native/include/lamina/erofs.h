/* SPDX-License-Identifier: MIT */
/*
 * erofs - read an EROFS image that lies in memory
 *
 * Theory.  The format is the kernel's (fs/erofs/erofs_fs.h), without compression: inodes of 32
 * or 64 bytes at 32-byte slots (the slot's number, nid, is the object's number), directories of
 * blocks sorted by name, contents as one run of blocks, with or without a tail beside the inode,
 * or as chunks that may lie on other devices.  Nothing is kept in memory beside a few numbers:
 * each question is answered from the image.
 *
 * The image is hostile.  Every offset is checked before it is followed, every loop is bounded by
 * what the image can hold, and bytes may change while they are read (another writes to the file,
 * or has truncated it: mapping.h), so that nothing is read twice and believed.  What cannot be
 * is -EUCLEAN, as the kernel says.
 *
 * Threads: any; an open image is only read.
 */
#ifndef LAMINA_EROFS_H
#define LAMINA_EROFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LAM_EROFS_TAG 64

struct lam_erofs_device {
	uint64_t size;	/* bytes that the image says there are */
	uint64_t begin; /* where its blocks are in the image's own numbering, bytes; 0: nowhere */
	char tag[LAM_EROFS_TAG + 1];
};

struct lam_erofs_prefix;

struct lam_erofs {
	const uint8_t *base; /* borrowed */
	uint64_t size;
	uint64_t meta;	 /* where nid 0 would be */
	uint64_t xattrs; /* of the shared ones */
	uint64_t root;	 /* nid */
	uint64_t inodes;
	uint64_t blocks; /* of the image itself */
	int64_t epoch;
	uint32_t epoch_nsec;
	uint32_t block_bits;
	uint32_t ndevices;
	uint32_t device_mask;
	bool wide;   /* 48-bit block numbers */
	bool no_acl; /* no inode has a POSIX ACL */
	bool flat;   /* all devices' blocks lie in the image, at 'begin'; the opener's choice */
	uint8_t uuid[16];
	uint8_t nprefixes;
	struct lam_erofs_device *devices;
	struct lam_erofs_prefix *prefixes;
};

struct lam_erofs_inode {
	uint64_t nid;
	uint64_t size;
	uint64_t start; /* first block of contents that are one run */
	uint64_t xattrs;
	uint64_t tail; /* behind inode and xattrs */
	int64_t mtime;
	uint32_t mtime_nsec;
	uint32_t xattr_size;
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint32_t rdev; /* new_encode_dev() */
	uint16_t mode;
	uint8_t layout;
	uint8_t chunk_bits;
	uint8_t chunk_flags;
};

/* Contents in the device 'device' (0: the image), or a hole; 'length' 0 is the end. */
struct lam_erofs_extent {
	uint64_t offset;
	uint64_t length;
	uint32_t device;
	bool hole;
};

struct lam_erofs_dirent {
	const char *name; /* NUL-terminated */
	uint32_t namelen;
	uint64_t nid;
	uint8_t type; /* DT_*, DT_UNKNOWN if the image does not say */
};

/* 0 to go on, or a negative errno that ends the scan. */
typedef int (*lam_erofs_scan_fn)(void *arg, const struct lam_erofs_dirent *entry);

/*
 * lam_erofs_open() - check what is common to the whole image
 *
 * On failure '*why' says what is wrong with it: a predicate, such as "is compressed".
 */
int lam_erofs_open(struct lam_erofs *fs, const void *base, uint64_t size, const char **why);
void lam_erofs_close(struct lam_erofs *fs); /* of all zeros is fine */

int lam_erofs_inode(const struct lam_erofs *fs, uint64_t nid, struct lam_erofs_inode *out);

/* -ENOENT, or 0 with the number of the object that 'name' is in a directory. */
int lam_erofs_lookup(const struct lam_erofs *fs, const struct lam_erofs_inode *dir, const char *name,
		     uint64_t *nid);
/* All names but "." and "..". */
int lam_erofs_scan(const struct lam_erofs *fs, const struct lam_erofs_inode *dir, lam_erofs_scan_fn fn,
		   void *arg);

/* At most 'want' bytes of the contents from 'offset' on. */
int lam_erofs_extent(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, uint64_t offset,
		     uint64_t want, struct lam_erofs_extent *out);

/* The target without NUL; its length, at most 'size'. */
ssize_t lam_erofs_readlink(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, char *buf,
			   size_t size);
/* As getxattr(2) and listxattr(2). */
ssize_t lam_erofs_getxattr(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, const char *key,
			   void *value, size_t size);
ssize_t lam_erofs_listxattr(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, char *list,
			    size_t size);

#endif
