/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lamina/image/index.h>

/* Two's complement behind a first bit that only says so; the second is the sign. */
static int base256(const unsigned char *field, size_t size, int64_t *value)
{
	unsigned char sign = field[0] & 0x40 ? 0xff : 0;
	uint64_t result = sign ? UINT64_MAX : 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char byte = i ? field[i] : (unsigned char)((field[0] & 0x7f) | (sign & 0x80));

		if (i + 8 < size && byte != sign)
			return -EBADMSG;
		result = result << 8 | byte;
	}
	if ((result >> 63) != (sign & 1))
		return -EBADMSG;
	*value = (int64_t)result;
	return 0;
}

int lam_text_field(const unsigned char *field, size_t size, int64_t *value)
{
	int64_t result = 0;

	if (field[0] & 0x80)
		return base256(field, size, value);
	while (size && (*field == ' ' || *field == '\0')) {
		field++;
		size--;
	}
	while (size && (field[size - 1] == ' ' || field[size - 1] == '\0'))
		size--;
	for (size_t i = 0; i < size && field[i] != '\0'; i++) {
		if (field[i] < '0' || field[i] > '7' || result >> 60)
			return -EBADMSG;
		result = result * 8 + (field[i] - '0');
	}
	*value = result;
	return 0;
}

int lam_text_decimal(const char *text, size_t size, uint64_t *value)
{
	uint64_t result = 0;

	if (!size)
		return -EBADMSG;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(result, 10, &result) ||
		    __builtin_add_overflow(result, (uint64_t)(text[i] - '0'), &result))
			return -EBADMSG;
	}
	*value = result;
	return 0;
}

int lam_text_time(const char *text, size_t size, int64_t *seconds, uint32_t *nanoseconds)
{
	int negative = size && text[0] == '-';
	const char *point;
	uint64_t whole = 0;
	uint32_t fraction = 0, unit = 100000000;

	if (size && (text[0] == '-' || text[0] == '+')) {
		text++;
		size--;
	}
	point = memchr(text, '.', size);
	if (lam_text_decimal(text, point ? (size_t)(point - text) : size, &whole) < 0 || whole >= INT64_MAX)
		return -EBADMSG;
	for (const char *at = point ? point + 1 : text + size; at < text + size; at++, unit /= 10) {
		if (*at < '0' || *at > '9')
			return -EBADMSG;
		fraction += (uint32_t)(*at - '0') * unit;
	}
	*seconds = negative ? -(int64_t)whole : (int64_t)whole;
	*nanoseconds = fraction;
	if (negative && fraction) {
		*seconds -= 1;
		*nanoseconds = 1000000000 - fraction;
	}
	return 0;
}

static size_t without_last(const char *path, size_t size)
{
	while (size && path[size - 1] != '/')
		size--;
	return size ? size - 1 : 0;
}

int lam_text_path(const char *name, size_t size, char *out)
{
	int rooted = size && name[0] == '/';
	size_t length = 0;

	if (size && memchr(name, '\0', size))
		return -EBADMSG;
	for (size_t at = 0; at < size;) {
		const char *part = name + at, *slash = memchr(part, '/', size - at);
		size_t part_size = slash ? (size_t)(slash - part) : size - at;

		at += part_size + 1;
		if (part_size == 0 || (part_size == 1 && part[0] == '.'))
			continue;
		if (part_size == 2 && part[0] == '.' && part[1] == '.') {
			if (!length && !rooted)
				return -EXDEV;
			length = without_last(out, length);
			continue;
		}
		if (part_size > LAM_INDEX_NAME_MAX || length + 1 + part_size > LAM_INDEX_PATH_MAX)
			return -ENAMETOOLONG;
		if (length)
			out[length++] = '/';
		memmove(out + length, part, part_size);
		length += part_size;
	}
	return (int)length;
}

int lam_text_is_tidy(const char *path, size_t size)
{
	size_t start = 0;

	if (size > LAM_INDEX_PATH_MAX)
		return 0;
	for (size_t i = 0; i <= size && size; i++) {
		size_t part = i - start;

		if (i < size && path[i] == '\0')
			return 0;
		if (i < size && path[i] != '/')
			continue;
		if (part == 0 || part > LAM_INDEX_NAME_MAX || (part == 1 && path[start] == '.') ||
		    (part == 2 && path[start] == '.' && path[start + 1] == '.'))
			return 0;
		start = i + 1;
	}
	return 1;
}

void lam_text_show(const char *name, size_t size, char *out, size_t room)
{
	size_t length = 0;

	for (size_t i = 0; i < size && length + 8 < room; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c > ' ' && c < 0x7f && c != '\\')
			out[length++] = (char)c;
		else
			length += (size_t)snprintf(out + length, room - length, "\\x%02x", c);
		if (i + 1 < size && length + 8 >= room)
			length += (size_t)snprintf(out + length, room - length, "...");
	}
	out[length] = '\0';
}

static int sextet(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

int64_t lam_text_base64(const char *text, size_t size, unsigned char *out)
{
	uint32_t bits = 0;
	int64_t length = 0;
	int have = 0;

	while (size && text[size - 1] == '=')
		size--;
	if (size % 4 == 1)
		return -EBADMSG;
	for (size_t i = 0; i < size; i++) {
		int value = sextet(text[i]);

		if (value < 0)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[length++] = (unsigned char)(bits >> have);
		}
	}
	return length;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t lam_text_unquote(char *text, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++) {
		if (text[i] == '%' && i + 2 < size && hex_digit(text[i + 1]) >= 0 &&
		    hex_digit(text[i + 2]) >= 0) {
			text[length++] = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
			i += 2;
		} else {
			text[length++] = text[i];
		}
	}
	return length;
}
