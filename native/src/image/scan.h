/* SPDX-License-Identifier: MIT */
/* scan - the scanner's parts: what is gathered before an entry, and the entry itself */
#ifndef LAMINA_IMAGE_SCAN_H
#define LAMINA_IMAGE_SCAN_H

#include <lamina/image/tar.h>

#include "index_write.h"

#define LAM_TAR_WHY 512

/* What extended headers say about the entry that follows. */
struct lam_pending {
	unsigned int have; /* LAM_HAVE_* */
	int64_t size;
	int64_t uid;
	int64_t gid;
	int64_t mtime;
	uint32_t mtime_nsec;
	uint32_t xattr_count;
	size_t xattr_bytes; /* names and values */
	struct lam_buffer path;
	struct lam_buffer link;
	struct lam_buffer gnu_path;
	struct lam_buffer gnu_link;
	struct lam_buffer xattrs; /* in the index's form */
	/* GNU.sparse.* */
	struct lam_buffer sparse_name;
	struct lam_buffer sparse_map; /* pairs of uint64_t: offset, size */
	uint64_t sparse_offset;	      /* GNU.sparse.offset that waits for its numbytes */
	uint64_t sparse_size;
	uint64_t sparse_major;
	uint64_t sparse_minor;
	uint64_t sparse_numbers; /* of a map in the data: how many are to come */
};

#define LAM_HAVE_PATH 0x1u
#define LAM_HAVE_LINK 0x2u
#define LAM_HAVE_SIZE 0x4u
#define LAM_HAVE_UID 0x8u
#define LAM_HAVE_GID 0x10u
#define LAM_HAVE_MTIME 0x20u
#define LAM_HAVE_GNU_PATH 0x40u
#define LAM_HAVE_GNU_LINK 0x80u
#define LAM_HAVE_SPARSE_NAME 0x100u
#define LAM_HAVE_SPARSE_SIZE 0x200u
#define LAM_HAVE_SPARSE_MAP 0x400u
#define LAM_HAVE_SPARSE_MAJOR 0x800u
#define LAM_HAVE_SPARSE_OFFSET 0x1000u
#define LAM_HAVE_ANY 0x2000u /* an entry must follow */

enum lam_tar_state {
	LAM_TAR_HEADER,	    /* a header is to come */
	LAM_TAR_META,	    /* the payload of an extended header */
	LAM_TAR_SPARSE,	    /* an old GNU sparse extension */
	LAM_TAR_SPARSE_MAP, /* the map before a sparse file's data */
	LAM_TAR_ZERO,	    /* one block of zeros was seen */
	LAM_TAR_END,
};

struct lam_tar {
	enum lam_tar_state state;
	int error;
	uint64_t offset;       /* bytes taken */
	uint64_t entry_offset; /* of the header, or of the first extended header before it */
	uint64_t skip;	       /* bytes to pass over first */
	size_t have;	       /* bytes in 'block' */
	unsigned char block[LAM_TAR_BLOCK];
	unsigned char meta_type;
	size_t meta_left;
	struct lam_buffer meta;
	struct lam_buffer extents; /* in the index's form */
	struct lam_pending pending;
	struct lam_index_writer writer;
	/* The entry whose sparse map is being read. */
	struct lam_index_entry entry;
	uint64_t stored; /* bytes of its data, map included */
	char path[LAM_INDEX_PATH_MAX];
	char link[LAM_INDEX_PATH_MAX];
	char why[LAM_TAR_WHY];
};

/* Note what is wrong and return 'code'. */
int lam_tar_refuse(struct lam_tar *tar, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What a PAX header says goes to 'pending'. */
int lam_pax_parse(struct lam_tar *tar, const char *text, size_t size);
/* A global header: checked, not kept. */
int lam_pax_check(struct lam_tar *tar, const char *text, size_t size);

/* A header block with a good checksum. */
int lam_entry_header(struct lam_tar *tar);
/* The entry's sparse map is complete; its data follows. */
int lam_entry_sparse(struct lam_tar *tar);
/* A GNU.sparse entry of format 0.x or 1.x? */
int lam_sparse_is_pax(const struct lam_tar *tar);
/* The four pairs of an old GNU header, or the 21 of an extension: 1 if another one follows. */
int lam_sparse_old(struct lam_tar *tar, const unsigned char *pairs, unsigned int count, int extended);
/* A block of a map in the data: 1 if it goes on. */
int lam_sparse_map_block(struct lam_tar *tar);
/* Check the map and write it as extents. */
int lam_sparse_finish(struct lam_tar *tar, uint64_t stored);
int lam_sparse_add(struct lam_tar *tar, uint64_t offset, uint64_t size);

void lam_pending_reset(struct lam_pending *pending);
void lam_pending_free(struct lam_pending *pending);

#endif
