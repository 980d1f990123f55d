/* SPDX-License-Identifier: MIT */
/* erofs_super - what is common to an image: its superblock, devices and long prefixes of xattr names */
#include <errno.h>
#include <stdlib.h>

#include "erofs_disk.h"

#define KNOWN_FEATURES                                                                                    \
	(INCOMPAT_PADDING | INCOMPAT_CHUNKS | INCOMPAT_DEVICES | INCOMPAT_FRAGMENTS | INCOMPAT_PREFIXES | \
	 INCOMPAT_WIDE)
#define MIN_BLOCK_BITS 9
#define MAX_BLOCK_BITS 16

/* CRC-32C, bit by bit: it is over one block, once. */
static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t size)
{
	while (size--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* Over the superblock's block from the superblock on, its own field taken as 0. */
static bool checksum_good(const struct lam_erofs *fs)
{
	static const uint8_t zeros[4];
	uint64_t length = 1ull << fs->block_bits;
	const uint8_t *super;
	uint32_t crc;

	if (length > SUPER_AT)
		length -= SUPER_AT;
	super = erofs_at(fs, SUPER_AT, length);
	if (!super)
		return false;
	crc = crc32c(~0u, super, 4);
	crc = crc32c(crc, zeros, 4);
	crc = crc32c(crc, super + 8, (size_t)length - 8);
	return crc == le32_at(super + 4);
}

static int read_devices(struct lam_erofs *fs, const uint8_t *super)
{
	uint32_t count = le16_at(super + 86), mask = 1;
	const uint8_t *table = erofs_at(fs, (uint64_t)le16_at(super + 88) * DEVICE_SLOT, count * DEVICE_SLOT);

	if (!count)
		return 0;
	if (!table)
		return -EUCLEAN;
	fs->devices = calloc(count, sizeof(*fs->devices));
	if (!fs->devices)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *slot = table + (size_t)i * DEVICE_SLOT;
		struct lam_erofs_device *device = &fs->devices[i];
		uint64_t blocks = le32_at(slot + 64), begin = le32_at(slot + 68);

		if (fs->wide) {
			blocks |= (uint64_t)le16_at(slot + 72) << 32;
			begin |= (uint64_t)le16_at(slot + 74) << 32;
		}
		memcpy(device->tag, slot, LAM_EROFS_TAG);
		device->size = blocks << fs->block_bits;
		device->begin = begin << fs->block_bits;
	}
	while (mask < count + 1)
		mask *= 2;
	fs->ndevices = count;
	fs->device_mask = mask - 1;
	return 0;
}

/* 'length' bytes at 'offset' of the image, or of the contents of 'inode' (NULL: of the image). */
static int copy_bytes(const struct lam_erofs *fs, const struct lam_erofs_inode *inode, uint64_t offset,
		      uint8_t *to, size_t length)
{
	while (length > 0) {
		struct lam_erofs_extent piece = { .offset = offset, .length = length };
		const uint8_t *from;
		int rc = inode ? lam_erofs_extent(fs, inode, offset, length, &piece) : 0;

		if (rc < 0)
			return rc;
		from = erofs_at(fs, piece.offset, piece.length);
		if (!from || !piece.length || piece.hole || piece.device)
			return -EUCLEAN;
		memcpy(to, from, (size_t)piece.length);
		offset += piece.length;
		to += piece.length;
		length -= (size_t)piece.length;
	}
	return 0;
}

/* Each is a length, a base and a string, at multiples of 4; newer makers put them into a file. */
static int read_prefixes(struct lam_erofs *fs, const uint8_t *super)
{
	uint32_t count = super[91];
	uint64_t offset = (uint64_t)le32_at(super + 92) << 2, packed = le64_at(super + 96);
	bool plain = le32_at(super + 8) & COMPAT_PLAIN_PREFIXES;
	bool in_file = packed && !plain && le32_at(super + 80) & INCOMPAT_FRAGMENTS;
	struct lam_erofs_inode inode;
	int rc = 0;

	if (!count)
		return 0;
	if (in_file)
		rc = lam_erofs_inode(fs, packed, &inode);
	fs->prefixes = calloc(count, sizeof(*fs->prefixes));
	if (!fs->prefixes)
		rc = -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		struct lam_erofs_prefix *prefix = &fs->prefixes[i];
		uint8_t head[3];
		uint32_t length;

		offset = (offset + 3) & ~3ull;
		rc = copy_bytes(fs, in_file ? &inode : NULL, offset, head, sizeof(head));
		if (rc < 0)
			break;
		length = le16_at(head);
		if (length < 1 || length > sizeof(prefix->infix) + 1)
			return -EUCLEAN;
		prefix->base = head[2];
		prefix->length = (uint8_t)(length - 1);
		rc = copy_bytes(fs, in_file ? &inode : NULL, offset + 3, (uint8_t *)prefix->infix,
				length - 1);
		offset += 2 + length;
		fs->nprefixes++;
	}
	return rc;
}

static int refuse(const char **why, const char *what)
{
	*why = what;
	return -EINVAL;
}

static int check_features(const uint8_t *super, const char **why)
{
	uint32_t incompat = le32_at(super + 80);

	/* LZ4 needs no configuration: it shows by the distance that it may look back. */
	if (incompat & (INCOMPAT_COMPRESSION_CONFIG | INCOMPAT_TAIL_PACKING) ||
	    (incompat & INCOMPAT_PADDING && le16_at(super + 84)))
		return refuse(why, "is compressed, which is not supported");
	if (incompat & ~KNOWN_FEATURES)
		return refuse(why, "uses features of EROFS that are not supported");
	if (super[12] < MIN_BLOCK_BITS || super[12] > MAX_BLOCK_BITS)
		return refuse(why, "has blocks of an impossible size");
	if (super[90])
		return refuse(why, "has directory blocks of an unknown size");
	return 0;
}

int lam_erofs_open(struct lam_erofs *fs, const void *base, uint64_t size, const char **why)
{
	const uint8_t *super;
	int rc;

	*fs = (struct lam_erofs){ .base = base, .size = size };
	super = erofs_at(fs, SUPER_AT, SUPER_SIZE);
	if (!super || le32_at(super) != SUPER_MAGIC)
		return refuse(why, "is not an EROFS image");
	rc = check_features(super, why);
	if (rc < 0)
		return rc;
	fs->block_bits = super[12];
	if (le32_at(super + 8) & COMPAT_CHECKSUM && !checksum_good(fs))
		return refuse(why, "has a wrong checksum");
	fs->wide = le32_at(super + 80) & INCOMPAT_WIDE;
	fs->no_acl = le32_at(super + 8) & COMPAT_NO_ACL;
	fs->inodes = le64_at(super + 16);
	fs->epoch = (int64_t)le64_at(super + 24);
	fs->epoch_nsec = le32_at(super + 32);
	fs->blocks = le32_at(super + 36);
	fs->meta = (uint64_t)le32_at(super + 40) << fs->block_bits;
	fs->xattrs = (uint64_t)le32_at(super + 44) << fs->block_bits;
	fs->root = le16_at(super + 14);
	if (fs->wide && le64_at(super + 112)) {
		fs->root = le64_at(super + 112);
		fs->blocks |= (uint64_t)le16_at(super + 14) << 32;
	}
	memcpy(fs->uuid, super + 48, sizeof(fs->uuid));
	rc = read_devices(fs, super);
	if (rc == 0)
		rc = read_prefixes(fs, super);
	if (rc < 0) {
		*why = rc == -ENOMEM ? "is too large for memory" : "is damaged";
		lam_erofs_close(fs);
	}
	return rc;
}

void lam_erofs_close(struct lam_erofs *fs)
{
	free(fs->devices);
	free(fs->prefixes);
	fs->devices = NULL;
	fs->prefixes = NULL;
	fs->ndevices = 0;
	fs->nprefixes = 0;
}
