/* SPDX-License-Identifier: MIT */
/*
 * index - what a layer's tar contains, and where
 *
 * Theory.  The index is a log: one record for each entry of the tar that means something, in the
 * tar's order, so that whoever applies the records one after the other gets what an extraction
 * would have given.  Only names are tidied: paths are relative, without empty, "." and ".."
 * components; the root is the empty path.  docs/on-disk.md, "Layer index", has the bytes.
 *
 * A reader trusts nothing: every length is checked, every path is tidy, all data lies inside of
 * the tar, extents ascend.  It does not copy: an entry points into the index and is good until
 * the next call.
 */
#ifndef LAMINA_IMAGE_INDEX_H
#define LAMINA_IMAGE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define LAM_INDEX_VERSION 1u
#define LAM_INDEX_HEADER 72u
#define LAM_INDEX_PATH_MAX 4095u /* PATH_MAX without its NUL: of paths, of link targets */
#define LAM_INDEX_NAME_MAX 255u
#define LAM_INDEX_MAJOR_MAX 0xfffu /* of devices, as Linux has them */
#define LAM_INDEX_MINOR_MAX 0xfffffu

#define LAM_KIND_FILE 0
#define LAM_KIND_DIR 1
#define LAM_KIND_SYMLINK 2
#define LAM_KIND_HARDLINK 3 /* 'link' is a path like any other */
#define LAM_KIND_CHAR 4
#define LAM_KIND_BLOCK 5
#define LAM_KIND_FIFO 6
#define LAM_KIND_WHITEOUT 7 /* 'path' is what is hidden below this layer; nothing else is set */
#define LAM_KIND_OPAQUE 8   /* 'path' is the directory whose content below is hidden */

struct lam_index_info {
	uint64_t entries;
	uint64_t whiteouts; /* of which whiteouts and opaques */
	uint64_t tar_size;  /* bytes of the stream */
	uint64_t file_size; /* sum of the sizes of regular files */
};

struct lam_index_entry {
	uint8_t kind;
	uint16_t mode; /* permissions, set-id and sticky bits; no type */
	uint32_t uid;
	uint32_t gid;
	uint32_t mtime_nsec;
	int64_t mtime;
	uint64_t size;	 /* as seen; holes included */
	uint64_t offset; /* of the data in the tar, a multiple of 512; 0 where there is none */
	uint32_t major;
	uint32_t minor;
	uint32_t xattr_count;
	uint32_t extent_count; /* of a sparse file; 0 is one extent, the whole file */
	uint8_t sparse;
	size_t path_size;
	size_t link_size;
	size_t xattr_size;
	size_t extent_size;
	const char *path;
	const char *link;
	const unsigned char *xattrs;  /* lam_index_xattr() */
	const unsigned char *extents; /* lam_index_extent() */
};

struct lam_index_xattr {
	size_t name_size;
	size_t value_size;
	const char *name;
	const unsigned char *value;
};

/* A run of data of a sparse file; the data of all runs lie one behind the other in the tar. */
struct lam_index_extent {
	uint64_t offset; /* in the file */
	uint64_t size;
};

struct lam_index;

/*
 * lam_index_open() - read an index from memory, which must stay until lam_index_free()
 *
 * -EBADMSG: it is none, or damaged.  -EPROTONOSUPPORT: another version.  -ENOMEM.
 */
int lam_index_open(const void *data, size_t size, struct lam_index **out);
void lam_index_info(const struct lam_index *index, struct lam_index_info *info);
/* 1 and an entry; 0 at the end; -EBADMSG. */
int lam_index_next(struct lam_index *index, struct lam_index_entry *entry);
/* The next call gives 'entry', the last one, again. */
void lam_index_unread(struct lam_index *index, const struct lam_index_entry *entry);
void lam_index_rewind(struct lam_index *index);
void lam_index_free(struct lam_index *index); /* NULL is fine */

/*
 * Step over the next attribute or extent of an entry at '*at', which the reader has checked; '*position' is 0
 * before the first extent.
 */
void lam_index_xattr(const unsigned char **at, struct lam_index_xattr *xattr);
void lam_index_extent(const unsigned char **at, uint64_t *position, struct lam_index_extent *extent);

/*
 * lam_index_pack() - as many of the next entries as fit into 'out'
 *
 * For Python.  Each is a struct lam_index_packed, then path, link, attributes (two uint32_t of
 * sizes, name, value), extents (two uint64_t), padding to 8.  Returns the bytes used, 0 at the end,
 * -EBADMSG, or -ENOSPC if not even one entry fits.
 */
struct lam_index_packed {
	uint32_t length; /* of all of it */
	uint16_t mode;
	uint8_t kind;
	uint8_t sparse;
	uint32_t uid;
	uint32_t gid;
	int64_t mtime;
	uint64_t size;
	uint64_t offset;
	uint32_t mtime_nsec;
	uint32_t major;
	uint32_t minor;
	uint32_t xattr_count;
	uint32_t extent_count;
	uint16_t path_size;
	uint16_t link_size;
};
int64_t lam_index_pack(struct lam_index *index, void *out, size_t size);

#endif
