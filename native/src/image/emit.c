/* SPDX-License-Identifier: MIT */
#include "emit.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moves.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BUFFER_SIZE (1u << 20)
#define CRC32C 0x82f63b78u
#define DEVICES_AT (LAM_EROFS_SUPER + LAM_EROFS_SUPER_SIZE)

/* Bytes go out in order; the first error stays. */
struct out {
	const struct lam_image_layer *layers;
	int fd;
	int err;
	uint64_t position;
	size_t have;
	unsigned char *buffer;
	XXH3_state_t *hash;
};

static void flush(struct out *out)
{
	size_t done = 0;

	XXH3_128bits_update(out->hash, out->buffer, out->have);
	while (!out->err && done < out->have) {
		ssize_t written = pwrite(out->fd, out->buffer + done, out->have - done,
					 (off_t)(out->position - out->have + done));

		if (written < 0 && errno != EINTR)
			out->err = -errno;
		if (written > 0)
			done += (size_t)written;
	}
	out->have = 0;
}

static void put(struct out *out, const void *data, size_t size)
{
	const unsigned char *at = data;

	while (size) {
		size_t part = BUFFER_SIZE - out->have < size ? BUFFER_SIZE - out->have : size;

		memcpy(out->buffer + out->have, at, part);
		out->have += part;
		out->position += part;
		at += part;
		size -= part;
		if (out->have == BUFFER_SIZE)
			flush(out);
	}
}

/* Zeros up to there: a few are written, many are a hole. */
static void pad_to(struct out *out, uint64_t position)
{
	static const unsigned char zeros[LAM_BLOCK];

	assert(position >= out->position);
	if (position - out->position > LAM_BLOCK) {
		uint64_t place = htole64(position);

		flush(out);
		XXH3_128bits_update(out->hash, &place, sizeof(place));
		out->position = position;
	}
	put(out, zeros, (size_t)(position - out->position));
}

static uint32_t block_of(uint64_t position)
{
	assert(position % LAM_BLOCK == 0);
	return htole32((uint32_t)(position >> LAM_IMAGE_BLOCK_BITS));
}

static uint64_t nid_of(const struct lam_tree_inode *inode)
{
	return inode->position / LAM_EROFS_ISLOT;
}

static void put_xattr(struct out *out, const struct lam_tree_xattr *xattr)
{
	unsigned char head[LAM_EROFS_XATTR_ENTRY] = {
		(unsigned char)xattr->text.name_size,
		xattr->prefix,
		(unsigned char)xattr->text.value_size,
		(unsigned char)(xattr->text.value_size >> 8),
	};

	put(out, head, sizeof(head));
	put(out, xattr->text.name, xattr->text.name_size);
	put(out, xattr->text.value, xattr->text.value_size);
	pad_to(out, lam_align(out->position, 4));
}

static void put_xattrs(struct out *out, const struct lam_tree_inode *inode)
{
	unsigned char head[LAM_EROFS_XATTR_HEADER] = { 0, 0, 0, 0, (unsigned char)inode->shared };

	if (!inode->xattr_count)
		return;
	put(out, head, sizeof(head));
	for (uint32_t i = 0; i < inode->shared; i++) {
		uint32_t id = htole32(inode->sorted[i]->id);

		put(out, &id, sizeof(id));
	}
	for (uint32_t i = inode->shared; i < inode->xattr_count; i++)
		put_xattr(out, inode->sorted[i]);
}

static void put_chunks(struct out *out, const struct lam_tree_inode *file)
{
	struct lam_chunk_walk walk;
	uint64_t where = 0, size, own = file->data;
	enum lam_chunk kind;

	pad_to(out, lam_align(out->position, LAM_EROFS_CHUNK));
	lam_chunks_first(file, &walk);
	while (!out->err && (kind = lam_chunks_next(&walk, &where, &size)) != LAM_CHUNK_END) {
		struct lam_erofs_chunk chunk = { 0, 0, htole32(LAM_EROFS_HOLE) };

		if (kind == LAM_CHUNK_TAR) {
			uint16_t layer = file->layer;

			out->err = lam_moves_follow(out->layers, size, &layer, &where);
			chunk.device = htole16((uint16_t)(layer + 1));
			chunk.block = block_of(where);
		} else if (kind == LAM_CHUNK_OWN) {
			chunk.block = block_of(own);
			own += 1ull << file->u.file.chunk_bits;
		}
		put(out, &chunk, sizeof(chunk));
	}
}

static uint32_t data_of(const struct lam_tree_inode *inode)
{
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		return htole32(inode->rdev);
	if (inode->layout == LAM_EROFS_CHUNKED)
		return htole32(LAM_EROFS_CHUNK_INDEXES | (inode->u.file.chunk_bits - LAM_IMAGE_BLOCK_BITS));
	return inode->data_size ? block_of(inode->data) : 0;
}

static void put_inode(struct out *out, const struct lam_tree_inode *inode,
		      const struct lam_image_options *options)
{
	int squash = options->flags & LAM_IMAGE_SQUASH;
	uint32_t icount = inode->xattr_count ? (inode->xattr_bytes - LAM_EROFS_XATTR_HEADER) / 4 + 1 : 0;
	struct lam_erofs_inode disk = {
		.format = htole16((uint16_t)(LAM_EROFS_EXTENDED | inode->layout << 1)),
		.xattr_icount = htole16((uint16_t)icount),
		.mode = htole16(inode->mode),
		.size = htole64(inode->size),
		.data = data_of(inode),
		.ino = htole32((uint32_t)nid_of(inode)),
		.uid = htole32(squash ? options->squash_uid : inode->uid),
		.gid = htole32(squash ? options->squash_gid : inode->gid),
		.mtime = htole64((uint64_t)inode->mtime),
		.mtime_nsec = htole32(inode->mtime_nsec),
		.nlink = htole32(inode->nlink),
	};

	pad_to(out, inode->position);
	put(out, &disk, sizeof(disk));
	put_xattrs(out, inode);
	if (inode->layout == LAM_EROFS_INLINE)
		put(out, inode->u.target, inode->size);
	else if (inode->layout == LAM_EROFS_CHUNKED)
		put_chunks(out, inode);
}

static uint8_t type_of(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	default:
		return 7; /* EROFS_FT_SYMLINK */
	}
}

static void put_dir(struct out *out, const struct lam_tree_inode *dir)
{
	struct lam_dirblock block;

	lam_dirblock_first(dir, &block);
	while (lam_dirblock_next(dir, &block)) {
		size_t offset = block.count * LAM_EROFS_DIRENT;

		for (unsigned int i = 0; i < block.count; i++) {
			struct lam_erofs_dirent entry = {
				.nid = htole64(nid_of(block.names[i].inode)),
				.nameoff = htole16((uint16_t)offset),
				.type = type_of(block.names[i].inode->mode),
			};

			put(out, &entry, sizeof(entry));
			offset += block.names[i].size;
		}
		for (unsigned int i = 0; i < block.count; i++)
			put(out, block.names[i].text, block.names[i].size);
		pad_to(out, lam_align(out->position, LAM_BLOCK));
	}
}

/* The part of an extent that lies in [start, end), to its place behind 'base'. */
static void copy_part(struct out *out, int fd, const struct lam_chunk_walk *walk, uint64_t start,
		      uint64_t end, uint64_t base)
{
	uint64_t from = walk->extent.offset > start ? walk->extent.offset : start;
	uint64_t to = walk->extent.offset + walk->extent.size;
	uint64_t tar = walk->tar + (from - walk->extent.offset);
	unsigned char buffer[16384];

	if (to > end)
		to = end;
	pad_to(out, base + (from - start));
	while (!out->err && from < to) {
		size_t part = to - from < sizeof(buffer) ? (size_t)(to - from) : sizeof(buffer);
		ssize_t got = pread(fd, buffer, part, (off_t)tar);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			out->err = got < 0 ? -errno : -ENODATA;
			return;
		}
		put(out, buffer, (size_t)got);
		from += (uint64_t)got;
		tar += (uint64_t)got;
	}
}

/* The chunks of a sparse file that cannot be pointed at. */
static void put_own(struct out *out, const struct lam_tree_inode *file, int fd)
{
	struct lam_chunk_walk walk, ahead;
	uint64_t where, size, base = file->data;
	enum lam_chunk kind;

	lam_chunks_first(file, &walk);
	while (!out->err && (kind = lam_chunks_next(&walk, &where, &size)) != LAM_CHUNK_END) {
		uint64_t end = walk.start, start = end - size;

		if (kind != LAM_CHUNK_OWN)
			continue;
		for (ahead = walk; ahead.extent.size && ahead.extent.offset < end; lam_chunks_extent(&ahead))
			copy_part(out, fd, &ahead, start, end, base);
		base += 1ull << file->u.file.chunk_bits;
	}
}

static uint32_t crc32c(const unsigned char *data, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C : 0);
	}
	return crc;
}

static void put_devices(struct out *out, const struct lam_layout *layout)
{
	for (size_t i = 0; i < layout->count; i++) {
		uint64_t blocks = lam_align(layout->layers[i].tar_size, LAM_BLOCK) >> LAM_IMAGE_BLOCK_BITS;
		struct lam_erofs_device device = { .blocks = htole32((uint32_t)blocks) };

		memcpy(device.tag, layout->layers[i].tag, sizeof(device.tag));
		put(out, &device, sizeof(device));
	}
}

/* The first block of the superblock, read back for its checksum, which covers a device's slot too. */
static int put_super(int fd, const struct lam_layout *layout, const unsigned char uuid[16])
{
	unsigned char block[LAM_BLOCK];
	struct lam_erofs_super super = {
		.magic = htole32(LAM_EROFS_MAGIC),
		.feature_compat = htole32(LAM_EROFS_COMPAT_CHECKSUM | LAM_EROFS_COMPAT_MTIME |
					  (layout->has_acl ? 0 : LAM_EROFS_COMPAT_NO_ACL)),
		.blkszbits = LAM_IMAGE_BLOCK_BITS,
		.root_nid = htole16((uint16_t)nid_of(layout->tree->root)),
		.inos = htole64(layout->inodes),
		.blocks = block_of(layout->end),
		.xattr_blkaddr = block_of(layout->shared_at),
		.feature_incompat = htole32(LAM_EROFS_INCOMPAT_CHUNKED |
					    (layout->count ? LAM_EROFS_INCOMPAT_DEVICES : 0)),
		.extra_devices = htole16((uint16_t)layout->count),
		.devt_slotoff = htole16(DEVICES_AT / LAM_EROFS_SLOT_SIZE),
	};

	if (pread(fd, block, sizeof(block), LAM_EROFS_SUPER) != sizeof(block))
		return errno ? -errno : -EIO;
	memcpy(super.uuid, uuid, sizeof(super.uuid));
	memcpy(block, &super, sizeof(super));
	super.checksum = htole32(crc32c(block, sizeof(block)));
	memcpy(block, &super, sizeof(super));
	if (pwrite(fd, block, sizeof(block), LAM_EROFS_SUPER) != sizeof(block))
		return errno ? -errno : -EIO;
	return 0;
}

static void put_all(struct out *out, const struct lam_layout *layout, const struct lam_image_options *options)
{
	struct lam_tree_inode *root = layout->tree->root, *inode;

	pad_to(out, DEVICES_AT);
	put_devices(out, layout);
	for (inode = root; inode && !out->err; inode = inode->next)
		put_inode(out, inode, options);
	pad_to(out, layout->shared_at);
	for (struct lam_tree_xattr *xattr = layout->shared; xattr; xattr = xattr->next)
		put_xattr(out, xattr);
	pad_to(out, layout->data_at);
	for (inode = root; inode && !out->err; inode = inode->u.dir.next)
		put_dir(out, inode);
	for (inode = root; inode && !out->err; inode = inode->next) {
		if (S_ISLNK(inode->mode) && inode->data_size) {
			pad_to(out, inode->data);
			put(out, inode->u.target, inode->size);
		}
	}
	pad_to(out, layout->own_at);
	for (inode = root; inode && !out->err; inode = inode->next)
		if (S_ISREG(inode->mode) && inode->data_size)
			put_own(out, inode, layout->layers[inode->layer].tar_fd);
	flush(out);
	if (!out->err && ftruncate(out->fd, (off_t)layout->end) < 0)
		out->err = -errno;
}

int lam_emit(int fd, const struct lam_layout *layout, const struct lam_image_options *options,
	     unsigned char uuid[16])
{
	struct out out = { .layers = layout->layers, .fd = fd };
	XXH128_canonical_t digest;
	int err = -ENOMEM;

	out.buffer = malloc(BUFFER_SIZE);
	out.hash = XXH3_createState();
	if (!out.buffer || !out.hash)
		goto done;
	XXH3_128bits_reset(out.hash);
	put_all(&out, layout, options);
	err = out.err;
	if (err < 0)
		goto done;
	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(out.hash));
	memcpy(uuid, digest.digest, 16);
	uuid[6] = (unsigned char)((uuid[6] & 0x0f) | 0x80); /* RFC 9562, version 8 */
	uuid[8] = (unsigned char)((uuid[8] & 0x3f) | 0x80);
	err = put_super(fd, layout, uuid);
done:
	XXH3_freeState(out.hash);
	free(out.buffer);
	return err;
}
