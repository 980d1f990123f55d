/* SPDX-License-Identifier: MIT */
/* erofs - the on-disk format, as far as images are made of it (Linux fs/erofs/erofs_fs.h); little-endian */
#ifndef LAMINA_IMAGE_EROFS_H
#define LAMINA_IMAGE_EROFS_H

#include <stdint.h>

#define LAM_EROFS_MAGIC 0xe0f5e1e2u
#define LAM_EROFS_SUPER 1024u /* where the superblock is */
#define LAM_EROFS_SUPER_SIZE 128u
#define LAM_EROFS_SLOT_SIZE 128u /* of a device */
#define LAM_EROFS_COMPAT_CHECKSUM 0x1u
#define LAM_EROFS_COMPAT_MTIME 0x2u
#define LAM_EROFS_COMPAT_NO_ACL 0x80000000u /* our own: no inode has a POSIX ACL */
#define LAM_EROFS_INCOMPAT_CHUNKED 0x4u
#define LAM_EROFS_INCOMPAT_DEVICES 0x8u

#define LAM_EROFS_PLAIN 0
#define LAM_EROFS_INLINE 2
#define LAM_EROFS_CHUNKED 4

#define LAM_EROFS_EXTENDED 1u	      /* in i_format; the layout is shifted by 1 */
#define LAM_EROFS_CHUNK_INDEXES 0x20u /* in the chunk format */
#define LAM_EROFS_CHUNK_BITS 0x1fu
#define LAM_EROFS_HOLE 0xffffffffu

#define LAM_EROFS_ISLOT 32u
#define LAM_EROFS_INODE 64u
#define LAM_EROFS_DIRENT 12u
#define LAM_EROFS_CHUNK 8u
#define LAM_EROFS_XATTR_HEADER 12u
#define LAM_EROFS_XATTR_ENTRY 4u
#define LAM_EROFS_MAX_SHARED 255u

/* struct erofs_super_block */
struct lam_erofs_super {
	uint32_t magic;
	uint32_t checksum;
	uint32_t feature_compat;
	uint8_t blkszbits;
	uint8_t sb_extslots;
	uint16_t root_nid;
	uint64_t inos;
	uint64_t epoch;
	uint32_t fixed_nsec;
	uint32_t blocks;
	uint32_t meta_blkaddr;
	uint32_t xattr_blkaddr;
	uint8_t uuid[16];
	uint8_t volume_name[16];
	uint32_t feature_incompat;
	uint16_t compression;
	uint16_t extra_devices;
	uint16_t devt_slotoff;
	uint8_t reserved[38];
};
_Static_assert(sizeof(struct lam_erofs_super) == LAM_EROFS_SUPER_SIZE, "erofs_super_block");

/* struct erofs_deviceslot */
struct lam_erofs_device {
	char tag[64];
	uint32_t blocks;
	uint32_t mapped_blkaddr;
	uint8_t reserved[56];
};
_Static_assert(sizeof(struct lam_erofs_device) == LAM_EROFS_SLOT_SIZE, "erofs_deviceslot");

/* struct erofs_inode_extended */
struct lam_erofs_inode {
	uint16_t format;
	uint16_t xattr_icount;
	uint16_t mode;
	uint16_t reserved;
	uint64_t size;
	uint32_t data; /* first block, device number or chunk format */
	uint32_t ino;
	uint32_t uid;
	uint32_t gid;
	uint64_t mtime;
	uint32_t mtime_nsec;
	uint32_t nlink;
	uint8_t reserved2[16];
};
_Static_assert(sizeof(struct lam_erofs_inode) == LAM_EROFS_INODE, "erofs_inode_extended");

/* struct erofs_inode_chunk_index */
struct lam_erofs_chunk {
	uint16_t high;
	uint16_t device;
	uint32_t block;
};
_Static_assert(sizeof(struct lam_erofs_chunk) == LAM_EROFS_CHUNK, "erofs_inode_chunk_index");

/* struct erofs_dirent */
struct lam_erofs_dirent {
	uint64_t nid;
	uint16_t nameoff;
	uint8_t type;
	uint8_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct lam_erofs_dirent) == LAM_EROFS_DIRENT, "erofs_dirent");

#endif
