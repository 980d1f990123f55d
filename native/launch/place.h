/* SPDX-License-Identifier: MIT */
/*
 * place - paths inside a root that is not ours
 *
 * The image decides what lies below the root, so every step goes by openat2(2) with
 * RESOLVE_IN_ROOT: links are followed, but as if the root were "/"; no magic link is.
 * Descriptors are O_PATH and close on exec; the caller closes them.
 */
#ifndef LAMINA_LAUNCH_PLACE_H
#define LAMINA_LAUNCH_PLACE_H

#include <sys/types.h>

/* An existing path.  A descriptor or a negative errno. */
int lam_place_open(int root, const char *path);

/* The same with these flags of open(2) instead of O_PATH. */
int lam_place_open_as(int root, const char *path, int flags);

/* The directory 'path', made with its parents (0755) where missing. */
int lam_place_directory(int root, const char *path);

/* A file at 'path' to mount something on, made empty with its parents where missing. */
int lam_place_file(int root, const char *path);

/* The directory that holds 'path', made where missing; its last component through '*name'. */
int lam_place_parent(int root, const char *path, const char **name);

#endif
