/* SPDX-License-Identifier: MIT */
/*
 * stack - a scratch directory full of layers, and a core over it, for tests
 *
 * Theory.  Layers are directories l0 (topmost), l1, ... and u0, u1, ... with workdirs w0, ...
 * below one scratch directory; tests name objects in them by paths like "l0/d/f", and objects
 * of the union by paths like "d/f".  stack_open() counts descriptors and stack_close() counts
 * again; stack_balanced() says whether the core has forgotten all that the test has forgotten.
 */
#ifndef LAMINA_TESTS_STACK_H
#define LAMINA_TESTS_STACK_H

#include <stdbool.h>
#include <sys/stat.h>

#include "kernel.h"

struct stack {
	char top[64];
	int fd;			  /* of 'top' */
	struct lam_config config; /* what stack_open() adds layers to */
	struct lam_core *core;
	unsigned int lowers, uppers;
	int fds; /* open before stack_open() */
	char why[256];
};

/* A requester who may wait; with NO_WAIT one who may not. */
#define ROOT (&(const struct lam_caller){ .flags = LAM_CALLER_MAY_BLOCK })
#define NO_WAIT (&(const struct lam_caller){ .flags = 0 })

void stack_make(struct stack *stack, unsigned int lowers, unsigned int uppers);
void stack_free(struct stack *stack); /* the core is closed */

/* Objects on layers; 'path' from the scratch directory. */
void stack_dir(const struct stack *stack, const char *path);
void stack_file(const struct stack *stack, const char *path, const char *text);
void stack_sized(const struct stack *stack, const char *path, uint64_t size); /* of 'x' */
void stack_whiteout(const struct stack *stack, const char *path);
void stack_xattr(const struct stack *stack, const char *path, const char *key, const void *value,
		 size_t size);
void stack_text_xattr(const struct stack *stack, const char *path, const char *key, const char *value);
bool stack_has(const struct stack *stack, const char *path);
/* The xattr's length, with its value and a NUL in 'value'; -1 if there is none. */
int stack_get_xattr(const struct stack *stack, const char *path, const char *key, char value[256]);

/* Returns lam_core_open()'s result; stack_open() expects it to be 0. */
int stack_try_open(struct stack *stack);
void stack_open(struct stack *stack);
/* Expects that nothing but the root is known; closes and expects the descriptors of before. */
void stack_close(struct stack *stack);
void stack_balanced(struct stack *stack);

/* Look up 'path' in the union: the nodeid, with one lookup for the caller to forget. */
uint64_t stack_find(struct stack *stack, const char *path);
int stack_lookup(struct stack *stack, const char *path, uint64_t *nodeid); /* the same, or the error */
void stack_forget(struct stack *stack, uint64_t nodeid);
int stack_error(struct stack *stack, const char *path); /* 0, or what a lookup says */
/* Contents of a file in the union; the length or an error.  'text' is NUL-terminated. */
ssize_t stack_read(struct stack *stack, const char *path, char *text, size_t size);
bool stack_reads(struct stack *stack, const char *path, const char *text);
/* Replace the beginning of a file. */
int stack_write(struct stack *stack, const char *path, const char *text);
int stack_chmod(struct stack *stack, const char *path, uint32_t mode);
/* Names of a directory, sorted, each followed by a blank. */
int stack_list(struct stack *stack, const char *path, char *names, size_t size);
bool stack_lists(struct stack *stack, const char *path, const char *names);

/* Verbs by path; entries are forgotten at once. */
int stack_create(struct stack *stack, const char *path, const char *text);
int stack_mkdir(struct stack *stack, const char *path);
int stack_unlink(struct stack *stack, const char *path);
int stack_rmdir(struct stack *stack, const char *path);
int stack_rename(struct stack *stack, const char *from, const char *to, uint32_t flags);
int stack_link(struct stack *stack, const char *from, const char *to);

#endif
