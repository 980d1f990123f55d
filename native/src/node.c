/* SPDX-License-Identifier: MIT */
#include <lamina/node.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lamina/handle.h>
#include <lamina/layer.h>
#include <lamina/sys.h>
#include <lamina/table.h>

/* An index that nobody holds a child of is kept up to this size, for its negative answers. */
#define KEEP_NAMES 4096

struct lam_node *lam_node_find(struct lam_core *core, uint64_t nodeid)
{
	uint32_t slot = (uint32_t)nodeid;
	struct lam_node *node;

	if (nodeid == LAM_ROOT_ID)
		return core->root;
	node = slot < core->nslots ? core->slots[slot] : NULL;
	return node && node->id == nodeid ? node : NULL;
}

static int take_slot(struct lam_core *core, uint32_t *slot)
{
	if (core->nfree) {
		*slot = core->free_slots[--core->nfree];
		return 0;
	}
	if (core->nslots == core->cap_slots) {
		uint32_t cap = core->cap_slots ? core->cap_slots * 2 : 256;
		struct lam_node **slots = realloc(core->slots, cap * sizeof(*slots));
		uint32_t *free_slots;

		if (!slots)
			return -ENOMEM;
		core->slots = slots;
		free_slots = realloc(core->free_slots, cap * sizeof(*free_slots));
		if (!free_slots)
			return -ENOMEM;
		core->free_slots = free_slots;
		core->cap_slots = cap;
		if (!core->nslots) /* slot 0 stays free, so that the root, the first, has LAM_ROOT_ID's */
			core->slots[core->nslots++] = NULL;
	}
	*slot = core->nslots++;
	return 0;
}

struct lam_node *lam_node_new(struct lam_core *core, mode_t type)
{
	struct lam_node *node = calloc(1, sizeof(*node));
	uint32_t slot;

	if (!node)
		return NULL;
	if (take_slot(core, &slot) < 0) {
		free(node);
		return NULL;
	}
	/* Generations start at 1, so that no id meets LAM_ROOT_ID. */
	node->id = (uint64_t)++core->generation << 32 | slot;
	if (core->generation == UINT32_MAX)
		core->generation = 0;
	node->type = (uint16_t)(type & S_IFMT);
	node->fd = -1;
	core->slots[slot] = node;
	core->stats.nodes++;
	return node;
}

static void free_node(struct lam_core *core, struct lam_node *node)
{
	uint32_t slot = (uint32_t)node->id;

	lam_ident_drop(core, node);
	if (lam_is_dir(node)) {
		lam_table_free(core, node);
		lam_node_set_parts(core, node, NULL, 0);
	} else {
		lam_file_uncache(core, node);
		lam_place_clear(core, &node->f.upper);
		lam_place_clear(core, &node->f.lower);
	}
	lam_close(&node->fd);
	core->slots[slot] = NULL;
	core->free_slots[core->nfree++] = slot;
	core->stats.nodes--;
	free(node);
}

/* A directory lost a child that the kernel knew: does its index still pay? */
static void relax(struct lam_core *core, struct lam_node *dir)
{
	struct lam_table *table = &dir->d.table;

	if (table->live == 0 && table->count > KEEP_NAMES && !table->busy)
		lam_table_shrink(core, dir);
}

void lam_node_unref(struct lam_core *core, struct lam_node *node)
{
	assert(node->refs > 0);
	node->refs--;
	while (node && node->refs == 0 && node->nlookup == 0) {
		struct lam_dent *dent, *next;
		struct lam_node *parent = NULL;

		/* Names of one node may lie in several directories; only the last can be the last hold on one. */
		for (dent = node->dent; dent; dent = next) {
			struct lam_node *dir = dent->dir;

			next = dent->alias;
			dent->child = NULL;
			dent->alias = NULL;
			dir->d.table.live--;
			if (!dir->d.table.complete)
				lam_table_remove(core, dir, dent);
			relax(core, dir);
			dir->refs--;
			if (dir->refs == 0 && dir->nlookup == 0 && next) {
				dir->refs++;
				lam_node_unref(core, dir);
			} else {
				parent = dir;
			}
		}
		node->dent = NULL;
		free_node(core, node);
		node = parent;
	}
}

void lam_node_forget(struct lam_core *core, struct lam_node *node, uint64_t nlookup)
{
	node->nlookup -= nlookup < node->nlookup ? nlookup : node->nlookup;
	node->refs++;
	lam_node_unref(core, node);
}

void lam_node_attach(struct lam_core *core, struct lam_node *node, struct lam_dent *dent)
{
	struct lam_dent **link = &node->dent;

	(void)core;
	assert(!dent->child);
	while (*link)
		link = &(*link)->alias;
	*link = dent;
	dent->child = node;
	dent->alias = NULL;
	dent->dir->d.table.live++;
	lam_node_ref(dent->dir);
}

void lam_node_attach_first(struct lam_core *core, struct lam_node *node, struct lam_dent *dent)
{
	struct lam_dent *others = node->dent;

	node->dent = NULL;
	lam_node_attach(core, node, dent);
	dent->alias = others;
}

void lam_node_detach(struct lam_core *core, struct lam_dent *dent)
{
	struct lam_node *node = dent->child, *dir = dent->dir;
	struct lam_dent **link = &node->dent;

	while (*link != dent)
		link = &(*link)->alias;
	*link = dent->alias;
	dent->alias = NULL;
	dent->child = NULL;
	dir->d.table.live--;
	lam_node_unref(core, dir);
}

/* ---- identities ---- */

static uint32_t ident_bucket(const struct lam_core *core, uint64_t dev, uint64_t ino)
{
	return (uint32_t)(((ino ^ dev * 31) * 0x9e3779b97f4a7c15u) >> (64 - core->ident_bits));
}

static int ident_grow(struct lam_core *core)
{
	uint32_t old_bits = core->ident_bits;
	struct lam_ident **old = core->idents, **idents;

	idents = calloc((size_t)1 << (old_bits ? old_bits + 1 : 6), sizeof(*idents));
	if (!idents)
		return -ENOMEM;
	core->ident_bits = old_bits ? old_bits + 1 : 6;
	core->idents = idents;
	for (uint32_t i = 0; old && i < 1u << old_bits; i++) {
		struct lam_ident *ident, *next;

		for (ident = old[i]; ident; ident = next) {
			uint32_t bucket = ident_bucket(core, ident->dev, ident->ino);

			next = ident->next;
			ident->next = idents[bucket];
			idents[bucket] = ident;
		}
	}
	free(old);
	return 0;
}

struct lam_node *lam_ident_find(struct lam_core *core, uint64_t dev, uint64_t ino)
{
	struct lam_ident *ident;

	if (!core->nidents)
		return NULL;
	for (ident = core->idents[ident_bucket(core, dev, ino)]; ident; ident = ident->next)
		if (ident->dev == dev && ident->ino == ino)
			return ident->node;
	return NULL;
}

int lam_ident_add(struct lam_core *core, struct lam_node *node, uint64_t dev, uint64_t ino)
{
	struct lam_ident *ident;
	uint32_t bucket;

	if (lam_ident_find(core, dev, ino) == node)
		return 0;
	if (!core->idents || core->nidents >= 1u << core->ident_bits)
		if (ident_grow(core) < 0 && !core->idents)
			return -ENOMEM;
	ident = calloc(1, sizeof(*ident));
	if (!ident)
		return -ENOMEM;
	bucket = ident_bucket(core, dev, ino);
	*ident = (struct lam_ident){
		.next = core->idents[bucket], .sibling = node->f.idents, .node = node, .dev = dev, .ino = ino
	};
	core->idents[bucket] = ident;
	node->f.idents = ident;
	core->nidents++;
	return 0;
}

void lam_ident_drop(struct lam_core *core, struct lam_node *node)
{
	struct lam_ident *ident, *sibling, **link;

	if (lam_is_dir(node))
		return;
	for (ident = node->f.idents; ident; ident = sibling) {
		sibling = ident->sibling;
		link = &core->idents[ident_bucket(core, ident->dev, ident->ino)];
		while (*link != ident)
			link = &(*link)->next;
		*link = ident->next;
		core->nidents--;
		free(ident);
	}
	node->f.idents = NULL;
}

/* ---- places ---- */

int lam_place_set(struct lam_core *core, struct lam_place *place, struct lam_ldir *dir, const char *name)
{
	char *copy = NULL;

	if (name && !(copy = strdup(name)))
		return -ENOMEM;
	lam_ldir_get(dir);
	lam_place_clear(core, place);
	place->dir = dir;
	place->name = copy;
	return 0;
}

void lam_place_clear(struct lam_core *core, struct lam_place *place)
{
	lam_ldir_put(core, place->dir);
	free(place->name);
	place->dir = NULL;
	place->name = NULL;
}

int lam_place_pin(struct lam_node *node, struct lam_place *place)
{
	if (!place->dir || place->name || !node->dent)
		return 0;
	place->name = strdup(node->dent->name);
	return place->name ? 0 : -ENOMEM;
}

int lam_node_set_parts(struct lam_core *core, struct lam_node *node, struct lam_ldir **parts, uint32_t nparts)
{
	struct lam_ldir **copy = NULL;

	if (nparts) {
		copy = malloc(nparts * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, parts, nparts * sizeof(*copy));
	}
	for (uint32_t i = 0; i < node->d.nparts; i++)
		lam_ldir_put(core, node->d.parts[i]);
	free(node->d.parts);
	node->d.parts = copy;
	node->d.nparts = nparts;
	return 0;
}

int lam_node_add_part(struct lam_core *core, struct lam_node *node, struct lam_ldir *part)
{
	struct lam_ldir **parts = realloc(node->d.parts, (node->d.nparts + 1) * sizeof(*parts));
	uint32_t at = 0;

	if (!parts) {
		lam_ldir_put(core, part);
		return -ENOMEM;
	}
	node->d.parts = parts;
	while (at < node->d.nparts && parts[at]->layer->index < part->layer->index)
		at++;
	memmove(parts + at + 1, parts + at, (node->d.nparts - at) * sizeof(*parts));
	parts[at] = part;
	node->d.nparts++;
	return 0;
}
