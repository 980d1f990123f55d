/* SPDX-License-Identifier: MIT */
/*
 * image_fuzz - what must hold for any tar and any index; the fuzzers' body, and the replay of their corpus
 *
 * The checksum of headers and indexes is put right first, so that fuzzing gets behind it.
 */
#ifndef LAMINA_TESTS_IMAGE_FUZZ_H
#define LAMINA_TESTS_IMAGE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

void image_fuzz_tar(const uint8_t *data, size_t size);
void image_fuzz_index(const uint8_t *data, size_t size);

/* Put the checksum of a tar header right. */
void image_seal_header(unsigned char *block);

#endif
