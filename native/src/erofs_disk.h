/* SPDX-License-Identifier: MIT */
/* erofs_disk - numbers of the format (fs/erofs/erofs_fs.h), and bytes of the image by offset */
#ifndef LAMINA_EROFS_DISK_H
#define LAMINA_EROFS_DISK_H

#include <endian.h>
#include <string.h>

#include <lamina/erofs.h>

#define SUPER_AT 1024u
#define SUPER_SIZE 128u
#define SUPER_MAGIC 0xe0f5e1e2u
#define SLOT_BITS 5u /* of a nid */

#define COMPAT_CHECKSUM 0x1u
#define COMPAT_PLAIN_PREFIXES 0x10u
#define COMPAT_NO_ACL 0x80000000u /* of images that we make: no inode has a POSIX ACL */

/* What does not matter without compression, and what is understood. */
#define INCOMPAT_PADDING 0x1u
#define INCOMPAT_COMPRESSION_CONFIG 0x2u
#define INCOMPAT_CHUNKS 0x4u
#define INCOMPAT_DEVICES 0x8u
#define INCOMPAT_TAIL_PACKING 0x10u /* of compressed files */
#define INCOMPAT_FRAGMENTS 0x20u
#define INCOMPAT_PREFIXES 0x40u
#define INCOMPAT_WIDE 0x80u

#define DEVICE_SLOT 128u

#define INODE_COMPACT 32u
#define INODE_EXTENDED 64u
#define FORMAT_EXTENDED 0x1u
#define FORMAT_LAYOUT(format) ((format) >> 1 & 7)
#define FORMAT_ONE_LINK 0x10u /* of a compact inode that is no directory: the link count's place is taken */
#define FORMAT_KNOWN 0x1fu

enum layout { LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2, LAYOUT_CHUNKS = 4 }; /* 1 and 3 are compressed */

#define CHUNK_BITS 0x1fu
#define CHUNK_INDEXES 0x20u
#define CHUNK_WIDE 0x40u
#define CHUNK_KNOWN 0x7fu

#define DIRENT_SIZE 12u
#define NAME_MAX_LENGTH 255u

#define NO_BLOCK32 0xffffffffull
#define WIDE_MASK 0xffffffffffffull

#define XATTR_HEAD 12u
#define XATTR_ENTRY 4u
#define XATTR_LONG 0x80u

struct lam_erofs_prefix {
	uint8_t base;
	uint8_t length;
	char infix[NAME_MAX_LENGTH];
};

/* 'length' bytes at 'offset', NULL if the image does not have them. */
static inline const uint8_t *erofs_at(const struct lam_erofs *fs, uint64_t offset, uint64_t length)
{
	return offset <= fs->size && length <= fs->size - offset ? fs->base + offset : NULL;
}

static inline uint16_t le16_at(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

static inline uint32_t le32_at(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static inline uint64_t le64_at(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

#endif
