/* SPDX-License-Identifier: MIT */
/*
 * ldir - directories on one layer, their descriptors and their overlay marks
 *
 * Theory.  A directory is remembered as (parent, name) and reopened when the bounded cache of
 * descriptors has closed it, so that a mount with millions of directories needs few
 * descriptors.  Reopening goes down from the nearest open ancestor by openat2 with
 * RESOLVE_BENEATH and without following links: nothing on a layer can lead out of it.
 */
#include <lamina/layer.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lamina/sys.h>
#include <lamina/xattr.h>

#define OPEN_DIR (O_PATH | O_DIRECTORY)
#define LIST_DIR (O_RDONLY | O_DIRECTORY)
#define REOPEN_MAX 4000 /* bytes of a path given to one openat2; PATH_MAX is 4096 */

struct lam_ldir *lam_ldir_root(struct lam_layer *layer, int fd)
{
	struct lam_ldir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return NULL;
	dir->layer = layer;
	dir->refs = 1;
	dir->fd = fd;
	lam_list_init(&dir->lru);
	return dir;
}

struct lam_ldir *lam_ldir_child(struct lam_ldir *parent, const char *name)
{
	struct lam_ldir *dir = lam_ldir_root(parent->layer, -1);

	if (!dir)
		return NULL;
	dir->name = strdup(name);
	if (!dir->name) {
		free(dir);
		return NULL;
	}
	dir->parent = lam_ldir_get(parent);
	return dir;
}

struct lam_ldir *lam_ldir_get(struct lam_ldir *dir)
{
	dir->refs++;
	return dir;
}

static void close_fd(struct lam_core *core, struct lam_ldir *dir)
{
	if (dir->fd < 0)
		return;
	if (dir->parent) {
		lam_list_del(&dir->lru);
		core->ndirfds--;
	}
	dir->flags &= ~(uint32_t)LAM_LDIR_LISTS;
	lam_close(&dir->fd);
}

void lam_ldir_put(struct lam_core *core, struct lam_ldir *dir)
{
	while (dir && --dir->refs == 0) {
		struct lam_ldir *parent = dir->parent;

		close_fd(core, dir);
		free(dir->name);
		free(dir);
		dir = parent;
	}
}

int lam_ldir_moved(struct lam_core *core, struct lam_ldir *dir, struct lam_ldir *parent, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	free(dir->name);
	dir->name = copy;
	lam_ldir_get(parent);
	lam_ldir_put(core, dir->parent);
	dir->parent = parent;
	dir->flags &= ~(uint32_t)LAM_LDIR_MTIME; /* ".." has changed */
	return 0;
}

static void remember_fd(struct lam_core *core, struct lam_ldir *dir, int fd)
{
	dir->fd = fd;
	core->ndirfds++;
	lam_list_move_tail(&core->dirfds, &dir->lru);
	while (core->ndirfds > core->max_dirfds)
		close_fd(core, lam_container(core->dirfds.next, struct lam_ldir, lru));
}

/* The lowest directory on the way from 'base' down to 'dir' that one openat2 reaches, and the path to it. */
static struct lam_ldir *reach(struct lam_ldir *dir, const struct lam_ldir *base, char *path)
{
	struct lam_ldir *d, *target = dir;
	size_t length = 0, at;

	for (d = dir; d != base; d = d->parent) {
		length += strlen(d->name) + 1;
		while (length > REOPEN_MAX) { /* too deep: stop at an ancestor first */
			length -= strlen(target->name) + 1;
			target = target->parent;
		}
	}
	at = length;
	for (d = target; d != base; d = d->parent) {
		size_t n = strlen(d->name);

		path[--at] = d == target ? '\0' : '/';
		at -= n;
		memcpy(path + at, d->name, n);
	}
	return target;
}

/*
 * Open 'dir' from its nearest open ancestor.  Descriptors on a long way are not kept: callers
 * count on the cache closing nothing for some calls (LAM_LDIR_SAFE), however deep one goes.
 */
static int reopen(struct lam_ldir *dir, int flags)
{
	struct lam_ldir *base = dir, *target;
	int from, fd, step = -1;

	while (base->fd < 0)
		base = base->parent;
	from = base->fd;
	do {
		char path[REOPEN_MAX + 1];

		target = reach(dir, base, path);
		fd = lam_openat_beneath(from, path, target == dir ? flags : OPEN_DIR);
		if (fd == -ENOSYS) { /* before Linux 5.6: one component at a time, still without links */
			for (target = dir; target->parent != base; target = target->parent)
				continue;
			fd = lam_openat(from, target->name, target == dir ? flags : OPEN_DIR, 0);
		}
		lam_close(&step);
		from = step = fd;
		base = target;
	} while (fd >= 0 && target != dir);
	return fd;
}

int lam_ldir_look(struct lam_core *core, struct lam_ldir *dir)
{
	if (dir->layer->image)
		return -EOPNOTSUPP;
	if (dir->fd < 0) {
		int fd = reopen(dir, OPEN_DIR);

		if (fd < 0)
			return fd;
		remember_fd(core, dir, fd);
	}
	if (dir->parent)
		lam_list_move_tail(&core->dirfds, &dir->lru);
	return dir->fd;
}

int lam_ldir_fd(struct lam_core *core, struct lam_ldir *dir)
{
	dir->flags &= ~(uint32_t)LAM_LDIR_MTIME;
	return lam_ldir_look(core, dir);
}

/* A directory that is not open yet is opened for both uses at once, if it may be read. */
int lam_ldir_list(struct lam_core *core, struct lam_ldir *dir, bool *own)
{
	int fd;

	*own = false;
	if (dir->fd < 0) {
		fd = reopen(dir, LIST_DIR);
		if (fd >= 0) {
			remember_fd(core, dir, fd);
			dir->flags |= LAM_LDIR_LISTS;
			return fd;
		}
		if (fd != -EACCES)
			return fd;
	}
	fd = lam_ldir_look(core, dir);
	if (fd < 0)
		return fd;
	if (dir->flags & LAM_LDIR_LISTS)
		return lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd;
	*own = true;
	return lam_openat(fd, ".", LIST_DIR, 0);
}

int lam_ldir_look_at(struct lam_core *core, struct lam_ldir *dir, const char **name)
{
	if (strcmp(*name, ".") == 0 && dir->parent) {
		*name = dir->name;
		dir = dir->parent;
	}
	return lam_ldir_look(core, dir);
}

int lam_ldir_at(struct lam_core *core, struct lam_ldir *dir, const char **name)
{
	dir->flags &= ~(uint32_t)LAM_LDIR_MTIME;
	return lam_ldir_look_at(core, dir, name);
}

/* Set the flag that one overlay xattr of a directory stands for. */
static void mark(struct lam_core *core, struct lam_ldir *dir, const char *key)
{
	char value[2];

	enum lam_key kind = lam_private_key(core, key);

	/* On lowers the mark of the other kind of mount counts too; on an upper it is some user's own. */
	if (kind == LAM_KEY_NONE && !dir->layer->upper &&
	    (strcmp(key, "user.overlay.opaque") == 0 || strcmp(key, "trusted.overlay.opaque") == 0))
		kind = LAM_KEY_OPAQUE;
	switch (kind) {
	case LAM_KEY_OPAQUE:
		if (lam_layer_getxattr(core, dir, ".", key, value, sizeof(value)) == 1) {
			if (*value == 'y')
				dir->flags |= LAM_LDIR_OPAQUE;
			if (*value == 'x')
				dir->flags |= LAM_LDIR_XWHITEOUTS;
		}
		break;
	case LAM_KEY_REDIRECT:
		dir->flags |= LAM_LDIR_REDIRECT;
		break;
	case LAM_KEY_IMPURE:
		dir->flags |= LAM_LDIR_IMPURE;
		break;
	case LAM_KEY_ORIGIN:
		dir->flags |= LAM_LDIR_ORIGIN;
		break;
	default:
		break;
	}
}

int lam_ldir_marks(struct lam_core *core, struct lam_ldir *dir)
{
	struct lam_xattr_names names;
	const char *key = NULL;
	int rc;

	if (dir->flags & LAM_LDIR_MARKS)
		return 0;
	rc = lam_xattr_names(core, dir, ".", &names);
	if (rc < 0 && rc != -EOPNOTSUPP)
		return rc;
	while (rc >= 0 && (key = lam_xattr_next(&names, key)))
		mark(core, dir, key);
	if (rc >= 0)
		lam_xattr_names_free(&names);
	dir->flags |= LAM_LDIR_MARKS;
	return 0;
}

bool lam_ldir_default_acl(struct lam_core *core, struct lam_ldir *dir)
{
	if (!(dir->flags & LAM_LDIR_ACL_KNOWN)) {
		dir->flags |= LAM_LDIR_ACL_KNOWN;
		if (!(core->flags & LAM_CFG_NOACL) &&
		    lam_layer_getxattr(core, dir, ".", "system.posix_acl_default", NULL, 0) > 0)
			dir->flags |= LAM_LDIR_ACL;
	}
	return dir->flags & LAM_LDIR_ACL;
}
