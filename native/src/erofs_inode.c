/* SPDX-License-Identifier: MIT */
/* erofs_inode - objects of an image, and where their contents lie */
#include <errno.h>
#include <sys/stat.h>

#include "erofs_disk.h"

static void read_extended(const uint8_t *at, struct lam_erofs_inode *out)
{
	out->size = le64_at(at + 8);
	out->uid = le32_at(at + 24);
	out->gid = le32_at(at + 28);
	out->mtime = (int64_t)le64_at(at + 32);
	out->mtime_nsec = le32_at(at + 40);
	out->nlink = le32_at(at + 44);
}

static void read_compact(const struct lam_erofs *fs, const uint8_t *at, struct lam_erofs_inode *out)
{
	out->size = le32_at(at + 8);
	out->uid = le16_at(at + 24);
	out->gid = le16_at(at + 26);
	out->mtime = (int64_t)((uint64_t)fs->epoch + le32_at(at + 12));
	out->mtime_nsec = fs->epoch_nsec;
	out->nlink = le16_at(at + 6);
}

/* What the inode's last word means depends on what it is: a first block, a device or the chunks' form. */
static int read_use(const struct lam_erofs *fs, uint32_t word, uint16_t high, struct lam_erofs_inode *out)
{
	switch (out->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		out->rdev = word;
		return 0;
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return -EUCLEAN;
	}
	switch (out->layout) {
	case LAYOUT_PLAIN:
	case LAYOUT_INLINE:
		out->start = word;
		if (fs->wide)
			out->start |= (uint64_t)high << 32;
		return 0;
	case LAYOUT_CHUNKS:
		if (word & 0xffff & ~CHUNK_KNOWN)
			return -EOPNOTSUPP;
		out->chunk_flags = word & (CHUNK_INDEXES | CHUNK_WIDE);
		out->chunk_bits = (uint8_t)(fs->block_bits + (word & CHUNK_BITS));
		return 0;
	default:
		return -EOPNOTSUPP; /* compressed */
	}
}

int lam_erofs_inode(const struct lam_erofs *fs, uint64_t nid, struct lam_erofs_inode *out)
{
	uint64_t offset;
	const uint8_t *at;
	uint16_t format, xattrs;
	uint32_t length;
	bool one_link = false;

	if (nid >> (63 - SLOT_BITS))
		return -EUCLEAN;
	offset = fs->meta + (nid << SLOT_BITS);
	at = erofs_at(fs, offset, INODE_COMPACT);
	if (!at)
		return -EUCLEAN;
	format = le16_at(at);
	if (format & ~FORMAT_KNOWN)
		return -EOPNOTSUPP;
	length = format & FORMAT_EXTENDED ? INODE_EXTENDED : INODE_COMPACT;
	if (!erofs_at(fs, offset, length))
		return -EUCLEAN;
	*out = (struct lam_erofs_inode){ .nid = nid,
					 .mode = le16_at(at + 4),
					 .layout = FORMAT_LAYOUT(format) };
	if (format & FORMAT_EXTENDED) {
		read_extended(at, out);
	} else {
		read_compact(fs, at, out);
		one_link = format & FORMAT_ONE_LINK && !S_ISDIR(out->mode);
		if (one_link)
			out->nlink = 1;
	}
	if (out->size > INT64_MAX)
		return -EUCLEAN;
	xattrs = le16_at(at + 2);
	out->xattrs = offset + length;
	out->xattr_size = xattrs ? XATTR_HEAD + 4u * (xattrs - 1u) : 0;
	out->tail = out->xattrs + out->xattr_size;
	return read_use(fs, le32_at(at + 16), format & FORMAT_EXTENDED || one_link ? le16_at(at + 6) : 0,
			out);
}

/* Where 'chunk' begins, as a byte address of its device; false for a hole. */
static int chunk_at(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, uint64_t chunk,
		    struct lam_erofs_extent *out)
{
	uint64_t unit = inode->chunk_flags & CHUNK_INDEXES ? 8 : 4;
	uint64_t table = (inode->tail + unit - 1) & ~(unit - 1), mask = NO_BLOCK32, block;
	const uint8_t *at;

	if (chunk > fs->size / unit)
		return -EUCLEAN;
	at = erofs_at(fs, table + chunk * unit, unit);
	if (!at)
		return -EUCLEAN;
	out->device = 0;
	if (unit == 4) {
		block = le32_at(at);
	} else {
		if (inode->chunk_flags & CHUNK_WIDE)
			mask = WIDE_MASK;
		block = (le32_at(at + 4) | (uint64_t)le16_at(at) << 32) & mask;
		out->device = le16_at(at + 2) & fs->device_mask;
	}
	out->hole = block == mask;
	out->offset = out->hole ? 0 : block << fs->block_bits;
	if (out->device > fs->ndevices)
		return -EUCLEAN;
	return 0;
}

/* Following chunks that lie where this one ends are one extent with it. */
static int chunk_extent(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, uint64_t offset,
			uint64_t want, struct lam_erofs_extent *out)
{
	uint64_t chunk = offset >> inode->chunk_bits, size = 1ull << inode->chunk_bits;
	uint64_t inside = offset & (size - 1);
	struct lam_erofs_extent next;
	int rc = chunk_at(fs, inode, chunk, out);

	if (rc < 0)
		return rc;
	out->length = size - inside;
	if (!out->hole)
		out->offset += inside;
	while (out->length < want) {
		rc = chunk_at(fs, inode, ++chunk, &next);
		if (rc < 0)
			return rc;
		if (next.hole != out->hole || next.device != out->device ||
		    (!next.hole && next.offset != out->offset + out->length))
			break;
		out->length += size;
	}
	if (out->length > want)
		out->length = want;
	return 0;
}

static void run_extent(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, uint64_t offset,
		       uint64_t want, struct lam_erofs_extent *out)
{
	uint64_t block = 1ull << fs->block_bits, tail = inode->size;

	if (inode->layout == LAYOUT_INLINE)
		tail = inode->size ? (inode->size - 1) & ~(block - 1) : 0;
	*out = (struct lam_erofs_extent){ .length = want };
	if (offset >= tail) {
		out->offset = inode->tail + (offset - tail);
		return;
	}
	if (out->length > tail - offset)
		out->length = tail - offset;
	out->hole = inode->layout == LAYOUT_PLAIN && inode->start == (fs->wide ? WIDE_MASK : NO_BLOCK32);
	if (!out->hole)
		out->offset = (inode->start << fs->block_bits) + offset;
}

/* Addresses of the image's own may be those of a device; those of a device may lie in the image. */
static int to_device(const struct lam_erofs *fs, struct lam_erofs_extent *out)
{
	if (fs->flat && out->device) {
		out->offset += fs->devices[out->device - 1].begin;
		out->device = 0;
	} else if (!out->device && !fs->flat) {
		for (uint32_t i = 0; i < fs->ndevices; i++) {
			const struct lam_erofs_device *device = &fs->devices[i];

			if (device->begin && out->offset >= device->begin &&
			    out->offset - device->begin < device->size) {
				out->offset -= device->begin;
				out->device = i + 1;
				break;
			}
		}
	}
	if (!out->device && !erofs_at(fs, out->offset, out->length))
		return -EUCLEAN;
	if (out->offset > INT64_MAX - out->length)
		return -EUCLEAN;
	return 0;
}

int lam_erofs_extent(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, uint64_t offset,
		     uint64_t want, struct lam_erofs_extent *out)
{
	uint64_t left = offset < inode->size ? inode->size - offset : 0;
	int rc = 0;

	*out = (struct lam_erofs_extent){ .length = 0 };
	if (want > left)
		want = left;
	if (!want)
		return 0;
	if (inode->layout == LAYOUT_CHUNKS)
		rc = chunk_extent(fs, inode, offset, want, out);
	else
		run_extent(fs, inode, offset, want, out);
	return rc < 0 || out->hole ? rc : to_device(fs, out);
}

ssize_t lam_erofs_readlink(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, char *buf,
			   size_t size)
{
	struct lam_erofs_extent piece;
	const uint8_t *from;
	size_t got = 0;
	int rc;

	if (!S_ISLNK(inode->mode))
		return -EINVAL;
	while (got < size && got < inode->size) {
		rc = lam_erofs_extent(fs, inode, got, size - got, &piece);
		if (rc < 0)
			return rc;
		from = piece.hole || piece.device ? NULL : erofs_at(fs, piece.offset, piece.length);
		if (!from)
			return -EUCLEAN;
		memcpy(buf + got, from, (size_t)piece.length);
		got += (size_t)piece.length;
	}
	got = strnlen(buf, got);
	return got ? (ssize_t)got : -EUCLEAN;
}
