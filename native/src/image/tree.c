/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ARENA_SIZE (1u << 20)
#define FIRST_BUCKETS 1024
#define ALIGNMENT 8

struct lam_tree_chunk {
	struct lam_tree_chunk *next;
	size_t used;
	size_t size;
	unsigned char data[];
};

void *lam_tree_alloc(struct lam_tree *tree, size_t size)
{
	struct lam_tree_chunk *chunk = tree->arena;
	void *result;

	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > ARENA_SIZE ? size : ARENA_SIZE;

		chunk = calloc(1, sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		chunk->size = room;
		chunk->next = tree->arena;
		tree->arena = chunk;
	}
	result = chunk->data + chunk->used;
	chunk->used += size;
	return result;
}

int lam_tree_init(struct lam_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
	if (getrandom(&tree->seed, sizeof(tree->seed), 0) != sizeof(tree->seed))
		return -errno;
	tree->buckets = calloc(FIRST_BUCKETS, sizeof(*tree->buckets));
	tree->root = lam_tree_alloc(tree, sizeof(*tree->root));
	if (!tree->buckets || !tree->root)
		return -ENOMEM;
	tree->mask = FIRST_BUCKETS - 1;
	tree->root->mode = S_IFDIR | 0755;
	tree->root->nlink = 1;
	tree->root->u.dir.parent = tree->root;
	return 0;
}

void lam_tree_free(struct lam_tree *tree)
{
	while (tree->arena) {
		struct lam_tree_chunk *next = tree->arena->next;

		free(tree->arena);
		tree->arena = next;
	}
	free(tree->buckets);
	tree->buckets = NULL;
}

static uint32_t hash_of(const struct lam_tree *tree, const struct lam_tree_inode *dir, const char *text,
			size_t size)
{
	uint64_t seed = tree->seed ^ (uint64_t)(uintptr_t)dir * 0x9e3779b97f4a7c15u;

	return (uint32_t)XXH3_64bits_withSeed(text, size, seed);
}

static struct lam_tree_name *lookup(const struct lam_tree *tree, const struct lam_tree_inode *dir,
				    const char *text, size_t size, uint32_t hash)
{
	struct lam_tree_name *name = tree->buckets[hash & tree->mask];

	while (name && !(name->hash == hash && name->parent == dir && name->size == size &&
			 memcmp(name->text, text, size) == 0))
		name = name->chain;
	return name;
}

struct lam_tree_name *lam_tree_find(const struct lam_tree *tree, const struct lam_tree_inode *dir,
				    const char *text, size_t size)
{
	struct lam_tree_name *name = lookup(tree, dir, text, size, hash_of(tree, dir, text, size));

	return name && name->inode ? name : NULL;
}

static void grow(struct lam_tree *tree)
{
	uint64_t mask = tree->mask * 2 + 1;
	struct lam_tree_name **buckets = mask > UINT32_MAX ? NULL : calloc(mask + 1, sizeof(*buckets));

	if (!buckets)
		return; /* slower, not wrong */
	for (uint64_t i = 0; i <= tree->mask; i++) {
		struct lam_tree_name *name = tree->buckets[i], *chain;

		for (; name; name = chain) {
			chain = name->chain;
			name->chain = buckets[name->hash & mask];
			buckets[name->hash & mask] = name;
		}
	}
	free(tree->buckets);
	tree->buckets = buckets;
	tree->mask = mask;
}

struct lam_tree_name *lam_tree_slot(struct lam_tree *tree, struct lam_tree_inode *dir, const char *text,
				    size_t size)
{
	uint32_t hash = hash_of(tree, dir, text, size);
	struct lam_tree_name *name = lookup(tree, dir, text, size, hash);

	assert(S_ISDIR(dir->mode) && size && size <= LAM_INDEX_NAME_MAX);
	if (name)
		return name;
	if (tree->count++ > tree->mask)
		grow(tree);
	name = lam_tree_alloc(tree, sizeof(*name) + size);
	if (!name)
		return NULL;
	name->hash = hash;
	name->parent = dir;
	name->size = (uint8_t)size;
	memcpy(name->text, text, size);
	name->chain = tree->buckets[hash & tree->mask];
	tree->buckets[hash & tree->mask] = name;
	name->sibling = dir->u.dir.first;
	dir->u.dir.first = name;
	return name;
}

void lam_tree_attach(struct lam_tree_name *name, struct lam_tree_inode *inode)
{
	assert(!name->inode);
	name->inode = inode;
	inode->nlink++;
	if (S_ISDIR(inode->mode)) {
		inode->u.dir.parent = name->parent;
		inode->u.dir.depth = name->parent->u.dir.depth + 1;
		name->parent->u.dir.subdirs++;
	}
}

/*
 * Nothing below 'top' can be reached any more: only links count.  A directory's list is used up as the walk goes
 * down and comes back.
 */
static void release(struct lam_tree_inode *top)
{
	struct lam_tree_inode *at = top;

	for (;;) {
		struct lam_tree_name *name = at->u.dir.first;
		struct lam_tree_inode *inode;

		if (!name) {
			if (at == top)
				return;
			at = at->u.dir.parent;
			continue;
		}
		at->u.dir.first = name->sibling;
		inode = name->inode;
		name->inode = NULL;
		if (!inode)
			continue;
		inode->nlink--;
		if (S_ISDIR(inode->mode))
			at = inode;
	}
}

void lam_tree_detach(struct lam_tree_name *name)
{
	struct lam_tree_inode *inode = name->inode;

	name->inode = NULL;
	inode->nlink--;
	if (S_ISDIR(inode->mode)) {
		name->parent->u.dir.subdirs--;
		release(inode);
	}
}

void lam_tree_empty(struct lam_tree_inode *dir)
{
	for (struct lam_tree_name *name = dir->u.dir.first; name; name = name->sibling)
		if (name->inode)
			lam_tree_detach(name);
}
