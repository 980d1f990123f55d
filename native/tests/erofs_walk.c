/* SPDX-License-Identifier: MIT */
#include "erofs_walk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lamina/erofs.h>

#define MAX_OBJECTS 256
#define MAX_NAMES 4096
#define MAX_PIECES 64

struct walk {
	const struct lam_erofs *fs;
	const struct lam_erofs_inode *dir;
	uint64_t pending[MAX_OBJECTS];
	int count, names;
};

static int visit(void *arg, const struct lam_erofs_dirent *entry)
{
	struct walk *walk = arg;
	uint64_t nid;

	if (entry->namelen != strlen(entry->name) || !entry->namelen || entry->namelen > 255)
		abort();
	lam_erofs_lookup(walk->fs, walk->dir, entry->name, &nid);
	if (walk->count < MAX_OBJECTS)
		walk->pending[walk->count++] = entry->nid;
	return ++walk->names < MAX_NAMES ? 0 : -1;
}

static void read_xattrs(const struct lam_erofs *fs, const struct lam_erofs_inode *inode)
{
	ssize_t length = lam_erofs_listxattr(fs, inode, NULL, 0), used;
	char value[300], *list;

	if (length <= 0)
		return;
	list = malloc((size_t)length);
	used = list ? lam_erofs_listxattr(fs, inode, list, (size_t)length) : 0;
	if (list && used != length)
		abort();
	for (const char *key = list; key && key < list + used; key += strlen(key) + 1) {
		ssize_t size = lam_erofs_getxattr(fs, inode, key, NULL, 0);

		if (size < 0 || lam_erofs_getxattr(fs, inode, key, value, sizeof(value)) > size)
			abort(); /* what is listed can be had */
	}
	free(list);
}

static void read_extents(const struct lam_erofs *fs, const struct lam_erofs_inode *inode)
{
	struct lam_erofs_extent piece;
	uint64_t at = 0;

	for (int i = 0; i < MAX_PIECES && lam_erofs_extent(fs, inode, at, 1u << 20, &piece) == 0; i++) {
		if (!piece.length)
			break;
		if (piece.length > inode->size - at || piece.device > fs->ndevices ||
		    (!piece.hole && !piece.device &&
		     (piece.offset > fs->size || piece.length > fs->size - piece.offset)))
			abort();
		at += piece.length;
	}
	lam_erofs_extent(fs, inode, inode->size / 2, UINT64_MAX, &piece);
	lam_erofs_extent(fs, inode, UINT64_MAX, UINT64_MAX, &piece);
}

static void look_at(struct walk *walk, uint64_t nid)
{
	struct lam_erofs_inode inode;
	char target[4096];

	if (lam_erofs_inode(walk->fs, nid, &inode) < 0)
		return;
	read_xattrs(walk->fs, &inode);
	if (S_ISLNK(inode.mode))
		lam_erofs_readlink(walk->fs, &inode, target, sizeof(target));
	if (S_ISREG(inode.mode) || S_ISDIR(inode.mode) || S_ISLNK(inode.mode))
		read_extents(walk->fs, &inode);
	walk->dir = &inode;
	lam_erofs_scan(walk->fs, &inode, visit, walk);
	walk->dir = NULL;
}

int erofs_walk(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct lam_erofs fs;
	struct walk walk = { .fs = &fs, .count = 1 };

	if (lam_erofs_open(&fs, data, size, &why) < 0) {
		if (!why)
			abort();
		return -1;
	}
	walk.pending[0] = fs.root;
	for (int i = 0; i < walk.count; i++)
		look_at(&walk, walk.pending[i]);
	lam_erofs_close(&fs);
	return walk.names;
}
