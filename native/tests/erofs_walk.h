/* SPDX-License-Identifier: MIT */
/* erofs_walk - ask everything of an image, for the fuzzer and for tests */
#ifndef LAMINA_TESTS_EROFS_WALK_H
#define LAMINA_TESTS_EROFS_WALK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Open the image in 'data' and look at all that its directories lead to, within bounds.
 * Returns the number of names seen, or -1 if the image was refused.
 */
int erofs_walk(const uint8_t *data, size_t size);

#endif
