/* SPDX-License-Identifier: MIT */
/*
 * tar - a layer's tar as a stream becomes its index
 *
 * Theory.  The bytes pass by once, in chunks of any size; of file contents only their place is
 * noted, so that a scan costs what its headers cost.  Every header is checked before it is
 * believed.  What reads differently in different tools is read as the container engines read it
 * (Go's archive/tar and docker's unpacking, see docs/on-disk.md), or refused.
 *
 * An object belongs to one thread at a time.
 */
#ifndef LAMINA_IMAGE_TAR_H
#define LAMINA_IMAGE_TAR_H

#include <stddef.h>
#include <stdint.h>

#define LAM_TAR_BLOCK 512u
#define LAM_TAR_MAX_HEADER (1u << 20)	     /* bytes of one PAX header or GNU long name */
#define LAM_TAR_MAX_ENTRIES (10u << 20)	     /* of one layer */
#define LAM_TAR_MAX_INDEX (512u << 20)	     /* bytes of the index, which is held in memory */
#define LAM_TAR_MAX_EXTENTS (1u << 20)	     /* of one sparse file */
#define LAM_TAR_MAX_XATTRS 256u		     /* of one file */
#define LAM_TAR_MAX_XATTR_VALUE 65535u	     /* what EROFS can hold; the kernel's limit is one more */
#define LAM_TAR_MAX_XATTR_BYTES (128u << 10) /* names and values of one file */

struct lam_tar;

/* On success the caller owns '*out'.  -ENOMEM. */
int lam_tar_open(struct lam_tar **out);

/*
 * lam_tar_feed() - take the next 'size' bytes
 *
 * Returns 0, or what is wrong with the tar: -EBADMSG (malformed), -EXDEV (a name leads out of the
 * root), -ENAMETOOLONG, -EFBIG (over a limit), -EOPNOTSUPP (a kind of entry that has no meaning
 * in a layer), -ENOMEM.  After an error every further call returns it again.
 */
int lam_tar_feed(struct lam_tar *tar, const void *data, size_t size);

/*
 * lam_tar_finish() - the stream has ended
 *
 * On success '*index' and '*size' are the index, which 'tar' owns.  -ENODATA: truncated.
 */
int lam_tar_finish(struct lam_tar *tar, const void **index, size_t *size);

/* One line about the error, NUL-terminated, and where in the stream its entry begins. */
const char *lam_tar_why(const struct lam_tar *tar, uint64_t *offset);

void lam_tar_free(struct lam_tar *tar); /* NULL is fine */

#endif
