/* SPDX-License-Identifier: MIT */
#include "image_fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lamina/image/build.h>
#include <lamina/image/index.h>
#include <lamina/image/tar.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

void image_seal_header(unsigned char *block)
{
	unsigned int sum = 0;
	char text[8];

	memset(block + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += block[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(block + 148, text, 7);
}

/* Scan in two parts cut at 'cut'; returns a copy of the index, or NULL. */
static unsigned char *scan(const uint8_t *data, size_t size, size_t cut, size_t *index_size)
{
	unsigned char *copy = NULL;
	const void *index;
	struct lam_tar *tar;
	uint64_t offset;
	int err;

	MUST(lam_tar_open(&tar) == 0);
	err = lam_tar_feed(tar, data, cut);
	if (!err)
		err = lam_tar_feed(tar, data + cut, size - cut);
	if (!err)
		err = lam_tar_finish(tar, &index, index_size);
	if (err) {
		MUST(lam_tar_why(tar, &offset)[0] != '\0' && offset <= size);
		MUST(lam_tar_finish(tar, &index, index_size) == err);
	} else {
		copy = malloc(*index_size);
		MUST(copy);
		memcpy(copy, index, *index_size);
	}
	lam_tar_free(tar);
	return copy;
}

static int build(const unsigned char *index, size_t index_size, uint64_t tar_size, int tar_fd)
{
	struct lam_image_layer layers[2] = {
		{ .index = index,
		  .index_size = index_size,
		  .tar_fd = tar_fd,
		  .tar_size = tar_size,
		  .tag = "a" },
		{ .index = index,
		  .index_size = index_size,
		  .tar_fd = tar_fd,
		  .tar_size = tar_size,
		  .tag = "b" },
	};
	struct lam_image_options options = { 0 };
	struct lam_image_info info;
	char why[256];
	int fd = memfd_create("image", MFD_CLOEXEC), err;

	MUST(fd >= 0);
	err = lam_image_build(fd, layers, 2, &options, &info, why, sizeof(why));
	MUST(err <= 0);
	close(fd);
	return err;
}

static void read_all(const unsigned char *data, size_t size)
{
	struct lam_index *index;
	unsigned char packed[4096];

	if (lam_index_open(data, size, &index) < 0)
		return;
	while (lam_index_pack(index, packed, sizeof(packed)) > 0)
		;
	lam_index_free(index);
}

void image_fuzz_tar(const uint8_t *data, size_t size)
{
	unsigned char *bytes = malloc(size + 1), *whole, *parts;
	size_t whole_size, parts_size;
	int fd;

	MUST(bytes);
	if (size)
		memcpy(bytes, data, size);
	for (size_t at = 0; at + 512 <= size; at += 512)
		if (memcmp(bytes + at + 148, "SUMSUM", 6) == 0)
			image_seal_header(bytes + at);
	whole = scan(bytes, size, size, &whole_size);
	parts = scan(bytes, size, size / 3, &parts_size);
	MUST(!whole == !parts);
	if (whole) {
		MUST(whole_size == parts_size && memcmp(whole, parts, whole_size) == 0);
		read_all(whole, whole_size);
		fd = memfd_create("tar", MFD_CLOEXEC);
		MUST(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
		MUST(build(whole, whole_size, size, fd) != -EBADMSG);
		close(fd);
	}
	free(whole);
	free(parts);
	free(bytes);
}

static void put64(unsigned char *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

void image_fuzz_index(const uint8_t *data, size_t size)
{
	const uint64_t tar_size = 1 << 20;
	unsigned char *index = calloc(1, LAM_INDEX_HEADER + size);

	MUST(index);
	if (!size)
		goto out;
	memcpy(index, "LAMINDEX", 8);
	put64(index + 8, LAM_INDEX_VERSION | (uint64_t)LAM_INDEX_HEADER << 32);
	put64(index + 16, data[0]);
	put64(index + 24, 1);
	put64(index + 32, tar_size);
	put64(index + 48, size - 1);
	memcpy(index + LAM_INDEX_HEADER, data + 1, size - 1);
	put64(index + 56, XXH3_64bits(index + LAM_INDEX_HEADER, size - 1));
	read_all(index, LAM_INDEX_HEADER + size - 1);
	build(index, LAM_INDEX_HEADER + size - 1, tar_size, -1);
out:
	free(index);
}
