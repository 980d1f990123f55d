/* SPDX-License-Identifier: MIT */
/*
 * handle - open descriptors of regular files, shared and counted
 *
 * A lam_file is one open descriptor.  Handles (fh) hold one each; for stateless opens the node
 * caches one, the least recently used are closed beyond core->max_files.  A loan for the time
 * of a request keeps it open whatever happens to its owner.
 */
#ifndef LAMINA_HANDLE_H
#define LAMINA_HANDLE_H

#include <lamina/contents.h>
#include <lamina/internal.h>

struct lam_file *lam_file_new(int fd, bool writable,
			      bool on_lower); /* takes 'fd'; NULL: no memory, fd closed */
/* What is read through it; valid as long as 'file'. */
static inline struct lam_contents lam_file_contents(const struct lam_file *file)
{
	return (struct lam_contents){ .fd = file->fd, .image = file->image, .object = file->object };
}
void lam_file_put(struct lam_core *core, struct lam_file *file);
/* Make 'file' the node's cached one (the cache takes a reference of its own). */
void lam_file_cache(struct lam_core *core, struct lam_node *node, struct lam_file *file);
void lam_file_uncache(struct lam_core *core, struct lam_node *node);
/* The descriptor of the cached file of an upper object that nobody else uses, now the caller's; -1 if there is none. */
int lam_file_take(struct lam_core *core, struct lam_node *node);

/*
 * lam_node_file() - a descriptor of the node's contents, with one reference for the caller
 *
 * From the cache if it fits, else opened and cached.  'write' needs an upper with its data.
 */
int lam_node_file(struct lam_core *core, struct lam_node *node, bool write, struct lam_file **out);

/* A new handle on 'file' (takes over the caller's reference); 0 for no memory. */
uint64_t lam_handle_new(struct lam_core *core, struct lam_node *node, struct lam_file *file);
struct lam_handle *lam_handle_find(struct lam_core *core, uint64_t fh);
void lam_handle_free(struct lam_core *core, struct lam_handle *handle);

#endif
