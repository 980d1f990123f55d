/* SPDX-License-Identifier: MIT */
/* verbs - entering and leaving, lookups, and what all verbs share */
#include <lamina/verbs.h>

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/statvfs.h>

#include <lamina/copyup.h>
#include <lamina/layer.h>
#include <lamina/node.h>
#include <lamina/resolve.h>

#define MANY_NODES 16384 /* less memory than theirs is not worth a system call */

int lam_enter(struct lam_core *core, uint64_t nodeid, struct lam_node **node)
{
	pthread_mutex_lock(&core->lock);
	*node = lam_node_find(core, nodeid);
	if (!*node) {
		pthread_mutex_unlock(&core->lock);
		return -ESTALE;
	}
	lam_node_ref(*node);
	return 0;
}

int lam_enter_dir(struct lam_core *core, uint64_t nodeid, struct lam_node **node)
{
	int rc = lam_enter(core, nodeid, node);

	if (rc == 0 && !lam_is_dir(*node)) {
		lam_leave(core, *node);
		rc = -ENOTDIR;
	}
	return rc;
}

void lam_leave(struct lam_core *core, struct lam_node *node)
{
	lam_node_unref(core, node);
	pthread_mutex_unlock(&core->lock);
}

int lam_may_write(const struct lam_core *core)
{
	return !core->nuppers || core->flags & LAM_CFG_READONLY ? -EROFS : 0;
}

int lam_may_create(const struct lam_core *core, const char *name)
{
	size_t length = strlen(name);

	if (length > LAM_NAME_MAX)
		return -ENAMETOOLONG;
	/* Names of the OCI whiteout form would hide others: they cannot be. */
	if (length == 0 || strncmp(name, ".wh.", 4) == 0)
		return -EINVAL;
	return lam_may_write(core);
}

int lam_give_entry(struct lam_core *core, struct lam_node *node, const struct statx *st,
		   struct lam_entry *entry)
{
	int rc = lam_show_attr(core, node, st, &entry->attr);

	if (rc < 0)
		return rc;
	node->nlookup++;
	entry->nodeid = node->id;
	entry->generation = 0; /* ids are never used again */
	return 0;
}

/* The upper with most free bytes among those that the directory can have a part on. */
static struct lam_layer *most_free(struct lam_core *core, const struct lam_node *dir)
{
	struct lam_layer *best = NULL;
	uint64_t most = 0;

	for (uint32_t i = 0; i < core->nuppers; i++) {
		struct lam_layer *layer = &core->layers[i];
		struct lam_ldir *part = lam_part_on(dir, i);
		struct statvfs fs;
		uint64_t room;

		if (fstatvfs(layer->root->fd, &fs) < 0)
			continue;
		room = (uint64_t)fs.f_bavail * fs.f_frsize;
		if (!best || room > most) {
			best = layer;
			most = room;
		}
		/* Nothing below an opaque part shows. */
		if (part && lam_ldir_marks(core, part) == 0 && part->flags & LAM_LDIR_OPAQUE)
			break;
	}
	return best ? best : &core->layers[0];
}

int lam_choose_upper(struct lam_core *core, struct lam_node *dir, struct lam_ldir **out)
{
	struct lam_layer *layer = &core->layers[0];

	if (dir->flags & LAM_NODE_DEAD)
		return -ENOENT;
	if (core->nuppers > 1 && core->create_policy == LAM_CREATE_MOST_FREE)
		layer = most_free(core, dir);
	else if (core->nuppers > 1 && core->create_policy == LAM_CREATE_PATH_PRESERVING && lam_upper_dir(dir))
		layer = lam_upper_dir(dir)->layer;
	return lam_dir_on(core, dir, layer, out);
}

int lam_lookup(struct lam_core *core, const struct lam_caller *caller, uint64_t parent, const char *name,
	       struct lam_entry *entry)
{
	struct lam_node *dir, *node;
	struct statx st;
	int rc;

	(void)caller;
	rc = lam_enter_dir(core, parent, &dir);
	if (rc < 0)
		return rc;
	if (strlen(name) > LAM_NAME_MAX)
		rc = -ENAMETOOLONG;
	else
		rc = lam_find(core, dir, name, &node, &st);
	if (rc == 0) {
		lam_node_ref(node);
		rc = lam_give_entry(core, node, &st, entry);
		lam_node_unref(core, node);
	}
	lam_leave(core, dir);
	return rc;
}

/* The kernel has forgotten most of what it knew: so does the allocator. */
static void give_back(struct lam_core *core)
{
	if (core->stats.nodes > core->most_nodes)
		core->most_nodes = core->stats.nodes;
	if (core->most_nodes < MANY_NODES || core->stats.nodes > core->most_nodes / 8)
		return;
	malloc_trim(0);
	core->most_nodes = core->stats.nodes;
}

void lam_forget(struct lam_core *core, uint64_t nodeid, uint64_t nlookup)
{
	struct lam_node *node;

	pthread_mutex_lock(&core->lock);
	node = lam_node_find(core, nodeid);
	if (node && node != core->root)
		lam_node_forget(core, node, nlookup);
	give_back(core);
	pthread_mutex_unlock(&core->lock);
}
