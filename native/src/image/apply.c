/* SPDX-License-Identifier: MIT */
/*
 * Theory.  What is on the way to a name is seen as the container engines see it, which unpack each layer into a
 * directory of its own and lay these over one another.  So a symbolic link that this layer has made is
 * followed; one that a lower layer made is covered by a directory, as is any other object there; a
 * directory of a lower layer is used as it is.  The target of a hard link is looked for in the merged
 * tree, all links followed.  All links stay inside of the root.
 */
#include "apply.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <lamina/image/build.h>

static const uint16_t types[] = {
	[LAM_KIND_FILE] = S_IFREG, [LAM_KIND_DIR] = S_IFDIR,   [LAM_KIND_SYMLINK] = S_IFLNK,
	[LAM_KIND_CHAR] = S_IFCHR, [LAM_KIND_BLOCK] = S_IFBLK, [LAM_KIND_FIFO] = S_IFIFO,
};

/* A walk along a path and the symbolic links on it. */
struct walk {
	struct lam_tree_inode *dir;
	unsigned int followed;
	size_t at; /* what is left: from here to 'size' */
	size_t size;
	char path[2 * LAM_INDEX_PATH_MAX + 2];
};

static size_t part_size(const char *path, size_t size)
{
	const char *slash = memchr(path, '/', size);

	return slash ? (size_t)(slash - path) : size;
}

/* Put a link's target before what is left. */
static int follow(const struct lam_apply *apply, struct walk *walk, const struct lam_tree_inode *link)
{
	size_t left = walk->size - walk->at;

	if (++walk->followed > LAM_IMAGE_MAX_FOLLOWED)
		return -ELOOP;
	if (link->size + 1 + left > sizeof(walk->path))
		return -ENAMETOOLONG;
	memmove(walk->path + link->size + 1, walk->path + walk->at, left);
	memcpy(walk->path, link->u.target, link->size);
	walk->path[link->size] = '/';
	walk->at = 0;
	walk->size = link->size + 1 + left;
	if (walk->path[0] == '/')
		walk->dir = apply->tree->root;
	return 0;
}

static struct lam_tree_inode *new_inode(struct lam_apply *apply, uint16_t mode)
{
	struct lam_tree_inode *inode = lam_tree_alloc(apply->tree, sizeof(*inode));

	if (inode) {
		inode->mode = mode;
		inode->layer = apply->layer;
	}
	return inode;
}

static void detach(struct lam_apply *apply, struct lam_tree_name *name)
{
	apply->parent = NULL;
	lam_tree_detach(name);
}

/* A directory that only the names below it speak of. */
static int make_parent(struct lam_apply *apply, struct lam_tree_name *name, struct lam_tree_inode **out)
{
	struct lam_tree_inode *inode;

	if (name->parent->u.dir.depth + 1 >= LAM_IMAGE_MAX_DEPTH)
		return -ENAMETOOLONG;
	inode = new_inode(apply, S_IFDIR | 0755);
	if (!inode)
		return -ENOMEM;
	if (name->inode)
		detach(apply, name);
	lam_tree_attach(name, inode);
	*out = inode;
	return 0;
}

static int find_part(struct lam_apply *apply, struct lam_tree_inode *dir, const char *text, size_t size,
		     int make, struct lam_tree_name **out)
{
	if (size > LAM_INDEX_NAME_MAX)
		return -ENAMETOOLONG;
	*out = make ? lam_tree_slot(apply->tree, dir, text, size)
		    : lam_tree_find(apply->tree, dir, text, size);
	if (!*out)
		return make ? -ENOMEM : -ENOENT;
	return 0;
}

/*
 * Walk along all of 'path' and end in a directory.  With 'make' as the layer's own names are meant: what is missing
 * or lies below is made; otherwise through everything that is there.
 */
static int walk_to_dir(struct lam_apply *apply, const char *path, size_t size, int make,
		       struct lam_tree_inode **out)
{
	struct walk walk = { .dir = apply->tree->root, .size = size };
	int err = 0;

	memcpy(walk.path, path, size);
	while (!err && walk.at < walk.size) {
		const char *text = walk.path + walk.at;
		size_t part = part_size(text, walk.size - walk.at);
		struct lam_tree_name *name = NULL;
		struct lam_tree_inode *inode = walk.dir;

		if (part == 2 && text[0] == '.' && text[1] == '.') {
			inode = walk.dir->u.dir.parent;
		} else if (part && !(part == 1 && text[0] == '.')) {
			err = find_part(apply, walk.dir, text, part, make, &name);
			if (err < 0)
				return err;
			inode = name->inode;
		}
		walk.at += part < walk.size - walk.at ? part + 1 : part;
		if (inode && S_ISLNK(inode->mode) && (!make || inode->layer == apply->layer)) {
			err = follow(apply, &walk, inode);
			continue;
		}
		if (name && make && (!inode || (!S_ISDIR(inode->mode) && inode->layer != apply->layer)))
			err = make_parent(apply, name, &inode);
		if (!err && !S_ISDIR(inode->mode))
			err = -ENOTDIR;
		walk.dir = inode;
	}
	*out = walk.dir;
	return err;
}

static size_t parent_size(const char *path, size_t size)
{
	while (size && path[size - 1] != '/')
		size--;
	return size;
}

/* The directory of an entry, made if it must be. */
static int parent_of(struct lam_apply *apply, const struct lam_index_entry *entry,
		     struct lam_tree_inode **out)
{
	size_t size = parent_size(entry->path, entry->path_size);
	int err;

	if (apply->parent && apply->parent_size == size &&
	    memcmp(apply->parent_path, entry->path, size) == 0) {
		*out = apply->parent;
		return 0;
	}
	err = walk_to_dir(apply, entry->path, size, 1, out);
	if (err < 0)
		return err;
	apply->parent = *out;
	apply->parent_size = size;
	memcpy(apply->parent_path, entry->path, size);
	return 0;
}

/* Find without following or making anything: a whiteout concerns what lower layers have under just that name. */
static struct lam_tree_name *find_plain(const struct lam_tree *tree, const char *path, size_t size)
{
	struct lam_tree_inode *dir = tree->root;
	struct lam_tree_name *name = NULL;

	while (size) {
		size_t part = part_size(path, size), step = part < size ? part + 1 : part;

		if (!S_ISDIR(dir->mode))
			return NULL;
		name = lam_tree_find(tree, dir, path, part);
		if (!name)
			return NULL;
		dir = name->inode;
		path += step;
		size -= step;
	}
	return name;
}

void lam_apply_whiteout(struct lam_apply *apply, const struct lam_index_entry *entry)
{
	struct lam_tree_name *name = find_plain(apply->tree, entry->path, entry->path_size);
	struct lam_tree_inode *inode = entry->path_size ? (name ? name->inode : NULL) : apply->tree->root;

	if (!inode)
		return;
	apply->parent = NULL;
	if (entry->kind == LAM_KIND_WHITEOUT)
		lam_tree_detach(name);
	else if (S_ISDIR(inode->mode))
		lam_tree_empty(inode);
}

static void set_attributes(struct lam_apply *apply, struct lam_tree_inode *inode,
			   const struct lam_index_entry *entry)
{
	inode->mode = (uint16_t)((inode->mode & S_IFMT) | (S_ISLNK(inode->mode) ? 0777 : entry->mode));
	inode->uid = entry->uid;
	inode->gid = entry->gid;
	inode->mtime = entry->mtime;
	inode->mtime_nsec = entry->mtime_nsec;
	if (entry->kind != LAM_KIND_HARDLINK || entry->xattr_count) {
		inode->xattrs = entry->xattrs;
		inode->xattr_count = entry->xattr_count;
	}
	if (entry->kind != LAM_KIND_HARDLINK)
		inode->layer = apply->layer;
}

static void set_content(struct lam_tree_inode *inode, const struct lam_index_entry *entry)
{
	switch (entry->kind) {
	case LAM_KIND_FILE:
		inode->size = entry->size;
		inode->u.file.offset = entry->offset;
		inode->u.file.extents = entry->extents;
		inode->u.file.extent_count = entry->extent_count;
		inode->u.file.sparse = entry->sparse;
		break;
	case LAM_KIND_SYMLINK:
		inode->size = entry->link_size;
		inode->u.target = entry->link;
		break;
	case LAM_KIND_CHAR:
	case LAM_KIND_BLOCK: /* as the kernel's new_encode_dev() */
		inode->rdev = (entry->minor & 0xff) | entry->major << 8 | (entry->minor & ~0xffu) << 12;
		break;
	default:
		break;
	}
}

static int add_hard_link(struct lam_apply *apply, struct lam_tree_name *name,
			 const struct lam_index_entry *entry)
{
	size_t size = parent_size(entry->link, entry->link_size);
	struct lam_tree_inode *dir, *inode;
	struct lam_tree_name *target;
	int err;

	if (!entry->link_size)
		return -EISDIR;
	err = walk_to_dir(apply, entry->link, size, 0, &dir);
	if (err < 0)
		return err == -ENOTDIR ? -ENOENT : err;
	target = lam_tree_find(apply->tree, dir, entry->link + size, entry->link_size - size);
	if (!target)
		return -ENOENT;
	inode = target->inode;
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (inode->nlink == UINT32_MAX)
		return -EMLINK;
	if (name->inode != inode) {
		if (name->inode)
			detach(apply, name);
		lam_tree_attach(name, inode);
	}
	if (!S_ISLNK(inode->mode))
		set_attributes(apply, inode, entry);
	return 0;
}

int lam_apply_entry(struct lam_apply *apply, const struct lam_index_entry *entry)
{
	struct lam_tree_inode *dir, *inode;
	struct lam_tree_name *name;
	size_t start;
	int err;

	assert(entry->kind < LAM_KIND_WHITEOUT);
	if (!entry->path_size) {
		if (entry->kind != LAM_KIND_DIR)
			return -ENOTDIR;
		set_attributes(apply, apply->tree->root, entry);
		return 0;
	}
	err = parent_of(apply, entry, &dir);
	if (err < 0)
		return err;
	start = parent_size(entry->path, entry->path_size);
	name = lam_tree_slot(apply->tree, dir, entry->path + start, entry->path_size - start);
	if (!name)
		return -ENOMEM;
	if (entry->kind == LAM_KIND_HARDLINK)
		return add_hard_link(apply, name, entry);
	inode = name->inode;
	if (!inode || entry->kind != LAM_KIND_DIR || !S_ISDIR(inode->mode)) {
		if (entry->kind == LAM_KIND_DIR && dir->u.dir.depth + 1 >= LAM_IMAGE_MAX_DEPTH)
			return -ENAMETOOLONG;
		inode = new_inode(apply, types[entry->kind]);
		if (!inode)
			return -ENOMEM;
		if (name->inode)
			detach(apply, name);
		lam_tree_attach(name, inode);
		set_content(inode, entry);
	}
	set_attributes(apply, inode, entry);
	return 0;
}
