/* SPDX-License-Identifier: MIT */
/*
 * moves - data of a layer that lies in another tar
 *
 * Theory.  The store keeps content that several layers have once: in the others there are holes, and
 * their files point into the one that has it.  What is moved are runs of whole files.
 */
#ifndef LAMINA_IMAGE_MOVES_H
#define LAMINA_IMAGE_MOVES_H

#include <lamina/image/build.h>

/* -EBADMSG: not sorted, not in blocks, or to where no tar has bytes. */
int lam_moves_check(const struct lam_image_layer *layers, size_t count);

/*
 * lam_moves_follow() - where 'size' bytes at '*where' of the tar of '*layer' are now
 *
 * -EBADMSG: only some of them were moved.
 */
int lam_moves_follow(const struct lam_image_layer *layers, uint64_t size, uint16_t *layer, uint64_t *where);

#endif
