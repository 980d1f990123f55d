/* SPDX-License-Identifier: MIT */
/* image_open - take an image and its devices into use, with a line for the user where they do not fit */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lamina/inomap.h>
#include <lamina/layer.h>
#include <lamina/sys.h>

#include "image.h"

#define IMAGE_DEV_MAJOR 0xfffffffeu /* majors have 12 bits */

void lam_image_free(struct lam_image *image)
{
	if (!image)
		return;
	for (uint32_t i = 0; i < image->ndevice_fds; i++) {
		lam_close(&image->device_fds[i]);
		lam_readahead_close(&image->device_reads[i]);
	}
	free(image->device_fds);
	free(image->device_reads);
	lam_erofs_close(&image->fs);
	lam_mapping_close(&image->map);
	lam_close(&image->fd);
	free(image);
}

static int fail_device(struct lam_why *why, int err, const char *what, const char *path)
{
	char text[64];

	snprintf(text, sizeof(text), "data device %s", what);
	return lam_fail(why, err, text, path);
}

/* Several layers may be the same image: they share inode numbers as directories of one file system do. */
static uint64_t device_number(const struct lam_core *core, const struct lam_layer *layer)
{
	for (uint32_t i = 0; i < layer->index; i++) {
		const struct lam_image *other = core->layers[i].image;

		if (other && other->file_dev == layer->image->file_dev &&
		    other->file_ino == layer->image->file_ino)
			return other->dev;
	}
	return (uint64_t)IMAGE_DEV_MAJOR << 32 | layer->index;
}

static int check_device(struct lam_image *image, uint32_t index, const char *path, struct lam_why *why)
{
	int fd = image->device_fds[index], rc;
	struct stat st;

	if (fd < 0)
		return fail_device(why, fd, "cannot be opened", path);
	if (fstat(fd, &st) < 0)
		return fail_device(why, -errno, "cannot be asked", path);
	if (!S_ISREG(st.st_mode))
		return fail_device(why, 0, "is no regular file", path);
	if ((uint64_t)st.st_size < image->fs.devices[index].size)
		return fail_device(why, 0, "is shorter than the image says", path);
	rc = lam_readahead_open(&image->device_reads[index], (uint64_t)st.st_size);
	return rc < 0 ? fail_device(why, rc, "is too large", path) : 0;
}

static int open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* The file that the tag names in the directory of devices. */
static int open_tagged(struct lam_image *image, uint32_t index, const char *dir, struct lam_why *why)
{
	const struct lam_erofs_device *device = &image->fs.devices[index];
	char path[4096];
	int n;

	if (!*device->tag || strchr(device->tag, '/') || device->tag[0] == '.')
		return fail_device(why, 0, "has no usable name in the image", dir);
	n = snprintf(path, sizeof(path), "%s/%s", dir, device->tag);
	if (n < 0 || (size_t)n >= sizeof(path))
		return fail_device(why, -ENAMETOOLONG, "cannot be opened", dir);
	image->device_fds[index] = open_path(path);
	return check_device(image, index, path, why);
}

/* Without devices of their own, do the devices' blocks follow in the image itself? */
static bool is_flat(const struct lam_erofs *fs)
{
	for (uint32_t i = 0; i < fs->ndevices; i++)
		if (!fs->devices[i].begin || fs->devices[i].begin > fs->size ||
		    fs->devices[i].size > fs->size - fs->devices[i].begin)
			return false;
	return true;
}

static int open_devices(struct lam_image *image, const char *path, struct lam_devices *devices,
			struct lam_why *why)
{
	uint32_t count = image->fs.ndevices;
	char text[80];
	int rc = 0;

	if (!count)
		return 0;
	if (devices->taken == devices->count && !devices->dir) {
		image->fs.flat = is_flat(&image->fs);
		snprintf(text, sizeof(text), "needs %u data devices: device= or devicedir= is missing",
			 count);
		return image->fs.flat ? 0 : lam_fail(why, 0, text, path);
	}
	image->device_fds = malloc(count * sizeof(*image->device_fds));
	image->device_reads = calloc(count, sizeof(*image->device_reads));
	if (!image->device_fds || !image->device_reads)
		return lam_fail(why, -ENOMEM, "no memory", path);
	for (; image->ndevice_fds < count; image->ndevice_fds++)
		image->device_fds[image->ndevice_fds] = -1;
	if (devices->taken < devices->count && devices->count - devices->taken < count) {
		snprintf(text, sizeof(text), "needs %u data devices, but only %u are left of device=", count,
			 devices->count - devices->taken);
		return lam_fail(why, 0, text, path);
	}
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		if (devices->taken == devices->count) {
			rc = open_tagged(image, i, devices->dir, why);
			continue;
		}
		path = devices->paths[devices->taken + i];
		image->device_fds[i] = open_path(path);
		rc = check_device(image, i, path, why);
	}
	if (devices->taken < devices->count)
		devices->taken += count;
	return rc;
}

static int open_image(struct lam_image *image, const char *path, struct lam_why *why)
{
	struct lam_erofs_inode root;
	const char *what = "is damaged";
	struct stat st;
	int rc;

	if (fstat(image->fd, &st) < 0)
		return lam_fail(why, -errno, "cannot stat", path);
	image->file_dev = st.st_dev;
	image->file_ino = st.st_ino;
	if (st.st_size == 0)
		return lam_fail(why, 0, "is not an EROFS image", path);
	rc = lam_mapping_open(&image->map, image->fd, (uint64_t)st.st_size);
	if (rc < 0)
		return lam_fail(why, rc, "cannot be mapped", path);
	rc = lam_erofs_open(&image->fs, image->map.base, image->map.size, &what);
	if (rc == 0)
		rc = lam_erofs_inode(&image->fs, image->fs.root, &root);
	if (rc < 0 || !S_ISDIR(root.mode) || lam_mapping_lost(&image->map))
		return lam_fail(why, 0, what, path);
	return 0;
}

int lam_layer_erofs_open(struct lam_core *core, struct lam_layer *layer, const char *path, int fd,
			 struct lam_devices *devices, struct lam_why *why)
{
	struct lam_image *image = calloc(1, sizeof(*image));
	char number[12];
	int rc;

	if (!image)
		return lam_fail(why, -ENOMEM, "no memory", path);
	image->fd = -1;
	layer->ops = &lam_layer_erofs_ops;
	layer->image = image;
	image->fd = openat(core->proc_fd, lam_decimal(number, (unsigned int)fd), O_RDONLY | O_CLOEXEC);
	if (image->fd < 0)
		return lam_fail(why, -errno, "cannot open lowerdir", path);
	rc = open_image(image, path, why);
	if (rc == 0)
		rc = open_devices(image, path, devices, why);
	if (rc < 0)
		return rc;
	layer->root = lam_ldir_root(layer, -1);
	if (!layer->root)
		return lam_fail(why, -ENOMEM, "no memory", path);
	image->dev = device_number(core, layer);
	layer->root->object = image->fs.root + 1;
	layer->root->ino = image->fs.root;
	layer->root->dev = image->dev;
	rc = lam_fsid_image(core, image->dev, image->fs.uuid);
	if (rc < 0)
		return lam_fail(why, rc, "no memory", path);
	layer->fsid = (uint32_t)rc;
	core->seed = core->seed * 0x9e3779b97f4a7c15u + (image->file_ino ^ image->file_dev << 32);
	return 0;
}
