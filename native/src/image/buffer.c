/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

int lam_buffer_reserve(struct lam_buffer *buffer, size_t more)
{
	size_t needed, capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
	unsigned char *data;

	if (__builtin_add_overflow(buffer->size, more, &needed) || needed > SIZE_MAX / 2)
		return -EFBIG;
	if (buffer->limit && needed > buffer->limit)
		return -EFBIG;
	if (needed <= buffer->capacity)
		return 0;
	while (capacity < needed)
		capacity *= 2;
	data = realloc(buffer->data, capacity);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

int lam_buffer_add(struct lam_buffer *buffer, const void *data, size_t size)
{
	int err = lam_buffer_reserve(buffer, size);

	if (err < 0)
		return err;
	if (size)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	return 0;
}

int lam_buffer_varint(struct lam_buffer *buffer, uint64_t value)
{
	int err = lam_buffer_reserve(buffer, LAM_VARINT_MAX);

	if (err < 0)
		return err;
	buffer->size += lam_varint_put(buffer->data + buffer->size, value);
	return 0;
}

void lam_buffer_free(struct lam_buffer *buffer)
{
	free(buffer->data);
	buffer->data = NULL;
	buffer->size = buffer->capacity = 0;
}

size_t lam_varint_put(unsigned char *out, uint64_t value)
{
	size_t size = 0;

	for (; value >= 0x80; value >>= 7)
		out[size++] = (unsigned char)(value | 0x80);
	out[size++] = (unsigned char)value;
	assert(size <= LAM_VARINT_MAX);
	return size;
}

int lam_varint_get(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	uint64_t result = 0;

	for (unsigned int shift = 0; shift < 64 && *at < end; shift += 7) {
		unsigned char byte = *(*at)++;

		if (shift == 63 && byte > 1)
			return -1;
		result |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*value = result;
			return 0;
		}
	}
	return -1;
}
