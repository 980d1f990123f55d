/* SPDX-License-Identifier: MIT */
#include <lamina/inomap.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <lamina/sys.h>

/* struct ovl_fb: the head before the file handle's own bytes. */
#define FB_VERSION 0
#define FB_MAGIC 0xfb
#define FB_FLAG_BIG_ENDIAN 1
#define FB_FLAG_ANY_ENDIAN 2
#define FB_HEAD 21
#define FB_AT_LENGTH 2
#define FB_AT_FLAGS 3
#define FB_AT_TYPE 4
#define FB_AT_UUID 5

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FB_CPU_FLAGS FB_FLAG_BIG_ENDIAN
#else
#define FB_CPU_FLAGS 0
#endif

/* Types of handles whose inode number can be read out (include/linux/exportfs.h). */
#define FILEID_INO32_GEN 1
#define FILEID_INO32_GEN_PARENT 2
#define FILEID_BTRFS 0x4d
#define FILEID_BTRFS_LAST 0x4f
#define FILEID_INO64_GEN 0x81
#define FILEID_INO64_GEN_PARENT 0x82

struct fs_uuid {
	uint8_t length;
	uint8_t uuid[16];
};
#define IOC_GETFSUUID _IOR(0x15, 0, struct fs_uuid) /* FS_IOC_GETFSUUID, Linux 6.9 */

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* Linux 6.5: a handle for identity, not for opening */
#endif

int lam_fsid(struct lam_core *core, uint64_t dev)
{
	struct lam_device *devices;
	uint32_t i;

	for (i = 0; i < core->ndevices; i++)
		if (core->devices[i].dev == dev)
			return (int)i;
	devices = realloc(core->devices, (i + 1) * sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	core->devices = devices;
	memset(&devices[i], 0, sizeof(*devices));
	devices[i].dev = dev;
	core->ndevices++;
	return (int)i;
}

static uint64_t number(uint32_t fsid, uint64_t ino)
{
	uint64_t mixed;

	if (ino >> LAM_INO_BITS == 0 && fsid < 64)
		return ino | (uint64_t)fsid << LAM_INO_BITS;
	/* No room for both: a 62-bit mix under a mark of its own; equal numbers are as likely as equal hashes. */
	mixed = (ino ^ (uint64_t)fsid * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
	mixed ^= mixed >> 32;
	return mixed >> 2 | 1ull << 62;
}

uint64_t lam_ino(struct lam_core *core, uint64_t dev, uint64_t ino)
{
	int fsid = lam_fsid(core, dev);

	return number(fsid < 0 ? 63 : (uint32_t)fsid, ino);
}

void lam_fsid_learn(struct lam_core *core, int root_fd, uint64_t dev)
{
	int fsid = lam_fsid(core, dev), fd;
	struct fs_uuid uuid;

	if (fsid < 0)
		return;
	fd = lam_openat(root_fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && ioctl(fd, IOC_GETFSUUID, &uuid) == 0 && uuid.length == sizeof(uuid.uuid))
		memcpy(core->devices[fsid].uuid, uuid.uuid, sizeof(uuid.uuid));
	lam_close(&fd);
}

int lam_fsid_image(struct lam_core *core, uint64_t dev, const uint8_t uuid[16])
{
	int fsid = lam_fsid(core, dev);

	if (fsid < 0)
		return fsid;
	memcpy(core->devices[fsid].uuid, uuid, 16);
	core->devices[fsid].image = true;
	return fsid;
}

static void pack(struct lam_fh *fh, const uint8_t uuid[16], const struct file_handle *handle)
{
	fh->length = FB_HEAD + handle->handle_bytes;
	fh->bytes[0] = FB_VERSION;
	fh->bytes[1] = FB_MAGIC;
	fh->bytes[FB_AT_LENGTH] = (uint8_t)fh->length;
	fh->bytes[FB_AT_FLAGS] = FB_CPU_FLAGS;
	fh->bytes[FB_AT_TYPE] = (uint8_t)handle->handle_type;
	memcpy(fh->bytes + FB_AT_UUID, uuid, 16);
	memcpy(fh->bytes + FB_HEAD, handle->f_handle, handle->handle_bytes);
}

int lam_fh_encode(struct lam_core *core, int dirfd, const char *name, uint64_t dev, struct lam_fh *fh)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	int mount_id, fsid = lam_fsid(core, dev), flags = *name ? 0 : AT_EMPTY_PATH;

	if (fsid < 0)
		return fsid;
	if (name_to_handle_at(dirfd, name, &u.handle, &mount_id, flags) < 0) {
		if (errno != EOPNOTSUPP)
			return -errno;
		u.handle.handle_bytes = MAX_HANDLE_SZ;
		if (name_to_handle_at(dirfd, name, &u.handle, &mount_id, flags | AT_HANDLE_FID) < 0)
			return -EOPNOTSUPP;
	}
	if (FB_HEAD + u.handle.handle_bytes > LAM_FH_MAX)
		return -EOPNOTSUPP;
	pack(fh, core->devices[fsid].uuid, &u.handle);
	return 0;
}

void lam_fh_of_image(const uint8_t uuid[16], uint64_t nid, struct lam_fh *fh)
{
	uint32_t words[3] = { (uint32_t)(nid >> 32), (uint32_t)nid, 0 };
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(words)];
	} u = { .handle = { .handle_bytes = sizeof(words), .handle_type = FILEID_INO64_GEN } };

	memcpy(u.handle.f_handle, words, sizeof(words));
	pack(fh, uuid, &u.handle);
}

static uint64_t image_nid(const uint8_t *body)
{
	uint32_t words[2];

	memcpy(words, body, sizeof(words));
	return (uint64_t)words[0] << 32 | words[1];
}

static bool well_formed(const struct lam_fh *fh)
{
	return fh->length >= FB_HEAD + 8 && fh->bytes[0] == FB_VERSION && fh->bytes[1] == FB_MAGIC &&
	       fh->bytes[FB_AT_LENGTH] == fh->length &&
	       (fh->bytes[FB_AT_FLAGS] & FB_FLAG_ANY_ENDIAN ||
		(fh->bytes[FB_AT_FLAGS] & FB_FLAG_BIG_ENDIAN) == FB_CPU_FLAGS);
}

bool lam_fh_on_image(const struct lam_fh *fh, const uint8_t uuid[16], uint64_t *nid)
{
	if (!well_formed(fh) || memcmp(fh->bytes + FB_AT_UUID, uuid, 16) != 0 ||
	    (fh->bytes[FB_AT_TYPE] != FILEID_INO64_GEN && fh->bytes[FB_AT_TYPE] != FILEID_INO64_GEN_PARENT))
		return false;
	*nid = image_nid(fh->bytes + FB_HEAD);
	return true;
}

/* Which of our file systems wrote the handle: by uuid, and the first one for handles without. */
static int fsid_of(const struct lam_core *core, const uint8_t *uuid)
{
	static const uint8_t none[16];

	int found = -1;

	for (uint32_t i = 0; i < core->ndevices; i++)
		if (memcmp(core->devices[i].uuid, uuid, 16) == 0) {
			if (found >= 0) /* several without a uuid: a guess could meet a real file's number */
				return -1;
			found = (int)i;
		}
	return found < 0 && core->ndevices == 1 && memcmp(uuid, none, 16) == 0 ? 0 : found;
}

bool lam_fh_ino(struct lam_core *core, const struct lam_fh *fh, uint64_t *ino)
{
	const uint8_t *body = fh->bytes + FB_HEAD;
	uint64_t real = 0;
	uint32_t words[3];
	int fsid;

	if (!well_formed(fh))
		return false;
	fsid = fsid_of(core, fh->bytes + FB_AT_UUID);
	if (fsid < 0)
		return false;
	switch (fh->bytes[FB_AT_TYPE]) {
	case FILEID_INO32_GEN:
	case FILEID_INO32_GEN_PARENT:
		memcpy(words, body, 8);
		real = words[0];
		if (fh->length == FB_HEAD + 12) { /* tmpfs: generation, inode low, inode high */
			memcpy(words, body, 12);
			real = (uint64_t)words[2] << 32 | words[1];
		}
		break;
	case FILEID_INO64_GEN:
	case FILEID_INO64_GEN_PARENT:
	case FILEID_BTRFS ... FILEID_BTRFS_LAST:
		memcpy(&real, body, 8);
		if (core->devices[fsid].image)
			real = image_nid(body);
		break;
	default:
		return false;
	}
	*ino = number((uint32_t)fsid, real);
	return true;
}

int lam_fh_open(const struct lam_fh *fh, int root_fd)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u;
	int mount_fd, fd;

	if (fh->length <= FB_HEAD || fh->length > LAM_FH_MAX || fh->length - FB_HEAD > MAX_HANDLE_SZ)
		return -EINVAL;
	u.handle.handle_bytes = fh->length - FB_HEAD;
	u.handle.handle_type = fh->bytes[FB_AT_TYPE];
	memcpy(u.handle.f_handle, fh->bytes + FB_HEAD, u.handle.handle_bytes);
	mount_fd = lam_openat(root_fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (mount_fd < 0)
		return mount_fd;
	fd = open_by_handle_at(mount_fd, &u.handle, O_PATH | O_CLOEXEC);
	fd = fd < 0 ? -errno : fd;
	lam_close(&mount_fd);
	return fd;
}

void lam_fh_name(const struct lam_fh *fh, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	for (uint32_t i = 0; i < fh->length; i++) {
		*buf++ = digits[fh->bytes[i] >> 4];
		*buf++ = digits[fh->bytes[i] & 15];
	}
	*buf = '\0';
}
