/* SPDX-License-Identifier: MIT */
/* buffer - bytes that grow, up to a limit; numbers of the index's form */
#ifndef LAMINA_IMAGE_BUFFER_H
#define LAMINA_IMAGE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#define LAM_VARINT_MAX 10

struct lam_buffer {
	unsigned char *data;
	size_t size;
	size_t capacity;
	size_t limit; /* 0: none */
};

/* Make room for 'more' bytes behind the last.  -EFBIG over the limit, -ENOMEM. */
int lam_buffer_reserve(struct lam_buffer *buffer, size_t more);
int lam_buffer_add(struct lam_buffer *buffer, const void *data, size_t size);
int lam_buffer_varint(struct lam_buffer *buffer, uint64_t value);
void lam_buffer_free(struct lam_buffer *buffer);

size_t lam_varint_put(unsigned char *out, uint64_t value);
/* Step over a number that ends before 'end'.  -1: it does not, or is too large. */
int lam_varint_get(const unsigned char **at, const unsigned char *end, uint64_t *value);

static inline uint64_t lam_zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t lam_unzigzag(uint64_t value)
{
	return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

#endif
