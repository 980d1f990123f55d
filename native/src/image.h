/* SPDX-License-Identifier: MIT */
/* image - what an image layer holds (layer_erofs.c answers from it, image_open.c makes it) */
#ifndef LAMINA_IMAGE_H
#define LAMINA_IMAGE_H

#include <lamina/erofs.h>
#include <lamina/layer_erofs.h>
#include <lamina/mapping.h>
#include <lamina/readahead.h>

struct lam_image {
	struct lam_mapping map;
	struct lam_erofs fs;
	uint64_t dev; /* stands for a device number; no real one looks like it */
	uint64_t file_dev, file_ino;
	int fd;
	uint32_t ndevice_fds;
	int *device_fds;		    /* by number - 1 */
	struct lam_readahead *device_reads; /* the same */
};

void lam_image_free(struct lam_image *image); /* NULL is fine */

extern const struct lam_layer_ops lam_layer_erofs_ops;

#endif
