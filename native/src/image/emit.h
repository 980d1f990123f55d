/* SPDX-License-Identifier: MIT */
/* emit - write a laid out image front to back */
#ifndef LAMINA_IMAGE_EMIT_H
#define LAMINA_IMAGE_EMIT_H

#include "layout.h"

/* 'uuid' comes out: a digest of what was written.  Also what reading or writing failed with. */
int lam_emit(int fd, const struct lam_layout *layout, const struct lam_image_options *options,
	     unsigned char uuid[16]);

#endif
