/* SPDX-License-Identifier: MIT */
/*
 * log - what a container writes, kept as JSON lines
 *
 *   {"log":"text\n","stream":"stdout","time":"2026-11-22T06:16:02.123456789Z"}
 *
 * docker's json-file format: one record a line of output; a line longer than LAM_LOG_LINE goes
 * into several records, of which only the last ends with "\n".  Bytes that are no UTF-8 become
 * U+FFFD, since JSON has no other way.
 */
#ifndef LAMINA_LAUNCH_LOG_H
#define LAMINA_LAUNCH_LOG_H

#include <stddef.h>
#include <stdint.h>

#define LAM_LOG_LINE 16384

struct lam_log_stream {
	const char *name;
	size_t used;
	char line[LAM_LOG_LINE];
};

struct lam_log {
	int fd; /* -1: nothing is kept */
	struct lam_log_stream streams[2];
};

/* Opens 'path' for appending (NULL: keep nothing).  0 or a negative errno. */
int lam_log_open(struct lam_log *log, const char *path);
/* 'stream' 0 is standard output, 1 standard error. */
void lam_log_write(struct lam_log *log, int stream, const char *data, size_t size);
/* 'data' as the inside of a JSON string; 'out' has room for 6 bytes for each of 'size'.  Bytes written. */
size_t lam_log_escape(char *out, const char *data, size_t size);
/* Write what has no end of line yet, and close. */
void lam_log_close(struct lam_log *log);

#endif
