/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int lam_log_open(struct lam_log *log, const char *path)
{
	memset(log, 0, sizeof(*log));
	log->fd = -1;
	log->streams[0].name = "stdout";
	log->streams[1].name = "stderr";
	if (!path)
		return 0;
	log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return log->fd < 0 ? -errno : 0;
}

/* Bytes of the well-formed UTF-8 sequence at 'text', 0 if there is none (Unicode 15, table 3-7). */
static size_t sequence(const unsigned char *text, size_t size)
{
	unsigned char first = text[0], low = 0x80, high = 0xbf;
	size_t length = first < 0x80   ? 1
			: first < 0xc2 ? 0
			: first < 0xe0 ? 2
			: first < 0xf0 ? 3
			: first < 0xf5 ? 4
				       : 0;

	if (length < 2)
		return length;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf) {
		if (i >= size || text[i] < low || text[i] > high)
			return 0;
	}
	return length;
}

size_t lam_log_escape(char *out, const char *data, size_t size)
{
	const unsigned char *text = (const unsigned char *)data;
	size_t used = 0;

	for (size_t i = 0, length; i < size; i += length ? length : 1) {
		length = sequence(text + i, size - i);
		if (length == 0) {
			memcpy(out + used, "\\ufffd", 6);
			used += 6;
		} else if (text[i] == '"' || text[i] == '\\') {
			out[used++] = '\\';
			out[used++] = (char)text[i];
		} else if (text[i] == '\n') {
			memcpy(out + used, "\\n", 2);
			used += 2;
		} else if (text[i] < 0x20 || text[i] == 0x7f) {
			used += (size_t)sprintf(out + used, "\\u%04x", text[i]);
		} else {
			memcpy(out + used, text + i, length);
			used += length;
		}
	}
	return used;
}

static void record(struct lam_log *log, struct lam_log_stream *stream)
{
	char text[LAM_LOG_LINE * 6 + 128];
	struct timespec now;
	struct tm tm;
	size_t used;
	ssize_t n;

	memcpy(text, "{\"log\":\"", 8);
	used = 8 + lam_log_escape(text + 8, stream->line, stream->used);
	stream->used = 0;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	used += (size_t)sprintf(text + used, "\",\"stream\":\"%s\",\"time\":\"", stream->name);
	used += strftime(text + used, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	used += (size_t)sprintf(text + used, ".%09ldZ\"}\n", now.tv_nsec);
	n = write(log->fd, text, used);
	(void)n; /* a full disk loses the log, not the container */
}

void lam_log_write(struct lam_log *log, int index, const char *data, size_t size)
{
	struct lam_log_stream *stream = &log->streams[index];

	if (log->fd < 0)
		return;
	while (size > 0) {
		const char *end = memchr(data, '\n', size);
		size_t part = end ? (size_t)(end - data) + 1 : size,
		       room = sizeof(stream->line) - stream->used;

		if (part > room)
			part = room;
		memcpy(stream->line + stream->used, data, part);
		stream->used += part;
		data += part;
		size -= part;
		if (stream->line[stream->used - 1] == '\n' || stream->used == sizeof(stream->line))
			record(log, stream);
	}
}

void lam_log_close(struct lam_log *log)
{
	if (log->fd < 0)
		return;
	for (int i = 0; i < 2; i++) {
		if (log->streams[i].used > 0)
			record(log, &log->streams[i]);
	}
	close(log->fd);
	log->fd = -1;
}
