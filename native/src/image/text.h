/* SPDX-License-Identifier: MIT */
/* text - numbers and names as tar headers spell them */
#ifndef LAMINA_IMAGE_TEXT_H
#define LAMINA_IMAGE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* A header's field: octal between blanks and NULs, or base-256.  -EBADMSG: neither, or too large. */
int lam_text_field(const unsigned char *field, size_t size, int64_t *value);

/* Decimal digits and nothing else. */
int lam_text_decimal(const char *text, size_t size, uint64_t *value);

/* Seconds with a sign and a fraction: "-1.5" is -2 s and 500,000,000 ns.  Digits beyond nanoseconds fall away. */
int lam_text_time(const char *text, size_t size, int64_t *seconds, uint32_t *nanoseconds);

/*
 * lam_text_path() - tidy a name: relative, without empty, "." and ".." components
 *
 * 'out' has room for LAM_INDEX_PATH_MAX bytes.  Returns the length, 0 for the root; -EXDEV if the name leads out
 * of the root, -ENAMETOOLONG, -EBADMSG with a NUL.
 */
int lam_text_path(const char *name, size_t size, char *out);

/* Whether 'path' is as lam_text_path() makes them. */
int lam_text_is_tidy(const char *path, size_t size);

/* 'size' bytes with what is no printable ASCII as \xNN; the end is cut off.  NUL-terminated. */
void lam_text_show(const char *name, size_t size, char *out, size_t room);

/* base64, padding optional; 'out' has room for size / 4 * 3 + 3 bytes.  -EBADMSG. */
int64_t lam_text_base64(const char *text, size_t size, unsigned char *out);

/* %XX in place; returns the new length. */
size_t lam_text_unquote(char *text, size_t size);

#endif
