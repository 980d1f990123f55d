/* SPDX-License-Identifier: MIT */
#include <lamina/handle.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <lamina/at.h>
#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/sys.h>

struct lam_file *lam_file_new(int fd, bool writable, bool on_lower)
{
	struct lam_file *file = calloc(1, sizeof(*file));

	if (!file) {
		lam_close(&fd);
		return NULL;
	}
	lam_list_init(&file->lru);
	file->fd = fd;
	file->refs = 1;
	file->writable = writable;
	file->on_lower = on_lower;
	return file;
}

void lam_file_put(struct lam_core *core, struct lam_file *file)
{
	(void)core;
	if (!file || --file->refs > 0)
		return;
	lam_close(&file->fd);
	free(file);
}

void lam_file_uncache(struct lam_core *core, struct lam_node *node)
{
	struct lam_file *file = node->f.file;

	if (!file)
		return;
	node->f.file = NULL;
	file->node = NULL;
	lam_list_del(&file->lru);
	core->nfiles--;
	lam_file_put(core, file);
}

int lam_file_take(struct lam_core *core, struct lam_node *node)
{
	struct lam_file *file = node->f.file;
	int fd;

	if (!file || file->refs > 1 || file->on_lower)
		return -1;
	fd = file->fd;
	file->fd = -1;
	lam_file_uncache(core, node);
	return fd;
}

void lam_file_cache(struct lam_core *core, struct lam_node *node, struct lam_file *file)
{
	lam_file_uncache(core, node);
	file->refs++;
	file->node = node;
	node->f.file = file;
	lam_list_move_tail(&core->files, &file->lru);
	core->nfiles++;
	while (core->nfiles > core->max_files)
		lam_file_uncache(core, lam_container(core->files.next, struct lam_file, lru)->node);
}

int lam_node_file(struct lam_core *core, struct lam_node *node, bool write, struct lam_file **out)
{
	struct lam_file *file = node->f.file;
	struct lam_contents found;
	struct lam_at at;
	bool on_lower;
	int rc;

	on_lower = node->fd < 0 && (!node->f.upper.dir || node->flags & LAM_NODE_METACOPY);
	if (file && file->on_lower == on_lower && (file->writable || !write)) {
		lam_list_move_tail(&core->files, &file->lru);
		file->refs++;
		*out = file;
		return 0;
	}
	rc = lam_at_data(core, node, &at);
	if (rc < 0)
		return rc;
	rc = lam_at_contents(core, &at, write ? O_RDWR : O_RDONLY, &found, NULL);
	if (rc < 0)
		return rc;
	file = lam_file_new(found.fd, write, on_lower);
	if (!file)
		return -ENOMEM;
	file->image = found.image;
	file->object = found.object;
	lam_file_cache(core, node, file);
	*out = file;
	return 0;
}

uint64_t lam_handle_new(struct lam_core *core, struct lam_node *node, struct lam_file *file)
{
	struct lam_handle *handle;
	uint32_t slot = core->free_handle;

	if (!slot) {
		uint32_t count = core->nhandles ? core->nhandles * 2 : 64;
		struct lam_handle *handles = realloc(core->handles, count * sizeof(*handles));

		if (!handles)
			return 0;
		for (uint32_t i = core->nhandles ? core->nhandles : 1; i < count; i++)
			handles[i] = (struct lam_handle){ .next_free = i + 1 < count ? i + 1 : 0 };
		slot = core->nhandles ? core->nhandles : 1;
		core->handles = handles;
		core->nhandles = count;
	}
	handle = &core->handles[slot];
	core->free_handle = handle->next_free;
	handle->node = node;
	handle->file = file;
	handle->generation++;
	lam_node_ref(node);
	return (uint64_t)handle->generation << 32 | slot;
}

struct lam_handle *lam_handle_find(struct lam_core *core, uint64_t fh)
{
	uint32_t slot = (uint32_t)fh;
	struct lam_handle *handle;

	if (slot == 0 || slot >= core->nhandles)
		return NULL;
	handle = &core->handles[slot];
	return handle->node && handle->generation == fh >> 32 ? handle : NULL;
}

void lam_handle_free(struct lam_core *core, struct lam_handle *handle)
{
	struct lam_node *node = handle->node;

	lam_file_put(core, handle->file);
	handle->file = NULL;
	handle->node = NULL;
	handle->next_free = core->free_handle;
	core->free_handle = (uint32_t)(handle - core->handles);
	lam_node_unref(core, node);
}
